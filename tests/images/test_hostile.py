"""Files made to do harm: what is refused, before memory is taken or another program runs, and how that is said."""

from __future__ import annotations

import io
import os
import resource
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from fuzz.target import CORPUS
from PIL import Image
from support.image_helpers import encoded, noise
from support.image_samples import png_bytes, png_chunk

import fastsr
from fastsr.errors import FastsrError, ImageError
from fastsr.images import pixel_limit, read, write

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((CORPUS / "images").iterdir())


# ---------------------------------------------------------------- other programs


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(PostScript) print\n%%EOF\n"


def iptc_field(record: int, tag: int, data: bytes) -> bytes:
    return b"\x1c" + bytes([record, tag]) + struct.pack(">H", len(data)) + data


def eps_in_iptc() -> bytes:
    side = struct.pack(">H", 10)
    fields = [(3, 60, b"\1\0"), (3, 20, side), (3, 30, side), (3, 120, b"\5"), (8, 10, EPS)]
    return b"".join(iptc_field(*field) for field in fields)


IPTC = eps_in_iptc()


@pytest.fixture
def called(tmp_path, monkeypatch):
    """The log of a stand-in for Ghostscript, which is there once it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gs").write_text(f"#!/bin/sh\necho called >> {folder}/log\n")
    (folder / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "log"


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("data", [EPS, IPTC], ids=["plain", "in IPTC"])
def test_no_postscript_reaches_ghostscript(data, opened, tmp_path, called):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    Image.init()  # as after a user has opened some rare format
    given = Image.open(path) if opened else path
    with pytest.raises(ImageError, match="not an image" if data is IPTC and not opened else "drawing commands"):
        read(given)
    assert not called.exists()


# ---------------------------------------------------------------- memory


def gif(width: int, height: int, frames: int = 1, side: int = 1) -> bytes:
    """Frames of one palette entry, disposed of by painting the background, which Pillow allocates as it opens."""
    out = b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + bytes(6)
    frame = b"!\xf9\x04\x08\1\0\0\0," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00"
    return out + frames * frame + b";"


def apng(width: int, height: int) -> bytes:
    """A default image for viewers that know no animation, which seeking loads, and frames of one pixel."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    shown = [png_chunk(b"IHDR", head), png_chunk(b"acTL", struct.pack(">II", 2, 0))]
    shown.append(png_chunk(b"IDAT", zlib.compress(bytes(height * (1 + width)), 9)))
    for index in (0, 2):
        shown.append(png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", index, 1, 1, 0, 0, 1, 10, 0, 0)))
        shown.append(png_chunk(b"fdAT", struct.pack(">I", index + 1) + zlib.compress(b"\0\0")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(shown) + png_chunk(b"IEND", b"")


def pages(*sizes: tuple[int, int]) -> bytes:
    first, *others = (Image.new("1", size) for size in sizes)
    return encoded(first, "TIFF", save_all=True, append_images=others, compression="group4").getvalue()


def peak_of_child(work) -> tuple[str, int]:
    """What `work` returns, run in a process of its own, and by how many MB its peak memory grew."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            said = work()
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
            os.write(writer, f"{grown} {said}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        grown, _, said = pipe.read().partition(" ")
    os.waitpid(child, 0)
    return said, int(grown)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (gif(50000, 50000, side=50000), "50000 x 50000 pixels are over the limit"),
        (gif(12000, 9000, side=9000), "12000 x 9000 pixels are over the limit"),
        (gif(3000, 3000, 40), "40 frames of 3000 x 3000 pixels are over the limit"),
        (apng(10000, 9000), "10000 x 9000 pixels are over the limit"),
        (pages((9000, 6000), (9000, 6000)), "its frames together are over the limit"),
    ],
    ids=["gif", "gif over the limit by little", "frames", "apng", "pages"],
)
def test_a_small_file_takes_no_memory(data, says):
    def work() -> str:
        try:
            return f"read {len(read(io.BytesIO(data)).frames)} frames"
        except ImageError as error:
            return str(error)

    read(io.BytesIO(data[:0] + encoded(Image.new("1", (1, 1)), "TIFF").getvalue()))  # plugins are loaded once
    said, grown = peak_of_child(work)
    assert says in said
    assert "allow_huge=True (--allow-huge) or raise PIL.Image.MAX_IMAGE_PIXELS" in said
    assert grown < 100


def test_frames_of_an_opened_animation_are_counted_too(monkeypatch):
    image = Image.open(io.BytesIO(gif(30, 30, 4)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3 * 900)
    with pytest.raises(ImageError, match="4 frames of 30 x 30 pixels are over the limit of 2700"):
        read(image)
    assert len(read(image, allow_huge=True).frames) == 4
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4 * 900)
    assert len(read(image).frames) == 4


def test_a_limit_that_is_raised_or_taken_away_is_followed(monkeypatch):
    data = gif(30, 30, 4)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3600)
    assert len(read(io.BytesIO(data)).frames) == 4
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(read(io.BytesIO(data)).frames) == 4


@pytest.mark.filterwarnings("error")
def test_other_code_keeps_its_guard_while_we_read(monkeypatch):
    """Neither reading nor `allow_huge` changes what Pillow refuses in another thread."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    large = encoded(Image.new("L", (60, 60)), "PNG").getvalue()
    entered, go_on = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def read(self, *size):
            entered.set()
            assert go_on.wait(20)
            return super().read(*size)

    plain, seen = Image.open, []

    def opened(file, *rest, **options):
        return plain(Slow(file.getvalue()), *rest, **options)

    monkeypatch.setattr(Image, "open", opened)
    ours = threading.Thread(target=lambda: seen.append(len(read(io.BytesIO(large), allow_huge=True).frames)))
    ours.start()
    assert entered.wait(20)
    assert Image.MAX_IMAGE_PIXELS == 1000
    with pytest.raises(Image.DecompressionBombError, match="Image size"):
        plain(io.BytesIO(large))
    go_on.set()
    ours.join()
    assert seen == [1]


def test_a_pillow_without_the_check_we_hook_into_keeps_its_own(monkeypatch):
    monkeypatch.delattr(Image, "_decompression_bomb_check")
    pixel_limit._follow_the_thread()
    assert not hasattr(Image, "_decompression_bomb_check")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_our_errors_come_out(path, tmp_path):
    """Mutated images, at which Pillow raises TypeError, ZeroDivisionError and OverflowError or keeps odd metadata."""
    try:
        fastsr.upscale(str(path), model="nearest", scale=1)
        decoded = read(path)
        write(decoded, decoded.frames, tmp_path / "out.png")
    except FastsrError as error:
        assert str(error).startswith((f"{path}: ", f"{tmp_path}/out.png: "))  # noqa: PT017


@pytest.mark.parametrize("error", [TypeError("odd"), ZeroDivisionError(), OverflowError("big"), AssertionError()])
def test_odd_errors_of_an_encoder_name_the_file(error, tmp_path, monkeypatch):
    def failing_save(*_, **__):
        raise error

    monkeypatch.setattr(Image.Image, "save", failing_save)
    decoded = read(noise(4, 4, 3))
    with pytest.raises(ImageError, match=r"a\.jpg: cannot be written as JPEG \(\w+\)"):
        write(decoded, decoded.frames, tmp_path / "a.jpg")


STARVED = """
import os, resource, sys
import numpy as np
from PIL import Image
from fastsr.images import Frame, read, write

small, large = read(Image.new("RGB", (2, 2))), [Frame(np.zeros((2000, 3000, 3), np.uint8))]
for suffix in ("png", "jpg", "webp", "gif", "tif", "avif"):  # what is loaded once is loaded before memory is short
    write(small, small.frames, f"{sys.argv[1]}/small.{suffix}")
    read(f"{sys.argv[1]}/small.{suffix}")
tasks = [lambda path=path: read(path) for path in sys.argv[2:]]
for suffix in ("jpg", "webp", "gif"):
    tasks.append(lambda suffix=suffix: write(small, large, f"{sys.argv[1]}/out.{suffix}"))
tasks.append(lambda: small.restore(large))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
for task in tasks:
    for more in (2 << 20, 12 << 20):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))
            try:
                task()
                said = "done"
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
            os.write(1, said.encode() + bytes([10]))
            os._exit(0)
        os.waitpid(child, 0)
"""


def test_want_of_memory_is_told_and_is_no_damage(tmp_path):
    image, paths = Image.fromarray(np.zeros((2000, 3000, 3), np.uint8)), []
    for format in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "AVIF"):
        paths.append(tmp_path / format)
        image.save(paths[-1], format, **({"speed": 10} if format == "AVIF" else {}))
    paths.append(tmp_path / "progressive")
    image.save(paths[-1], "JPEG", progressive=True)
    paths.append(tmp_path / "deep")
    paths[-1].write_bytes(png_bytes(np.zeros((2000, 2000, 3), np.uint16)))
    # every block of 64 KiB goes back to the system when it is freed, so that none is left over for the next
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    environment["FASTSR_NUM_THREADS"] = "1"  # each thread would leave memory of its own
    command = [sys.executable, "-c", STARVED, tmp_path, *paths]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    names = [*paths, *(tmp_path / f"out.{suffix}" for suffix in ("jpg", "webp", "gif")), "image"]
    said = made.stdout.splitlines()
    for name, line in zip((name for name in names for _ in range(2)), said, strict=True):
        assert line.startswith(f"ImageError: {name}: ")
        assert "not enough memory; free some" in line
