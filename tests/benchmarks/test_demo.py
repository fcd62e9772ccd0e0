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


def test_panels_in_rows():
    images = {name: Image.new("RGB", (40, 40), color) for name, color in (("a", "red"), ("b", "blue"), ("c", "lime"))}
    made = demo.panels(images, 0, 0, columns=2)
    assert made.size == (2 * 40 + demo.GAP, 2 * 40 + demo.GAP)
    assert [made.getpixel(at) for at in ((5, 5), (53, 5), (5, 53), (53, 53))] == [
        (255, 0, 0),
        (0, 0, 255),
        (0, 255, 0),
        (255, 255, 255),
    ]


@pytest.mark.parametrize("installed", [False, True])
def test_a_part_by_all_ways(monkeypatch, installed):
    monkeypatch.setattr(demo.packages, "installed", lambda extra: installed)
    assert demo.models() == ["fast-x4", "photo-x4", *(["realesrgan-x4plus"] if installed else [])]
    monkeypatch.setattr(demo, "models", lambda: ["nearest"])
    low = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
    made = demo.by_all_ways(low, 1.0, 0.5, panel=160)
    assert list(made) == ["bicubic", "nearest"]
    expected = low.crop((50, 10, 90, 50)).resize((160, 160), Image.Resampling.NEAREST)
    assert made["nearest"].tobytes() == expected.tobytes()


def test_the_demo_writes_what_it_names(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "models", lambda: ["nearest"])
    monkeypatch.setattr(demo.catalog, "default", lambda scale, video=False: "nearest")
    monkeypatch.setattr(demo, "video", lambda target: f"result: {target}")
    monkeypatch.setattr(sys, "argv", ["demo", "-o", str(tmp_path)])
    demo.main()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["side-by-side.png", "snapshot-x4.png"]
    with Image.open(tmp_path / "side-by-side.png") as made:
        assert made.size == (2 * demo.PANEL + demo.GAP, demo.PANEL)
    assert f"bicubic | nearest: {tmp_path}/side-by-side.png" in capsys.readouterr().out
