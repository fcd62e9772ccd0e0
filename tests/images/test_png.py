"""PNG's rows and their zlib stream: every filter, depth and channel count, in one piece and in many."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import reference_kernels as reference
from support.image_helpers import noise, rewritten

from fastsr import _core
from fastsr.images import Frame, deflate, read, write
from fastsr.images.decoding import read_encoded

LAYOUTS = [(channels, dtype) for channels in (1, 2, 3, 4) for dtype in (np.uint8, np.uint16)]


@pytest.fixture(params=_core.available_isas())
def isa(request, monkeypatch):
    monkeypatch.setenv("FASTSR_ISA", request.param)


def rows_for_every_filter(width, channels, dtype):
    """Rows near what each of the five filters predicts from those around them, so that each is the best for some."""
    rng, most, unit = np.random.default_rng(0), np.iinfo(dtype).max, np.iinfo(dtype).max // 255
    rows = unit * (rng.random((40, width, channels)) < 0.1)  # best as they are
    for y in range(8, 40):
        for x in range(width):
            left, above = rows[y, x - 1] if x else 0, rows[y - 1, x]
            corner = rows[y - 1, x - 1] if x else 0
            fresh = rng.integers(0, most, channels)
            predicted = [left, above, (left + above) // 2, left + above - corner][y // 8 - 1]
            steep = y % 8 == 0 or (y // 8 == 1 and x % 9 == 0)  # or all would come near the same
            rows[y, x] = fresh if steep else np.clip(predicted + rng.integers(0, 2 * unit, channels), 0, most)
    return rows.astype(dtype)


@pytest.mark.parametrize(("channels", "dtype"), LAYOUTS)
@pytest.mark.parametrize("width", [1, 2, 7, 300])
@pytest.mark.usefixtures("isa")
def test_filtered_rows_equal_the_reference(channels, dtype, width):
    rows = rows_for_every_filter(width, channels, dtype)
    for above in (None, noise(width, channels, dtype=dtype)):
        made = np.empty((len(rows), 1 + rows[0].nbytes), np.uint8)
        _core.png_filter_rows(rows, above, made)
        np.testing.assert_array_equal(made, reference.png_filter_rows(rows, above))
    if width == 300:
        assert set(made[:, 0]) == {0, 1, 2, 3, 4}


@pytest.mark.usefixtures("isa")
def test_long_rows_are_told_by_some_of_their_blocks():
    rows = np.tile(rows_for_every_filter(300, 3, np.uint8), (1, 17, 1))
    rows[:, 100:160] = noise(len(rows), 60, 3)  # of which little is looked at
    made = np.empty((len(rows), 1 + rows[0].nbytes), np.uint8)
    _core.png_filter_rows(rows, None, made)
    np.testing.assert_array_equal(made, reference.png_filter_rows(rows))


@pytest.mark.usefixtures("isa")
def test_signed_bytes_of_filtered_rows_at_their_limits():
    rows = np.random.default_rng(0).choice(np.array([0, 127, 128, 129, 255], np.uint8), (64, 700, 3))
    made = np.empty((64, 2101), np.uint8)
    _core.png_filter_rows(rows, None, made)
    np.testing.assert_array_equal(made, reference.png_filter_rows(rows))


@pytest.mark.parametrize(
    ("rows", "above", "out", "what"),
    [
        (np.zeros((2, 3, 3), np.float32), None, np.empty((2, 10), np.uint8), "rows has dtype float32"),
        (np.zeros((2, 3, 5), np.uint8), None, np.empty((2, 16), np.uint8), "1 to 4 channels"),
        (np.zeros((2, 3), np.uint8), None, np.empty((2, 4), np.uint8), "height x width"),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((4, 3), np.uint8), np.empty((2, 10), np.uint8), "above"),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((3, 3), np.uint16), np.empty((2, 10), np.uint8), "above"),
        (np.zeros((2, 3, 3), np.uint8), None, np.empty((2, 9), np.uint8), "out must be"),
        (np.zeros((2, 3, 3), np.uint16), None, np.empty((2, 10), np.uint8), "out must be"),
        (np.zeros((2, 6, 3), np.uint8)[:, ::2], None, np.empty((2, 10), np.uint8), "contiguous"),
    ],
)
def test_what_cannot_be_filtered(rows, above, out, what):
    with pytest.raises(ValueError, match=what):
        _core.png_filter_rows(rows, above, out)


@pytest.mark.parametrize("smallest", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize(
    "sizes", [[], [0], [1], [5, 0, 70000, 1], [20000] * 30], ids=["none", "empty", "byte", "uneven", "many"]
)
def test_zlib_stream(sizes, threads, smallest, monkeypatch):
    monkeypatch.setattr(_core, "thread_count", lambda: threads)
    text = np.random.default_rng(1).integers(0, 9, 40000, np.uint8).tobytes() * 2
    pieces = [memoryview(text)[:size] for size in sizes]
    made = b"".join(deflate.zlib_stream(pieces, smallest))
    whole = b"".join(pieces)
    assert zlib.decompress(made) == whole
    if len(sizes) == 30:  # what repeats the piece before it is found in its window only
        assert len(made) < 6 * len(zlib.compress(text[:20000]))


def test_zlib_stream_takes_few_pieces_ahead(monkeypatch):
    monkeypatch.setattr(_core, "thread_count", lambda: 2)
    taken = []

    def pieces():
        for index in range(100):
            taken.append(index)
            yield memoryview(bytes(1000))

    stream = deflate.zlib_stream(pieces())
    next(stream)
    assert not taken
    for given in range(1, 60):
        next(stream)
        assert len(taken) <= given + 5


def test_zlib_stream_passes_errors_on(monkeypatch):
    monkeypatch.setattr(_core, "thread_count", lambda: 2)

    def pieces():
        yield memoryview(bytes(1000))
        raise MemoryError

    with pytest.raises(MemoryError):
        list(deflate.zlib_stream(pieces()))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(("channels", "dtype"), LAYOUTS)
def test_pixels_of_many_pieces_come_back(channels, dtype, compress, tmp_path, monkeypatch):
    monkeypatch.setattr("fastsr.images.png.PIECE_BYTES", 1000)
    rows = rows_for_every_filter(100, channels, dtype)
    frame = Frame(rows[..., :-1], rows[..., -1:]) if channels in (2, 4) else Frame(rows)
    frame = Frame(*(None if plane is None else np.ascontiguousarray(plane) for plane in (frame.color, frame.alpha)))
    write(read(rows[..., :1]), [frame], tmp_path / "a.png", compress=compress)
    again = read_encoded((tmp_path / "a.png").read_bytes(), "a.png", False).frames[0]
    np.testing.assert_array_equal(again.color, frame.color)
    assert (again.alpha is None) == (frame.alpha is None)
    if frame.alpha is not None:
        np.testing.assert_array_equal(again.alpha, frame.alpha)
    opened = Image.open(tmp_path / "a.png")
    opened.load()  # checks every CRC and the checksum
    if dtype == np.uint8:
        np.testing.assert_array_equal(np.atleast_3d(np.asarray(opened)), rows)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_compress_makes_smaller_files_of_the_same_pixels(suffix, tmp_path):
    image = noise(200, 300, 3) // 64
    plain = rewritten(image, tmp_path / f"plain{suffix}")
    small = rewritten(image, tmp_path / f"small{suffix}", compress=True)
    np.testing.assert_array_equal(np.asarray(small), np.asarray(plain))
    assert (tmp_path / f"small{suffix}").stat().st_size < (tmp_path / f"plain{suffix}").stat().st_size


def test_size_is_near_that_of_zlib(tmp_path):
    asset = Path(__file__).parents[2] / "benchmarks/assets/photo.jpg"
    enlarged = (
        Image.open(asset).convert("RGB").crop((100, 100, 356, 356)).resize((1024, 1024), Image.Resampling.LANCZOS)
    )
    write(read(enlarged), read(enlarged).frames, tmp_path / "a.png")
    by_zlib = io.BytesIO()
    enlarged.save(by_zlib, "PNG", compress_level=6)
    assert (tmp_path / "a.png").stat().st_size < 1.1 * len(by_zlib.getvalue())
