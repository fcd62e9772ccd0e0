"""`fastsr info`: what it tells, as text and as JSON, whatever is missing or set wrong."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.small_models import compact

import fastsr
from fastsr import _core
from fastsr.cli import info, system_info
from fastsr.cli.command import main
from fastsr.engines.registry import REGISTRY
from fastsr.importing import store
from fastsr.network import catalog

ROOT = Path(__file__).parents[2]


def said(capsys, *arguments):
    assert main(["info", *arguments]) == 0
    return capsys.readouterr().out


def test_one_block_tells_all(capsys):
    text = said(capsys)
    assert text.startswith(f"fastsr        {fastsr.__version__}\nPython        3.")
    assert f"instructions  {_core.active_isa()} (available: {', '.join(_core.available_isas())})\n" in text
    assert re.search(r"^memory +[\d.]+ GB, of which [\d.]+ .B can be taken$", text, re.MULTILINE)
    for name in (*REGISTRY, *catalog.models()):
        assert re.search(rf"^  {re.escape(name)}  ", text, re.MULTILINE)
    assert re.search(r"^  fast-x4 +x4, [\d.]+ MFLOP a pixel, cpu$", text, re.MULTILINE)
    assert re.search(r"^libraries +numpy [\d.]+, pillow ", text, re.MULTILINE)
    assert not re.search(r" $", text, re.MULTILINE)


def test_json_has_the_same_values(capsys):
    known = json.loads(said(capsys, "--json"))
    assert known["fastsr"] == fastsr.__version__
    assert known["cores"]["threads"] == _core.thread_count()
    assert set(known["engines"]) == set(REGISTRY)
    assert [m["name"] for m in known["models"] if m["kind"] == "shipped"] == list(catalog.models())
    assert info.text(known) == said(capsys).rstrip("\n") or known["memory"] != system_info.gathered()["memory"]


def test_no_runtime_is_imported():
    code = "import sys; from fastsr.cli.command import main; main(['info', '--json'])"
    code += "; print(*(n for n in ('torch', 'onnxruntime', 'openvino', 'onnx', 'av') if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_what_is_missing_is_told_with_what_to_install(capsys, monkeypatch):
    usual = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else usual(name))
    text = " ".join(said(capsys).split())
    assert re.search(r'openvino not usable: ([^:]*: )?needs openvino; run: pip install "fastsr\[openvino\]"', text)


def test_a_variable_that_is_set_wrong_is_told(capsys, monkeypatch):
    monkeypatch.setenv("FASTSR_ISA", "sse9")
    known = json.loads(said(capsys, "--json"))
    assert known["instruction_sets"]["in_use"] is None
    assert "FASTSR_ISA='sse9' is not available here" in known["instruction_sets"]["fault"]
    assert known["environment"]["FASTSR_ISA"] == "sse9"
    assert "FASTSR_ISA=sse9" in said(capsys)


def test_imported_models_and_the_size_of_folders(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "inner").mkdir(parents=True)
    (tmp_path / "cache" / "inner" / "a").write_bytes(bytes(1500))
    (tmp_path / "cache" / "b").write_bytes(bytes(700))
    content = compact(2).save(tmp_path / "m.onnx").read_bytes()
    store.add(store.Card("mine", 2, "Compact", "m.onnx", "0"), content)
    store.add(store.Card("broken", 2, "Compact", "m.onnx", "1"), b"nothing")
    text = said(capsys)
    assert re.search(r"^  mine +x2, [\d.]+ MFLOP a pixel, cpu, imported$", text, re.MULTILINE)
    assert re.search(r"^  broken +x2, unreadable, imported$", text, re.MULTILINE)
    assert f"caches           {tmp_path}/cache (2 files, 2.2 kB)\n" in text


def test_no_home_folder(capsys, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("FASTSR_MODELS", "FASTSR_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(store, "cards", dict)
    assert "caches           none: Could not determine home directory." in said(capsys)


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "unknown"), (0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (2_345_678, "2.35 MB"), (25e9, "25 GB")],
)
def test_sizes(count, text):
    assert info.size(count if count is None else int(count)) == text


def test_every_dependency_is_among_the_libraries():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    others = ("dev", "bench", "train", "teach", "plates")
    extras = {k: v for k, v in project["optional-dependencies"].items() if k not in others}
    needed = {re.match(r"[\w-]+", text)[0] for text in sum(extras.values(), project["dependencies"])}
    assert needed <= set(system_info.LIBRARIES)
