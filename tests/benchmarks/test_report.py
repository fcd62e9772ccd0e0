"""README says what was measured, and what it shows to copy runs."""

import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import report
from benchmarks.demo import side_by_side


def test_readme_agrees_with_the_results():
    text = report.README.read_text()
    assert report.rendered(text) == text


def test_scores_in_cards_are_the_measured_ones():
    import fastsr

    rows = report._read("quality.json")["rows"]
    for model in fastsr.models().values():
        measured = {r["set"]: r for r in rows if (r["model"], r["precision"]) == (model.name, "fp32")}
        assert measured.keys() == model.scores.keys()
        for name, values in model.scores.items():
            assert {"psnr", "ssim"} <= values.keys()
            assert values == {key: measured[name][key] for key in values}


def test_readmes_python_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", report.README.read_text(), re.DOTALL)
    assert blocks
    Image.fromarray(np.full((12, 16, 3), 90, np.uint8)).save(tmp_path / "photo.jpg")
    pytest.importorskip("av", reason="PyAV is not installed")
    import video_samples

    video_samples.video(tmp_path / "film.mp4")
    code = "\n".join(blocks)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "large.png") as made:
        assert made.size == (64, 48)


def test_side_by_side_shows_the_same_place():
    low = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8))
    high = low.resize((240, 200), Image.Resampling.BICUBIC)
    made = np.asarray(side_by_side(low, high, 0.5, 0.5))
    assert made.shape == (200, 408, 3)
    np.testing.assert_array_equal(made[:170, :200], made[:170, 208:])
