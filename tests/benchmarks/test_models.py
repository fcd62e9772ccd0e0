"""The benchmark of well-known models: its inputs, and the tables of its results."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks import families, models, models_table, report
from benchmarks.demo import PHOTO
from fastsr.network import catalog, onnx_reader


def test_frames_have_the_sizes_of_their_cases():
    for case in models.CASES.values():
        assert models.pixels(case, PHOTO).shape == (case.height, case.width, 3)


def test_networks_without_a_package_get_random_weights_and_ranges(tmp_path):
    case = models.Case("small", "", "span-8", 160, 144)
    path, trained = models.written(case, PHOTO, tmp_path)
    network = onnx_reader.read(path)
    assert not trained
    assert network.ranges.keys() >= {network.input}
    assert all(low <= 0 < high for low, high in network.ranges.values())
    assert len(onnx.load(path).metadata_props) == 2
    assert {"fastsr fp32", "fastsr int8", "ONNX Runtime fp32"} <= set(models.names(path, case))
    assert not set(models.LEFT_OUT) & set(models.names(path, case))


def test_psnr():
    black = np.zeros((4, 4, 3), np.int64)
    assert models.psnr(black, black) is None
    assert models.psnr(black, black + 255) == 0
    assert models.psnr(black, black + 1) == pytest.approx(48.13, abs=0.01)


def test_what_a_precision_costs_is_measured_on_the_original():
    original = models.photograph(PHOTO, models.SIDE * models.SCALE).astype(np.int64)
    noise = np.random.default_rng(0).normal(0, 10, original.shape).round().astype(np.int64)
    more = np.random.default_rng(1).normal(0, 5, original.shape).round().astype(np.int64)
    made = {"fastsr fp32": original + noise, "fastsr int8": original + noise + more}
    larger = {name: np.pad(values, ((0, 64), (0, 128), (0, 0)), "symmetric") for name, values in made.items()}
    assert models.costs(larger, PHOTO) == {
        "fastsr fp32": 0,
        "fastsr int8": pytest.approx(10 * np.log10(1.25), abs=0.05),
    }


def result(trained=True, **rows):
    made = {"title": "N", "trained": trained, "width": 256, "height": 256, "mflop_per_pixel": 35.85, "rounds": 3}
    made |= {"without": ["ncnn fp32"], "excluded": {}, "ended": {"OpenVINO bf16": "status 1"}}
    return made | {
        "rows": {
            name.replace("_", " "): {"median_ms": ms, "psnr": 50.0, "cost_db": cost if trained else None}
            for name, (ms, cost) in rows.items()
        }
    }


def test_an_int8_that_is_far_from_fp32_is_no_rival():
    rows = {"fastsr_fp32": (100, 0.0), "fastsr_int8": (40, 0.05), "OpenVINO_fp32": (250, 0.0)}
    rows |= {"OpenVINO_int8_QDQ": (30, 0.11), "OpenVINO_int8_PTQ": (60, 0.1)}
    measured = result(**rows)
    assert models_table.best(measured, ours=True) == 40
    assert models_table.best(measured, ours=False) == 60
    assert models_table.best(measured, ours=False, precision="fp32") == 250
    assert models_table.best(result(trained=False, **rows), ours=False) == 30


def content():
    rows = {"fastsr_fp32": (1300.0, 0.0), "fastsr_bf16": (900.0, 0.012), "OpenVINO_fp32": (2900.0, 0.0)}
    described = {"processor": "P", "threads": 2, "isa": "avx2", "python": "3.11", "packages": {}, "commit": "c"}
    results = {"x4plus-128": result(**rows), "x4plus-256": result(**rows)}
    return {"machine": described, "absent": ["nncf"], "original": "photo.jpg", "results": results}


def test_the_tables_say_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert report.known_models() == report.real_esrgan() == "Not measured yet."
    (tmp_path / "models-avx2-amd.json").write_text(json.dumps(content()))
    made = report.known_models()
    assert "### avx2: P" in made
    assert "| N, 256x256 | 35.85 | 1300 | 2.2x | 900 |  |  | 3.2x |" in made
    assert "| fastsr bf16 | 900 (0.01, 50 dB) | 900 (0.01, 50 dB) |" in made
    assert "Not installed: nncf. Crashed: OpenVINO bf16 (N, 256x256)" in made
    assert "| **fastsr bf16** | 0.90 | 14 |" in report.real_esrgan()


def test_a_megapixel_is_told_by_precision_and_runtime(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert report.megapixel() == "Not measured yet."
    measured = content()
    large = {"fastsr_fp32": (5000.0, 0.0), "fastsr_int8": (1000.0, 0.2), "OpenVINO_int8_PTQ": (3000.0, 0.1)}
    measured["results"]["x4plus-256"] = result(**large)
    measured["results"]["x4plus-128"] = result(ncnn_fp32=(2000.0, 0.0)) | {"width": 128, "height": 128}
    (tmp_path / "models-avx2-amd.json").write_text(json.dumps(measured))
    rows = ["| x4plus, fastsr | 76 |  |  |", "| x4plus, OpenVINO |  |  | 46 |", "| x4plus, ncnn | 122 |  |  |"]
    assert report.megapixel().splitlines()[2:5] == rows
    measured["results"]["photo-x4-256"] = result(fastsr_bf16=(200.0, 0.0), OpenVINO_fp32=(500.0, 0.0))
    (tmp_path / "models-avx2-amd.json").write_text(json.dumps(measured))
    assert report.megapixel().splitlines()[2:6] == ["| photo-x4, fastsr |  | 3.1 |  |", *rows]


def test_a_shipped_model_is_measured_with_its_own_ranges(tmp_path):
    path, trained = models.written(models.CASES["photo-x4-256"], PHOTO, tmp_path)
    network = onnx_reader.read(path)
    assert trained
    assert network.ranges == onnx_reader.read(catalog.find("photo-x4")).ranges != {}


def test_the_families_table_is_about_the_families_that_are_tested():
    rows = json.loads(families.RESULTS.read_text())["rows"]
    known = families.definitions().FAMILIES
    told = {name: (row["family"], row["file"], row["engine"]) for name, row in rows.items()}
    assert told == {name: (family.title, family.file, family.engine) for name, family in known.items()}, (
        "run: python -m benchmarks.families, for those that changed with --only"
    )
    assert all(row["difference"] <= families.definitions().TOLERANCE for row in rows.values())


def test_the_table_of_families_begins_with_the_native_ones():
    lines = families.table(
        {
            "a": {"family": "A", "file": ".pth", "engine": "runtime", "difference": 1e-7, "mflop_per_pixel": None}
            | {"radius": None},
            "b": {
                "family": "B",
                "file": ".onnx",
                "engine": "cpu",
                "difference": 2e-6,
                "mflop_per_pixel": 1.2345,
                "radius": 7,
            },
        }
    ).splitlines()
    assert lines[2:] == [
        "| B | `.onnx` | native | 2e-06 | 1.23 | 7 |",
        "| A | `.pth` | a runtime | 1e-07 |  | whole image |",
    ]


def test_results_are_kept_by_kind_of_processor():
    assert models.results_file("avx2-amd") == Path(models.__file__).parent / "results" / "models-avx2-amd.json"
