"""README says what was measured."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from benchmarks import cpu_engines, report
from benchmarks.demo import side_by_side
from fastsr import _core


def test_readme_agrees_with_the_results():
    text = report.README.read_text()
    assert report.rendered(text) == text


def test_each_kind_of_processor_has_its_table(tmp_path, monkeypatch):
    rows = {"fastsr fp32": {"median_ms": 20, "share_of_peak": 2.13}, "OpenVINO bf16": {"median_ms": 50}}
    for kind, processor in (("avx2", "one"), ("avx512bf16", "another")):
        described = {"processor": processor, "threads": 2, "isa": kind, "python": "3.11", "packages": {}}
        result = {"model": "fast-x4", "rounds": 3, "rows": rows}
        content = {"machine": described, "absent": [], "results": [result]}
        (tmp_path / f"cpu-engines-{kind}.json").write_text(json.dumps(content))
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    first, second = report.cpu_engines().split("\n\n| ")
    assert "480x270, avx2 " in first
    assert "Machine: one, 2 threads, avx2" in first
    assert "480x270, avx512bf16 | fastsr, ms | of the peak | vs OpenVINO bf16 |" in second
    assert "| `fast-x4`, fp32 | 20 | 213% | 2.5x |" in second


def test_results_are_kept_by_kind_of_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu_engines, "RESULTS", tmp_path)
    monkeypatch.setattr(cpu_engines, "measure", lambda model, rounds, patience: {"model": model})
    monkeypatch.setattr(cpu_engines, "table", lambda result: "")
    monkeypatch.setattr(sys, "argv", ["cpu_engines", "--models", "fast-x4"])
    monkeypatch.delenv("FASTSR_ISA", raising=False)
    cpu_engines.main()
    (file,) = tmp_path.iterdir()
    assert file.name == f"cpu-engines-{_core.available_isas()[-1]}.json"
    assert json.loads(file.read_text())["results"] == [{"model": "fast-x4"}]
    monkeypatch.setenv("FASTSR_ISA", "portable")
    with pytest.raises(SystemExit):
        cpu_engines.main()


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
