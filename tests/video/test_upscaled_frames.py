"""The frames of a result: those of the upscaler, in the codec and format that was asked for or the source has."""

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from support.video_runs import upscale
from support.video_samples import HEIGHT, WIDTH, decoded, frame_pixels, planes, shown, smooth_frame, video

av = pytest.importorskip("av")

import fastsr  # noqa: E402
from fastsr.errors import VideoError  # noqa: E402


def test_frames_are_those_of_the_upscaler(tmp_path):
    source = video(tmp_path / "in.mp4", 5, pix_fmt="yuv444p", options={"qp": "0"})
    result = upscale(source, tmp_path / "out.mp4", lossless=True)
    assert result.frames == 5
    assert (result.repeated, result.resumed, result.damaged) == (0, 0, 0)
    for before, after in zip(decoded(source), decoded(tmp_path / "out.mp4"), strict=True):
        assert (after.width, after.height, after.format.name) == (WIDTH * 2, HEIGHT * 2, "yuv444p")
        for small, large in zip(planes(before), planes(after), strict=True):
            assert np.abs(np.repeat(np.repeat(small, 2, 0), 2, 1) - large).max() <= 1


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mp4"), ("hevc", ".mov"), ("av1", ".mp4"), ("vp9", ".mp4"), ("prores", ".mov")]
)
def test_codecs(tmp_path, codec, suffix):
    source = video(tmp_path / "in.mkv", 10, colors=(1, 1, 1, 1), aspect=Fraction(4, 3))
    upscale(source, tmp_path / f"out{suffix}", codec=codec, segment=4)
    with av.open(str(tmp_path / f"out{suffix}")) as made:
        stream = made.streams.video[0]
        assert stream.codec_context.name in (codec, f"lib{codec}", "libdav1d", "libvpx-vp9")
        assert stream.sample_aspect_ratio == Fraction(4, 3)
        frames = list(made.decode(stream))
    assert [f.pts * f.time_base for f in frames] == [time for time, _ in shown(source)]
    for frame in frames:
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
    difference = frames[3].to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT).astype(int) - frame_pixels(3)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_lossless(tmp_path, codec):
    source = video(tmp_path / "in.mkv", 4, options={"qp": "0"}, pixels=smooth_frame, size=(96, 64))
    upscale(source, tmp_path / "out.mkv", codec=codec, lossless=True, scale=1)
    for before, after in zip(decoded(source), decoded(tmp_path / "out.mkv"), strict=True):
        assert max(np.abs(a - b).max() for a, b in zip(planes(before), planes(after), strict=True)) <= 1


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_subsampling_and_depth_are_kept(tmp_path, pix_fmt):
    colors = (9, 1, 9, 16)
    exact = {"pix_fmt": pix_fmt, "options": {"qp": "0"}, "pixels": smooth_frame}
    source = video(tmp_path / "in.mkv", 3, colors=colors, size=(96, 64), **exact)
    upscale(source, tmp_path / "out.mp4", codec="hevc", lossless=True, scale=1)
    for before, after in zip(decoded(source), decoded(tmp_path / "out.mp4"), strict=True):
        assert after.format.name == pix_fmt
        assert (after.colorspace, after.color_range, after.color_primaries, after.color_trc) == colors
        assert max(np.abs(a - b).max() for a, b in zip(planes(before), planes(after), strict=True)) <= 1


def test_full_range_is_kept(tmp_path):
    source = video(tmp_path / "in.mkv", 3, colors=(6, 2, 6, 6))
    upscale(source, tmp_path / "out.mp4")
    assert {(f.colorspace, f.color_range) for f in decoded(tmp_path / "out.mp4")} == {(6, 2)}


