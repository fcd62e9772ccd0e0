"""The viewer over HTTP: what is answered for views that are known, and nothing else of the disk."""

import io
import secrets

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import noise

pytest.importorskip("starlette", reason='needs: pip install "fastsr[web]"')
pytest.importorskip("httpx", reason='needs: pip install "fastsr[web]"')
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fastsr.web import viewer
from fastsr.web.viewer.pyramid import TILE, pyramid_path
from fastsr.web.viewer.tiles import OVERLAP

KEY = secrets.token_urlsafe()


@pytest.fixture
def pair(tmp_path):
    """An original and a result of it, in a folder with a file that is nobody's business."""
    original, result = tmp_path / "photo.png", tmp_path / "photo-x4.png"
    pixels = noise(200, 300, 3)
    Image.fromarray(pixels).save(original)
    Image.fromarray(pixels.repeat(4, 0).repeat(4, 1)).save(result)
    (tmp_path / "private.txt").write_text("private")
    return original, result


@pytest.fixture
def client(pair):
    with TestClient(Starlette(routes=viewer.routes({KEY: pair})), raise_server_exceptions=True) as client:
        yield client


def test_a_view_tells_its_size(client):
    answer = client.get(f"/viewer/{KEY}/view.json")
    assert answer.json() == {
        "width": 1200,
        "height": 800,
        "tile": TILE,
        "overlap": OVERLAP,
        "levels": 3,
        "original": [300, 200],
        "transparent": False,
    }


def test_tiles_are_png_files_of_exact_pixels(client, pair):
    answer = client.get(f"/viewer/{KEY}/result/0/2/1.png")
    assert answer.headers["content-type"] == "image/png"
    assert "private" in answer.headers["cache-control"]
    whole = np.asarray(Image.open(pair[1]))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), whole[511:800, 1023:1200])


@pytest.mark.parametrize(
    "path",
    [
        "result/3/0/0.png",
        "result/0/3/0.png",
        "result/0/0/2.png",
        "result/-1/0/0.png",
        "result/0/0/0.jpg",
        "result/0/0x0/0.png",
        "result/0/١/0.png",
        "result/99999999999/0/0.png",
        "other/0/0/0.png",
        "",
        "view.txt",
        "photo.png",
        ".photo.png.pyramid",
    ],
)
def test_nothing_else_is_found_in_a_view(client, path):
    found = client.get(f"/viewer/{KEY}/{path}")
    if path == "":
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("text/html")
    else:
        assert found.status_code == 404, path


@pytest.mark.parametrize(
    "key", ["short", secrets.token_urlsafe(), f"{KEY}x", KEY[:-1], f"{KEY}%00", "a" * 200, f"%20{KEY}"]
)
@pytest.mark.parametrize("path", ["", "view.json", "result/0/0/0.png"])
def test_keys_that_the_store_does_not_know(client, key, path):
    answer = client.get(f"/viewer/{key}/{path}")
    assert answer.status_code == 404
    assert "PNG" not in answer.text


def test_a_store_is_asked_for_well_formed_keys_alone(pair):
    """A store may look a key up as it likes, on disk too."""

    class Picky:
        def get(self, key):
            assert key.replace("-", "").replace("_", "").isalnum()
            assert 16 <= len(key) <= 128

    with TestClient(Starlette(routes=viewer.routes(Picky()))) as client:
        for key in ("..", "../../etc/passwd", "a.b.c.d.e.f.g.h.i.j", "a" * 129, "é" * 20, "%2e%2e%2f" * 5, "a" * 20):
            assert client.get(f"/viewer/{key}/view.json").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/viewer/files/../routes.py",
        "/viewer/files/..%2froutes.py",
        "/viewer/files/%2e%2e/routes.py",
        "/viewer/files/routes.py",
        "/viewer/files/page/viewer.js",
        "/viewer/files//etc/passwd",
        "/viewer/files/",
        f"/viewer/{KEY}/../private.txt",
        f"/viewer/{KEY}/..%2fprivate.txt",
        f"/viewer/{KEY}/private.txt",
        f"/viewer/{KEY}/result/0/..%2f..%2fprivate.txt/0.png",
        f"/viewer/{KEY}%2f..%2fprivate.txt",
    ],
)
def test_no_way_leads_to_other_files(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "def " not in answer.text
    assert answer.text != "private"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("viewer.js", "text/javascript"),
        ("slider.js", "text/javascript"),
        ("toolbar.js", "text/javascript"),
        ("viewer.css", "text/css"),
        ("page.css", "text/css"),
        ("openseadragon.min.js", "text/javascript"),
    ],
)
def test_scripts_and_styles(client, name, kind):
    answer = client.get(f"/viewer/files/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_view_whose_files_were_deleted(client, pair):
    assert client.get(f"/viewer/{KEY}/view.json").status_code == 200
    for path in pair:
        path.unlink()
        pyramid_path(path).unlink()
    assert client.get(f"/viewer/{KEY}/view.json").status_code == 404
    assert client.get(f"/viewer/{KEY}/result/0/0/0.png").status_code == 404


def test_a_damaged_file_is_named_without_its_folder(client, pair):
    pair[1].write_bytes(b"no image at all")
    answer = client.get(f"/viewer/{KEY}/view.json")
    assert answer.status_code == 422
    assert "photo-x4.png" in answer.text
    assert str(pair[1].parent) not in answer.text


def test_names_are_no_html(pair, tmp_path):
    odd = tmp_path / "<img src=x onerror=alert(1)>.png"
    pair[0].rename(odd)
    with TestClient(Starlette(routes=viewer.routes({KEY: (odd, pair[1])}))) as client:
        page = client.get(f"/viewer/{KEY}/")
    assert "<img" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "&lt;img" in viewer.html(KEY, name=odd.name, after='"<b>')
    assert '"<b>' not in viewer.html(KEY, name=odd.name, after='"<b>')


def test_routes_may_lie_elsewhere(pair):
    with TestClient(Starlette(routes=viewer.routes({KEY: pair}, prefix="/a/b"))) as client:
        assert client.get(f"/a/b/{KEY}/view.json").status_code == 200
        assert client.get("/a/b/files/viewer.js").status_code == 200
    assert 'src="a/b/files/viewer.js"' in viewer.head("a/b")
