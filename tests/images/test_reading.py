"""Paths and files, and the errors that name a remedy."""

from __future__ import annotations

import errno
import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.image_helpers import encoded, noise, restored, smooth, twice
from support.image_samples import png_bytes, tiff_bytes

from fastsr.errors import ImageError
from fastsr.images import read


def test_paths_files_and_positions(tmp_path):
    Image.fromarray(smooth(4, 4)).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert read(path).name == str(tmp_path / "a.png")
        np.testing.assert_array_equal(np.asarray(restored(path)), twice(smooth(4, 4)))
    with (tmp_path / "b.bin").open("w+b") as file:
        file.write(b"head" + (tmp_path / "a.png").read_bytes())
        file.seek(4)
        np.testing.assert_array_equal(np.asarray(restored(file)), twice(smooth(4, 4)))
        assert not file.closed
    stream = io.BytesIO((tmp_path / "a.png").read_bytes())
    assert read(stream).name == "image"
    assert not stream.closed


def test_file_errors(tmp_path, monkeypatch):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image at all, just words")
    for name, words in [
        ("none.png", "no such file"),
        ("", "folder"),
        ("empty.png", "empty"),
        ("text.png", "not an im"),
    ]:
        with pytest.raises(ImageError, match=words) as caught:
            read(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)

    def refuse(self):
        raise PermissionError(errno.EACCES, "refused")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageError, match=r"text\.png: no permission"):
        read(tmp_path / "text.png")


@pytest.mark.parametrize("thing", [None, 3, [[1, 2]], b"bytes", {"a": 1}])
def test_unsupported_types(thing):
    with pytest.raises(ImageError, match=rf"{type(thing).__name__}.*Pillow image"):
        read(thing)


def test_text_file_object(tmp_path):
    with pytest.raises(ImageError, match='"rb"'):
        read(io.StringIO("text"))
    with (tmp_path / "a").open("wb") as file, pytest.raises(ImageError, match="cannot be read"):
        read(file)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_truncated_files(format, kept, tmp_path):
    data = encoded(Image.fromarray(noise(64, 64, 3)), format).getvalue()
    path = tmp_path / f"cut.{format.lower()}"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match=r"cut\..*damaged"):
        read(path)
    if format not in ("WEBP", "AVIF"):  # these fail as Pillow opens them
        with Image.open(path) as image, pytest.raises(ImageError, match="damaged"):
            read(image)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_truncated_deep_files():
    data = png_bytes(noise(32, 32, 3, dtype=np.uint16))
    with pytest.raises(ImageError, match="damaged"):
        read(io.BytesIO(data[:2000]))
    for compression in (1, 8):
        data = tiff_bytes(noise(32, 32, 3, dtype=np.uint16), order="<", compression=compression)
        with pytest.raises(ImageError, match="damaged"):
            read(io.BytesIO(data[:2000]))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "GIF", "WEBP", "JPEG"])
@pytest.mark.parametrize("limit", [40, 70])
@pytest.mark.filterwarnings("error")
def test_too_many_pixels(format, limit, monkeypatch):
    """At 100 pixels: Pillow would refuse at a limit of 40 and only warn at one of 70."""
    file = encoded(Image.fromarray(smooth(10, 10)), format)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match=r"allow_huge=True.*--allow-huge"):
        read(file)
    file.seek(0)
    assert read(file, allow_huge=True).frames[0].color.shape[:2] == (10, 10)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_limit_holds_while_other_threads_lift_it(monkeypatch):
    data = encoded(Image.fromarray(smooth(10, 10)), "PNG").getvalue()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    wrong = []

    def work(huge: bool) -> None:
        for _ in range(40):
            try:
                read(io.BytesIO(data), allow_huge=huge)
                wrong.extend([] if huge else ["read without leave"])
            except ImageError:
                wrong.extend(["refused with leave"] if huge else [])

    threads = [threading.Thread(target=work, args=(index % 2 == 0,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert Image.MAX_IMAGE_PIXELS == 40


def test_drawing_commands_are_refused():
    file = io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(ImageError, match="drawing commands"):
        read(file)
