"""The demo's video."""

import subprocess
import sys

import pytest
from PIL import Image

pytest.importorskip("av", reason="PyAV is not installed")

from support import video_samples
from support.pages import ROOT

from benchmarks import demo


def test_a_part_of_the_clip_is_enlarged(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "PART", (0.0, 0.08))
    line, result = demo.video(tmp_path / "large.mp4").splitlines()
    assert line.startswith(f"{demo.CLIP}: 2 frames, ")
    assert line.endswith(" frames a second")
    assert result == f"result: {tmp_path}/large.mp4"
    frames = video_samples.decoded(tmp_path / "large.mp4")
    assert [(frame.width, frame.height) for frame in frames] == [(1920, 1080)] * 2


def test_what_the_video_needs_is_told(tmp_path):
    code = "import sys; sys.modules['av'] = None; from benchmarks import demo; print(demo.video(sys.argv[1]))"
    given = [sys.executable, "-c", code, str(tmp_path / "large.mp4")]
    line = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert line.startswith(f"{demo.CLIP}: left out; video needs PyAV")
    assert list(tmp_path.iterdir()) == []


def test_panels_show_the_same_place_of_each():
    images = {name: Image.linear_gradient("L").resize((90, 60)) for name in "abc"}
    made = demo.panels(images, 0.5, 0.0, panel=40)
    assert made.size == (3 * 40 + 2 * demo.GAP, 40)
    for i in range(3):
        left = i * (40 + demo.GAP)
        part = made.crop((left, 0, left + 40, 18))
        assert part.tobytes() == images["a"].crop((25, 0, 65, 18)).convert("RGB").tobytes()