def test_equal_frames_are_computed_once(tmp_path):
    def still(number, width, height):
        return frame_pixels(number // 4, width, height)

    source = video(tmp_path / "in.mp4", 12, pixels=still, options={"qp": "0"})
    assert upscale(source, tmp_path / "out.mp4").repeated == 9
    assert len(decoded(tmp_path / "out.mp4")) == 12


def test_odd_sides_become_even_where_the_format_needs_it(tmp_path):
    source = video(tmp_path / "in.mkv", 3, pix_fmt="yuv444p", size=(33, 31))
    upscale(source, tmp_path / "a.mkv", scale=1)
    assert (decoded(tmp_path / "a.mkv")[0].width, decoded(tmp_path / "a.mkv")[0].height) == (33, 31)
    upscale(source, tmp_path / "b.mkv", scale=1, pix_fmt="yuv420p")
    assert (decoded(tmp_path / "b.mkv")[0].width, decoded(tmp_path / "b.mkv")[0].height) == (34, 32)
    with pytest.raises(VideoError, match=r"yuv420p holds no 33x31; ask for 34x32"):
        fastsr.upscale_video(source, tmp_path / "c.mkv", model="nearest", size=(33, 31), pix_fmt="yuv420p")


def test_another_shape_changes_the_aspect_of_samples(tmp_path):
    source = video(tmp_path / "in.mkv", 3, aspect=Fraction(1))
    fastsr.upscale_video(source, tmp_path / "out.mkv", model="nearest", size=(WIDTH * 4, HEIGHT * 2))
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert made.streams.video[0].sample_aspect_ratio == Fraction(1, 2)


def test_an_aspect_that_would_be_lost_is_refused(tmp_path):
    source = video(tmp_path / "in.mkv", 3, aspect=Fraction(4, 3))
    with pytest.raises(VideoError, match="sample aspect ratio 4/3 would be lost with vp9 here"):
        upscale(source, tmp_path / "out.webm")
    fastsr.upscale_video(source, tmp_path / "out.webm", model="nearest", size=(WIDTH * 4, HEIGHT * 3))
    assert len(decoded(tmp_path / "out.webm")) == 3


def test_animated_gif(tmp_path):
    images = [Image.fromarray(frame_pixels(number)) for number in range(4)]
    images[0].save(tmp_path / "in.gif", save_all=True, append_images=images[1:], duration=[100, 50, 200, 70])
    assert upscale(tmp_path / "in.gif", tmp_path / "out.mp4").frames == 4
    times = [time for time, _ in shown(tmp_path / "out.mp4")]
    assert times == [Fraction(n, 100) for n in (0, 10, 15, 35)]
    frame = decoded(tmp_path / "out.mp4")[2]
    assert (frame.colorspace, frame.format.name) == (1, "yuv420p")
    shrunk = frame.to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT).astype(int)
    assert np.abs(shrunk - frame_pixels(2)).mean() < 12


def test_interlaced_input_is_refused_or_made_whole(tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "interlaced=1:tff=1"}
    source = video(tmp_path / "in.mkv", 8, options=options, interlaced=True, size=(48, 64))
    assert decoded(source)[0].interlaced_frame
    with pytest.raises(VideoError, match=r"interlaced.*--deinterlace"):
        upscale(source, tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()
    assert upscale(source, tmp_path / "out.mkv", deinterlace=True).frames == 8
    assert [time for time, _ in shown(tmp_path / "out.mkv")] == [time for time, _ in shown(source)]
    assert not decoded(tmp_path / "out.mkv")[0].interlaced_frame


def test_progress(tmp_path, clip):
    seen = []
    upscale(clip, tmp_path / "out.mp4", progress=seen.append)
    assert [p.frames for p in seen] == list(range(1, 13))
    assert {p.total for p in seen} == {12}
    assert seen[-1].shown == pytest.approx(12 / 25)
    assert seen[-1].real_time_factor == pytest.approx(seen[-1].shown / seen[-1].elapsed)


def test_the_same_call_gives_the_same_bytes(tmp_path):
    source = video(tmp_path / "in.mkv", sound=True)
    for suffix in (".mp4", ".mkv"):
        hashes = set()
        for number in range(2):
            upscale(source, tmp_path / f"out{number}{suffix}")
            hashes.add(hashlib.sha256((tmp_path / f"out{number}{suffix}").read_bytes()).hexdigest())
        assert len(hashes) == 1
