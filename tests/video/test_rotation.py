"""Display matrices: carried where the output has a place for one, else the pixels are turned."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from support.video_runs import upscale
from support.video_samples import HEIGHT, QUARTER_TURN, TICKS, WIDTH, decoded, packets, video, with_display_matrix

av = pytest.importorskip("av")

from av.sidedata.sidedata import Type  # noqa: E402

from fastsr.video.sources.side_data import side_data  # noqa: E402


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_rotation_is_carried(tmp_path, name):
    source = with_display_matrix(video(tmp_path / "in.mp4", sound=True))
    upscale(source, tmp_path / name, codec="hevc" if name == "out.mkv" else None)
    before, after = decoded(source)[0], decoded(tmp_path / name)[0]
    assert abs(before.rotation) == 90
    assert side_data(after).get(Type.DISPLAYMATRIX) == side_data(before).get(Type.DISPLAYMATRIX)
    assert (after.width, after.height) == (2 * WIDTH, 2 * HEIGHT)
    assert len(decoded(tmp_path / name)) == 12
    assert packets(tmp_path / name)[1][0] == "audio"


def shown_by_ffmpeg(frame):
    """The pixels of a frame turned by FFmpeg's own filters, as its players turn them."""
    graph = av.filter.Graph()
    buffer = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICKS)
    a, b, _, c, d, *_ = struct.unpack("=9i", side_data(frame)[Type.DISPLAYMATRIX])
    names = ["format=gbrp"]
    if a == 0:  # x and y change places, then each may be mirrored
        names += ["transpose=cclock_flip", *["hflip"] * (c < 0), *["vflip"] * (b < 0)]
    else:
        names += [*["hflip"] * (a < 0), *["vflip"] * (d < 0)]
    steps = [graph.add(*name.split("=")) for name in names]
    graph.link_nodes(buffer, *steps, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull().to_ndarray(format="rgb24")


MATRICES = {
    "quarter": QUARTER_TURN,
    "three quarters": (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
    "half": (-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30),
    "mirrored": (-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30),
    "mirrored quarter": (0, 65536, 0, 65536, 0, 0, 0, 0, 1 << 30),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_numbered_images_are_upright(tmp_path, matrix):
    """Images cannot say how they are turned, so their pixels are."""
    source = with_display_matrix(video(tmp_path / "in.mp4", 3, pix_fmt="yuv444p", options={"qp": "0"}), matrix)
    upscale(source, tmp_path / "%d.png", scale=1)
    for number, frame in enumerate(decoded(source), 1):
        expected = shown_by_ffmpeg(frame)
        with Image.open(tmp_path / f"{number}.png") as made:
            assert made.size == ((HEIGHT, WIDTH) if matrix[0] == 0 else (WIDTH, HEIGHT))
            assert np.abs(np.asarray(made).astype(int) - expected).max() <= 2


def test_the_size_of_upright_images_is_that_of_what_is_shown(tmp_path):
    source = with_display_matrix(video(tmp_path / "in.mp4", 2, aspect=Fraction(4, 3)))
    upscale(source, tmp_path / "%d.png", scale=None, size=(64, 100))
    with Image.open(tmp_path / "1.png") as made:
        assert made.size == (64, 100)


def test_strips_are_upright(tmp_path):
    upscale(with_display_matrix(video(tmp_path / "in.mp4", 8)), tmp_path / "strip.png", preview=True)
    with Image.open(tmp_path / "strip.png") as made:
        assert made.size == (2 * 2 * HEIGHT, 4 * 2 * WIDTH)


def test_a_rotation_that_is_no_quarter_turn_is_said_to_be_lost(tmp_path):
    skewed = (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    source = with_display_matrix(video(tmp_path / "in.mp4", 2), skewed)
    with pytest.warns(RuntimeWarning, match=r"in\.mp4: its rotation by 45 degrees is lost"):
        upscale(source, tmp_path / "%d.png")
