"""Photos on the page, as visitors use it: by mouse, keys and fingers, several at once, and over a restart."""

import socket
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from support.small_models import SAMPLE
from support.visitor import Tab, choose_files, focus, open_page, overhang
from support.web_server import serving

import fastsr


@pytest.fixture
def photo(tmp_path):
    return sample(tmp_path / "photo.png", (64, 48))


def sample(path, size):
    with Image.open(SAMPLE) as image:
        image.convert("RGB").resize(size).save(path)
    return path


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def expected(path, **options):
    return np.asarray(fastsr.upscale(path, **options))


def test_a_photo_is_seen_enlarged_and_downloaded(visit, photo):
    tab = Tab(visit(), "photo")
    tab.drop(photo)
    tab.preview()
    box = tab.divider.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] - 100, box["y"] + box["height"] / 2, steps=3)
    tab.page.mouse.up()
    assert int(tab.divider.get_attribute("aria-valuenow")) < 45
    assert np.array_equal(pixels(tab.enlarge("photo-x4.png")), expected(photo))
    tab.page.get_by_text("256 x 192 pixels by photo-x4").wait_for()
    assert tab.viewer.get_attribute("after") == "photo-x4"
    tab.page.get_by_role("button", name="Show its pixels").click()
    tab.page.get_by_text("100 %").wait_for()


def test_a_photo_that_is_dropped_at_once(visit, photo):
    """Before the page has its session."""
    for _ in range(2):
        page = visit()
        page.locator("#photos input[type=file]").set_input_files(str(photo))
        Tab(page, "photo").preview()


def test_another_model_and_size(visit, photo):
    tab = Tab(visit(), "photo")
    tab.drop(photo)
    tab.preview()
    tab.choose("model", "fast-x2")
    tab.page.locator('fastsr-viewer[after="fast-x2"]').wait_for()
    tab.choose("size", "2x")
    assert np.array_equal(pixels(tab.enlarge("photo-x2.png")), expected(photo, model="fast-x2", scale=2))


def test_several_photos_one_of_them_wrong_and_a_zip_of_their_results(visit, tmp_path):
    paths = [sample(tmp_path / f"{name}.png", size) for name, size in (("one", (40, 30)), ("two", (30, 40)))]
    wrong = tmp_path / "text.png"
    wrong.write_bytes(b"no photo at all")
    tab = Tab(visit(), "photo")
    tab.drop(*paths, wrong)
    tab.preview()
    tab.page.get_by_text("the first of 3").wait_for()
    assert np.array_equal(pixels(tab.enlarge("two-x4.png")), expected(paths[1]))
    assert np.array_equal(pixels(tab.download("one-x4.png")), expected(paths[0]))
    tab.page.get_by_role("alert").get_by_text("text.png: not an image").first.wait_for()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="All as a zip").click()
    with open(download.value.path(), "rb") as file:
        assert file.read(2) == b"PK"


def test_a_long_run_is_stopped_and_the_next_one_goes_on(visit, photo, tmp_path):
    tab = Tab(visit(), "photo")
    tab.drop(sample(tmp_path / "large.jpg", (1600, 1200)))
    tab.preview()
    tab.choose("model", "srgan-x4")
    tab.run.click()
    tab.progress.wait_for()
    tab.stop.click()
    tab.status.get_by_text("stopped").first.wait_for()  # by the button or by the run, whichever is later
    assert tab.results.count() == 0
    tab.choose("model", "fast-x4")
    tab.clear()
    tab.drop(photo)
    tab.preview()
    assert np.array_equal(pixels(tab.enlarge("photo-x4.png")), expected(photo, model="fast-x4"))


