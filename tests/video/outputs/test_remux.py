"""The finished file is read back."""

import pytest
from support.video_samples import video

pytest.importorskip("av")

import fastsr
from fastsr.errors import VideoError
from fastsr.video.outputs import remux

OPTIONS = {"model": "nearest", "scale": 1, "preset": "ultrafast"}


def test_frames_that_are_missing_in_the_finished_file_are_noticed(tmp_path, monkeypatch):
    source = video(tmp_path / "in.mp4", 8)
    monkeypatch.setattr(remux, "_count_frames", lambda path: 7)
    with pytest.raises(VideoError, match=r"out\.mkv: only 7 of 8 frames can be read back"):
        fastsr.upscale_video(source, tmp_path / "out.mkv", **OPTIONS)
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_of_a_finished_file_are_counted(tmp_path, suffix):
    assert remux._count_frames(video(tmp_path / f"in{suffix}", 9, sound=True)) == 9
