"""Stills of compressed clips beside one another."""

import sys

import numpy as np
import pytest
from PIL import Image
from support.small_models import SAMPLE

pytest.importorskip("av", reason="PyAV is not installed")

from support import video_samples

from benchmarks import video_stills
from benchmarks.demo import GAP
from training.measure import clips


def test_a_still_is_the_last_frame_behind_the_encoder():
    made = np.asarray(video_stills.compressed(SAMPLE, 32), int)
    last = clips.panned(SAMPLE, video_stills.FRAMES)[-1]
    assert made.shape == last.shape
    assert 1 < np.abs(made - last).mean() < 12


def test_a_page_has_a_row_for_each_clip(tmp_path, monkeypatch, capsys):
    video = video_samples.video(tmp_path / "clip.mp4", size=(112, 128))
    target = tmp_path / "page.png"
    arguments = [str(video), str(SAMPLE), "-o", str(target), "--models", "bicubic", "--crf", "20"]
    monkeypatch.setattr(sys, "argv", ["video_stills", *arguments])
    video_stills.main()
    side = video_stills.SIDE
    with Image.open(target) as page:
        assert page.size == (2 * side + GAP, 2 * side + GAP)
        second = page.crop((0, side + GAP, side, 2 * side + GAP - 22))
    frame = video_stills.compressed(SAMPLE, 20)
    whole = frame.resize((frame.width * 4, frame.height * 4), Image.Resampling.LANCZOS)
    left, top = round(0.5 * (whole.width - side)), round(0.4 * (whole.height - side))
    assert second.tobytes() == whole.crop((left, top, left + side, top + side - 22)).tobytes()
    assert "Lanczos, bicubic, behind x264 at crf 20" in capsys.readouterr().out