def bomb():
    """A PNG of a few bytes that says it has four thousand megapixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">2I5B", 65000, 65000, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 99)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_wrong_files_are_told_on_the_page(visit, photo, tmp_path):
    """Each in words, when it is dropped and when it is to be enlarged; and the page goes on."""
    wrong = {
        "text.png": (b"This is a letter to my aunt, not a photo.\n" * 9, "text.png: not an image"),
        "bomb.png": (bomb(), "bomb.png: is larger than the 2 megapixels"),
        "empty.png": (b"", "empty.png: the file is empty"),
        "cut.png": (photo.read_bytes()[:400], "cut.png: damaged or cut short"),
    }
    tab = Tab(visit(), "photo")
    for name, (data, message) in wrong.items():
        (tmp_path / name).write_bytes(data)
        tab.drop(tmp_path / name)
        tab.page.get_by_text(message).first.wait_for()
        tab.clear()
    tab.drop(*(tmp_path / name for name in wrong))
    tab.run.click()
    for _, message in wrong.values():
        tab.page.get_by_role("alert").get_by_text(message).first.wait_for()
    said = tab.page.inner_text("body")
    assert str(tmp_path) not in said
    assert "/files/" not in said
    tab.clear()
    tab.drop(photo)
    tab.preview()


def test_two_visitors_at_once_see_their_own_and_nothing_else(visit, tmp_path):
    paths = [sample(tmp_path / f"{name}.png", (120, 90)) for name in ("hers", "his")]
    with Image.open(paths[1]) as image:
        image.transpose(Image.Transpose.ROTATE_180).save(paths[1])
    tabs = [Tab(visit(), "photo") for _ in paths]
    for tab, path in zip(tabs, paths, strict=True):
        tab.drop(path)
    for tab in tabs:
        tab.preview()
        tab.run.click()
    for tab, path in zip(tabs, paths, strict=True):
        assert np.array_equal(pixels(tab.download(f"{path.stem}-x4.png")), expected(path))
        assert tab.results.count() == 1
    address = tabs[0].results.get_attribute("href")
    session = next(part for part in address.split("/") if part.startswith("s-"))
    before, _ = address.split(session)
    for guess in (address.replace(session, "s-" + "a" * 43), before, before + session):
        assert tabs[1].page.request.get(guess).status in (403, 404)


def test_results_outlive_a_killed_server(visit, photo, tmp_path):
    pytest.importorskip("gradio", reason='Gradio is not installed: pip install "fastsr[web]"')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    folder = tmp_path / "web"
    with serving(folder, "--port", port) as (url, process):
        tab = Tab(visit(url), "photo")
        tab.drop(photo)
        tab.preview()
        tab.enlarge("photo-x4.png")
        process.kill()
        process.wait()
    with serving(folder, "--port", port) as (url, _):
        open_page(tab.page, url)
        assert np.array_equal(pixels(tab.download("photo-x4.png")), expected(photo))


def test_everything_by_keys(visit, photo):
    page = visit()
    tab = Tab(page, "photo")
    focus(page, "upload")
    choose_files(page, photo)
    tab.preview()
    focus(page, "model")
    page.keyboard.press("Control+a")
    page.keyboard.type("twice; sharp")  # of the line on fast-x2, since the one on the automatic choice names it too
    page.keyboard.press("Enter")
    page.locator('fastsr-viewer[after="fast-x2"]').wait_for()
    focus(page, "enlarge")
    page.keyboard.press("Enter")
    tab.results.wait_for()
    focus(page, "divider")
    page.keyboard.press("ArrowRight")
    assert tab.divider.get_attribute("aria-valuenow") == "52"
    focus(page, "photo-x4.png")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert np.array_equal(pixels(download.value.path()), expected(photo, model="fast-x2", scale=4))


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_is_wider_than_a_phone(visit, photo, width):
    page = visit(viewport={"width": width, "height": 800}, is_mobile=True, has_touch=True, device_scale_factor=2)
    tab = Tab(page, "photo")
    assert overhang(page) == []
    tab.drop(photo)
    tab.preview()
    tab.enlarge("photo-x4.png")
    assert overhang(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert tab.viewer.bounding_box()["width"] > width * 0.75
    for name in ("Video", "Live", "Models") if width == 390 else ():  # else behind a button
        page.get_by_role("tab", name=name).click()
        assert overhang(page) == [], name


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_dark_and_light(visit, scheme):
    page = visit(color_scheme=scheme)
    colors = page.evaluate(
        """() => {
            const of = (element, what) => getComputedStyle(element)[what].match(/[\\d.]+/g).slice(0, 3).map(Number);
            const heading = document.querySelector("#title h1");
            return [of(heading, "color"), of(document.body, "backgroundColor")];
        }"""
    )
    text, ground = (sum(color) / 3 for color in colors)
    assert (text > ground) == (scheme == "dark")
    assert abs(text - ground) > 150


def test_a_pasted_photo(visit, photo):
    page = visit()
    tab = Tab(page, "photo")
    page.evaluate(
        """(bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "photo.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        list(photo.read_bytes()),
    )
    tab.preview()
    assert np.array_equal(pixels(tab.enlarge("photo-x4.png")), expected(photo))
