"""Timestamps of a result: those of the source, or of the part of it that was asked for."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from support.video_runs import upscale
from support.video_samples import CHAPTERS, TICKS, constant, decoded, packets, planes, shown, smooth_frame, video

av = pytest.importorskip("av")


IRREGULAR = [0, 100, 700, 720, 3000, 3512, 4000, 9000, 9001, 9600, 12000, 12800]


@pytest.mark.parametrize("times", [constant(12), constant(12, start=12345), IRREGULAR])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_times_are_kept(tmp_path, times, suffix, b_frames):
    source = video(tmp_path / "in.mp4", times=times, options={"bf": b_frames, "b-adapt": "0"})
    assert upscale(source, tmp_path / f"out{suffix}", segment=5, preset="medium").frames == len(times)
    assert [time for time, _ in shown(tmp_path / f"out{suffix}")] == [time for time, _ in shown(source)]
    assert [time for time, _ in shown(source)] == [pts * TICKS for pts in times]


def test_times_in_matroska_are_kept_to_its_millisecond(tmp_path):
    source = video(tmp_path / "in.mkv", times=[13 * i * (i + 3) for i in range(12)], options={"bf": "0"})
    upscale(source, tmp_path / "out.mkv", segment=5)
    assert [time for time, _ in shown(tmp_path / "out.mkv")] == [time for time, _ in shown(source)]
    exact = video(tmp_path / "in.mp4", times=IRREGULAR)
    upscale(exact, tmp_path / "out2.mkv")
    for (after, _), (before, _) in zip(shown(tmp_path / "out2.mkv"), shown(exact), strict=True):
        assert abs(after - before) <= Fraction(1, 2000)


@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_the_last_frame_is_shown_as_long_as_before(tmp_path, preset):
    """Whether frames are reordered (veryfast) or not: MP4 says of each how long until the next is decoded."""
    source = video(tmp_path / "in.mp4", times=IRREGULAR, options={"bf": "0"})
    upscale(source, tmp_path / "out.mp4", preset=preset)
    assert (shown(tmp_path / "out.mp4")[-1] == shown(source)[-1]) == (preset == "ultrafast")
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert after.streams.video[0].duration == before.streams.video[0].duration == 12800 + 512


def test_start_and_end(tmp_path):
    source = video(tmp_path / "in.mp4", 50, sound=True, chapters=CHAPTERS, options={"g": "10"})
    result = upscale(source, tmp_path / "out.mp4", start=0.4, end=1.2)
    assert result.frames == 20
    times = [time for time, _ in shown(tmp_path / "out.mp4")]
    assert times == [Fraction(number, 25) for number in range(20)]
    expected = [entry for entry in packets(source)[1][1] if 3200 <= entry[0] < 9600]
    made = packets(tmp_path / "out.mp4")[1][1]
    assert [entry[4] for entry in made] == [entry[4] for entry in expected]
    assert [entry[0] for entry in made] == [entry[0] - 3200 for entry in expected]
    with av.open(str(tmp_path / "out.mp4")) as given:
        assert [c["metadata"]["title"] for c in given.chapters()] == ["two"]
        assert given.chapters()[0]["end"] * given.chapters()[0]["time_base"] == Fraction(8, 100)


def test_the_frames_of_a_part_are_the_right_ones(tmp_path):
    source = video(tmp_path / "in.mp4", 30, options={"g": "7", "qp": "0"}, pixels=smooth_frame, size=(96, 64))
    upscale(source, tmp_path / "out.mp4", start=0.6, scale=1, lossless=True)
    expected = decoded(source)[15:]
    for before, after in zip(expected, decoded(tmp_path / "out.mp4"), strict=True):
        assert max(np.abs(a - b).max() for a, b in zip(planes(before), planes(after), strict=True)) <= 1


def test_fps_limit_drops_frames_and_keeps_times(tmp_path):
    source = video(tmp_path / "in.mp4", 50)
    assert upscale(source, tmp_path / "out.mp4", fps_limit=10).frames == 20
    made = [time for time, _ in shown(tmp_path / "out.mp4")]
    assert set(made) <= {time for time, _ in shown(source)}
    assert all(later - earlier >= Fraction(2, 25) for earlier, later in itertools.pairwise(made))
