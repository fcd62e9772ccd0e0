"""What a program that uses fastsr does not have to load; each in a process of its own."""

import subprocess
import sys

import pytest
from PIL import Image

import fastsr

UPSCALE = "import fastsr, numpy; fastsr.upscale(numpy.zeros((8, 8, 3), numpy.uint8), model='fast-x2', device='cpu')"


def loaded(code, names):
    """Which of `names` a fresh process has imported after `code`."""
    script = f"import sys\n{code}\nprint(*(n for n in {names!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_alone_loads_nothing_heavy():
    assert loaded("import fastsr", ("numpy", "PIL", "onnx", "torch", "onnxruntime", "av")) == []


def test_a_shipped_model_runs_without_onnx_and_torch():
    assert loaded(UPSCALE, ("onnx", "torch", "onnxruntime", "av", "ray")) == []


def test_the_command_loads_no_bar_where_none_is_shown(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "in.png")
    arguments = ["upscale", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--device", "cpu"]
    code = f"from fastsr.cli.command import main; import sys; sys.stdout = sys.stderr; assert main({arguments!r}) == 0"
    assert loaded(f"{code}; sys.stdout = sys.__stdout__", ("tqdm", "importlib.metadata", "onnx", "torch", "av")) == []
    assert Image.open(tmp_path / "out.png").size == (32, 32)


def test_onnx_can_be_imported_after_its_messages_were_used():
    code = f"""{UPSCALE}
import onnx
from fastsr.network import catalog, onnx_messages, onnx_reader
assert onnx_messages.messages().ModelProto is onnx.ModelProto
onnx.checker.check_model(onnx_messages.parse(onnx_reader.read(catalog.find("fast-x2")).serialized))"""
    assert loaded(code, ("onnx",)) == ["onnx"]


@pytest.mark.parametrize(
    "name", ["ops", "upscale", "Upscaler", "models", "ImageError", "upscale_many", "upscale_video"]
)
def test_every_public_name_is_there_when_asked_for(name):
    assert loaded(f"import fastsr; fastsr.{name}; from fastsr import {name}; assert {name!r} in dir(fastsr)", ()) == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'upscal'"):
        getattr(fastsr, "upscal")  # noqa: B009 (the attribute is looked up for its error)
