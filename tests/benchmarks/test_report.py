"""README says what was measured."""

import numpy as np
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


def test_side_by_side_shows_the_same_place():
    low = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8))
    high = low.resize((240, 200), Image.Resampling.BICUBIC)
    made = np.asarray(side_by_side(low, high, 0.5, 0.5))
    assert made.shape == (200, 408, 3)
    np.testing.assert_array_equal(made[:170, :200], made[:170, 208:])
