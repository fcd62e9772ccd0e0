"""Numbered images and folders of images, read and written as videos."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.command import files
from support.video_runs import Kill, stop_after
from support.video_samples import HEIGHT, WIDTH, decoded, frame_pixels, shown, video

pytest.importorskip("av")

import fastsr
from fastsr.errors import FastsrError, VideoError

pytestmark = pytest.mark.usefixtures("here")


def test_sequence_out_and_in(cli):
    video("in.mp4", 10, pix_fmt="yuv444p", options={"qp": "0"})
    code, _, err = cli("in.mp4", "-o", "frames/%03d.png", "--scale", "1", "--model", "nearest")
    assert (code, err) == (0, "")
    assert files("frames") == [f"{number:03d}.png" for number in range(1, 11)]
    for number, frame in enumerate(decoded("in.mp4"), 1):
        made = np.asarray(Image.open(f"frames/{number:03d}.png")).astype(int)
        assert np.abs(made - frame.to_ndarray(format="rgb24")).max() <= 1
    for source in ("frames/%03d.png", "frames"):
        target = f"{Path(source).name[0]}.mp4"
        options = ["--fps", "10", "--pix-fmt", "yuv444p", "--lossless"]
        code, _, err = cli(source, "-o", target, *options)
        assert (code, err) == (0, "")
        assert [time for time, _ in shown(target)] == [Fraction(number, 10) for number in range(10)]
        first = decoded(target)[0]
        assert (first.width, first.colorspace, first.color_range) == (2 * WIDTH, 1, 1)
        given = np.asarray(Image.open("frames/001.png")).astype(int)
        made = first.to_ndarray(format="rgb24", src_colorspace=1)[::2, ::2]
        assert np.abs(made - given).max() <= 3


def test_sequences_keep_16_bits():
    from fastsr import images

    Path("deep").mkdir()
    for number in range(3):
        taken = images.read(frame_pixels(number, dtype=np.uint16))
        images.write(taken, taken.frames, f"deep/{number}.png")
    Path("large").mkdir()
    fastsr.upscale_video("deep/%d.png", "large/%d.png", model="nearest", scale=2)
    made = images.read("large/2.png").frames[0].color
    np.testing.assert_array_equal(made[::2, ::2], frame_pixels(1, dtype=np.uint16))
    fastsr.upscale_video("deep", "deep.mkv", model="nearest", scale=2)
    assert decoded("deep.mkv")[0].format.name == "yuv420p10le"


def test_a_sequence_is_resumed_where_it_was_killed():
    video("in.mp4", 40)
    Path("out").mkdir()
    with pytest.raises(Kill):
        fastsr.upscale_video("in.mp4", "out/%d.png", model="nearest", scale=2, progress=stop_after(30))
    result = fastsr.upscale_video("in.mp4", "out/%d.png", model="nearest", scale=2)
    assert (result.frames, result.resumed) == (40, 24)
    assert len(files("out")) == 40


def test_bad_sequences():
    Path("s").mkdir()
    for name in ("1.png", "2.png", "4.png"):
        Image.fromarray(frame_pixels(0)).save(f"s/{name}")
    with pytest.raises(VideoError, match=r"s/3\.png: is missing in the sequence"):
        fastsr.upscale_video("s/%d.png", "out.mp4", model="nearest")
    with pytest.raises(VideoError, match=r"s/%d\.jpg: no file matches it"):
        fastsr.upscale_video("s/%d.jpg", "out.mp4", model="nearest")
    Image.fromarray(frame_pixels(0, 20, 20)).save("s/3.png")
    with pytest.raises(FastsrError, match=r"decode, frame 2: s/3\.png: differs from s/1\.png"):
        fastsr.upscale_video("s/%d.png", "out.mp4", model="nearest")
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 4), np.uint8)).save("s/3.png")
    with pytest.raises(FastsrError, match=r"s/3\.png: has transparency"):
        fastsr.upscale_video("s/%d.png", "out.mp4", model="nearest")
    assert files() == ["s/1.png", "s/2.png", "s/3.png", "s/4.png"]
