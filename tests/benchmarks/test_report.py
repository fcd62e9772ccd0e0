"""README and docs/benchmarks.md say what was measured."""

import json
import re
import sys

import pytest

from benchmarks import cpu_engines, machine, report
from fastsr import _core
from fastsr.network import catalog, onnx_reader


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.name)
def test_pages_agree_with_the_results(page):
    assert report.rendered(page) == page.read_text()


@pytest.fixture
def pages(tmp_path, monkeypatch):
    """Two pages with a table each."""
    made = {tmp_path / "a.md": {"one": lambda: "| 1 |"}, tmp_path / "b.md": {"two": lambda: "| 2 |"}}
    for page, tables in made.items():
        page.write_text("\n".join(f"Text.\n\n<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in tables))
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "PAGES", made)
    monkeypatch.setattr(report, "comparison", lambda: None)
    monkeypatch.setattr(report.plot, "draw", lambda *_: None)
    return list(made)


def test_every_page_is_written_and_compared(pages, monkeypatch, capsys):
    first, second = pages
    monkeypatch.setattr(sys, "argv", ["report"])
    assert report.main() == 0
    assert first.read_text() == "Text.\n\n<!-- one -->\n| 1 |\n<!-- /one -->\n"
    monkeypatch.setattr(sys, "argv", ["report", "--check"])
    assert report.main() == 0
    second.write_text(second.read_text().replace("| 2 |", "| 3 |"))
    assert report.main() == 1
    assert capsys.readouterr().err == "b.md differs from benchmarks/results; run: python -m benchmarks.report\n"
    assert "| 3 |" in second.read_text()


@pytest.mark.parametrize(
    ("marks", "named"),
    [
        ("<!-- one -->\n", "<!-- /one -->"),
        ("<!-- one -->\n<!-- /one -->\n<!-- three -->\n", "<!-- three -->"),
        ("<!-- one -->\n<!-- /one -->\n" * 2, "twice"),
    ],
)
def test_marks_that_fit_no_table_are_named(pages, marks, named):
    pages[0].write_text(marks)
    with pytest.raises(SystemExit, match=re.escape(named)):
        report.rendered(pages[0])


def architecture(model):
    """Operators, attributes and sizes of weights: all that time depends on."""
    network = onnx_reader.read(catalog.find(model))
    return [
        (node.op, node.attributes, [network.weights[name].shape for name in node.inputs if name in network.weights])
        for node in network.nodes
    ]


@pytest.mark.parametrize(("model", "timed"), report.SAME_NETWORK.items())
def test_models_that_share_a_time_share_a_network(model, timed):
    assert architecture(model) == architecture(timed)


def test_readmes_table_has_every_shipped_model():
    import fastsr

    named = re.findall(r"^\| `(\S+)` \|", report.models(), re.MULTILINE)
    assert sorted(named) == sorted(fastsr.models())


def test_each_kind_of_processor_has_its_table(tmp_path, monkeypatch):
    rows = {"fastsr fp32": {"median_ms": 20, "share_of_peak": 2.13}, "OpenVINO bf16": {"median_ms": 50}}
    for kind, processor in (("avx2", "one"), ("avx512bf16", "another")):
        described = {"processor": processor, "threads": 2, "isa": kind, "python": "3.11", "packages": {}, "commit": "c"}
        result = {"model": "fast-x4", "rounds": 3, "rows": rows, "ended": {"ncnn fp32": "status -11"}}
        content = {"machine": described, "absent": [], "results": [result]}
        (tmp_path / f"cpu-engines-{kind}.json").write_text(json.dumps(content))
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    first, second = report.cpu_engines().split("\n\n### ")
    assert first.startswith("### avx2: one\n")
    assert "Machine: one, 2 threads, avx2" in first
    assert second.startswith("avx512bf16: another\n")
    assert "| 480x270 | fastsr, ms | of peak rate | vs OpenVINO bf16 |" in second
    assert "| `fast-x4`, fp32 | 20 | 213% | 2.5x |" in second
    assert "Crashed: ncnn fp32 (fast-x4)." in second


def test_results_are_kept_by_kind_of_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu_engines, "RESULTS", tmp_path)
    monkeypatch.setattr(cpu_engines, "measure", lambda model, rounds, patience: {"model": model})
    monkeypatch.setattr(cpu_engines, "table", lambda result: "")
    monkeypatch.setattr(sys, "argv", ["cpu_engines", "--models", "fast-x4"])
    monkeypatch.delenv("FASTSR_ISA", raising=False)
    cpu_engines.main()
    (file,) = tmp_path.iterdir()
    assert file.name == f"cpu-engines-{machine.kind()}.json"
    assert machine.kind().startswith(_core.available_isas()[-1])
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


def test_damaged_input_is_the_same_on_cards_and_beside_other_upscalers():
    pytest.importorskip("torch")
    from benchmarks import upscalers
    from training.measure.damage import NAMED

    assert NAMED[report.DAMAGE] == upscalers.DAMAGE
    beside = {"damaged_set": "Set5", "rows": {"fastsr fast-x4": {"damaged": {"lpips": 0.5953}}}}
    beside["rows"]["fastsr faces-x4"] = {"damaged": {"lpips": 0.5}}
    assert report._damaged("fast-x4", beside) == 0.5953 == catalog.models()["fast-x4"].damaged["hard"]["Set5"]["lpips"]
    assert report._damaged("faces-x4", beside) == 0.5
    assert report._damaged("photo-x4", beside) == catalog.models()["photo-x4"].damaged["hard"]["Set5"]["lpips"]
    assert report._damaged("bicubic", beside) is None
