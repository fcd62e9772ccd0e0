"""PyTorch checkpoints: read without running code, exported, compared; what is refused, with the remedy."""

import json
import os
import pickle
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import fastsr
from fastsr.errors import ModelError
from fastsr.importing import conversion, store, torchvision_operators
from fastsr.network import onnx_reader

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("einops", reason="spandrel is not installed")
torchvision_operators.settle()
spandrel = pytest.importorskip("spandrel", reason="spandrel is not installed")

from spandrel.architectures.Compact import Compact  # noqa: E402 - after what it needs is settled
from spandrel.architectures.ESRGAN import ESRGAN  # noqa: E402
from spandrel.architectures.PLKSR import PLKSR  # noqa: E402
from spandrel.architectures.SPAN import SPAN  # noqa: E402


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "store"))


NETWORKS = {
    "esrgan-x4": lambda: ESRGAN(num_filters=8, num_blocks=2, scale=4),
    "compact": lambda: Compact(num_feat=8, num_conv=2, upscale=4),
    "span": lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2),
    "plksr": lambda: PLKSR(dim=16, n_blocks=2, kernel_size=9),
}


def network(name="esrgan-x4"):
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


@pytest.mark.parametrize("name", ["plksr", "span"])
def test_operators_are_plain(name, tmp_path):
    torch.save(network(name).state_dict(), tmp_path / "a.pth")
    graph = onnx_reader.read(conversion.import_file(str(tmp_path / "a.pth"))[0].path)
    plain = {"Add", "Sub", "Mul", "Div", "Concat", "Split", "Conv", "DepthToSpace", "Sigmoid", "Erf"}
    assert graph.operators <= plain


def test_averaged_weights_are_taken_first(tmp_path):
    averaged, last = network("compact"), network("compact")
    with torch.no_grad():
        last.body[0].weight += 1
    saved = {"params": last.state_dict(), "params_ema": averaged.state_dict(), "step": 7}
    torch.save(saved, tmp_path / "training.ckpt")
    torch.save({"params_ema": averaged.state_dict()}, tmp_path / "averaged.pth")
    made = [conversion.import_file(str(tmp_path / name))[0].path for name in ("training.ckpt", "averaged.pth")]
    weights = [onnx_reader.read(path).weights for path in made]
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_half_precision_is_computed_in_float(tmp_path):
    torch.save(network("compact").half().state_dict(), tmp_path / "half.pth")
    assert onnx_reader.read(conversion.import_file(str(tmp_path / "half.pth"))[0].path).dtype == np.float32


def test_a_safetensors_file_says_its_licence(tmp_path):
    import safetensors.torch

    about = {"modelspec.license": "CC-BY-4.0", "modelspec.author": "Somebody"}
    safetensors.torch.save_file(network("compact").state_dict(), tmp_path / "a.safetensors", about)
    (card,) = conversion.import_file(str(tmp_path / "a.safetensors"))
    assert (card.licence, card.authors) == ("CC-BY-4.0", "Somebody")
    assert fastsr.load(tmp_path / "a.safetensors", device="cpu").name == "a"
    assert list(store.cards()) == ["a"]


class Code:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch RAN",)


def written(kind, path):
    if kind == "code":
        torch.save({"params": network("compact").state_dict(), "extra": Code()}, path)
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps(Code()))
    elif kind == "torchscript":
        torch.jit.trace(network("compact"), torch.zeros(1, 3, 8, 8)).save(str(path))
    elif kind == "text":
        path.write_text("<html>404</html>")
    elif kind == "archive":
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("a.txt", "hello")
    elif kind == "truncated":
        torch.save(network("compact").state_dict(), path)
        path.write_bytes(path.read_bytes()[:-3000])
    elif kind == "unknown":
        torch.save({"model.diffusion_model.input_blocks.0.weight": torch.zeros(4, 4)}, path)
    elif kind == "optimizer":
        torch.save({"state": {}, "param_groups": []}, path)
    elif kind == "list":
        torch.save([torch.zeros(3)], path)
    elif kind == "not numbers":
        state = network("compact").state_dict()
        state["body.0.weight"][0] = float("nan")
        torch.save(state, path)
    elif kind == "misshapen":
        state = network("compact").state_dict()
        state["body.0.weight"] = torch.zeros(3)
        torch.save(state, path)
    elif kind == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "suffix", "message"),
    [
        ("code", "pth", r"wants to run code \((posix|os|nt)\.system\), which is refused.*\.safetensors"),
        ("plain pickle", "ckpt", "without running code"),
        ("torchscript", "pt", "TorchScript archive, which holds code"),
        ("text", "pth", "is no checkpoint that can be read without"),
        ("archive", "pth", "is no checkpoint that can be read"),
        ("truncated", "pth", "is no checkpoint that can be read"),
        ("empty", "pth", "is no checkpoint that can be read"),
        ("unknown", "pth", r"none that spandrel .* knows .*model\.diffusion_model.*export it as ONNX"),
        ("optimizer", "ckpt", "holds no weights"),
        ("list", "pth", "holds a list, not the weights"),
        ("not numbers", "pth", "weights that are no numbers"),
        ("misshapen", "pth", "do not fit the network"),
        ("text", "safetensors", "is no safetensors file"),
        ("empty", "safetensors", "is no safetensors file"),
    ],
)
def test_what_is_refused(kind, suffix, message, here):
    path = here / f"bad.{suffix}"
    written(kind, path)
    with pytest.raises(ModelError, match=message) as caught:
        fastsr.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert not (here / "RAN").exists()
    assert store.cards() == {}


def test_a_face_model_is_named(tmp_path, monkeypatch):
    torch.save(network("compact").state_dict(), tmp_path / "face.pth")
    monkeypatch.setattr(spandrel.ImageModelDescriptor, "purpose", "FaceSR")
    with pytest.raises(ModelError, match=r"is a face model, .* take a super-resolution model"):
        fastsr.load(tmp_path / "face.pth")


def test_weights_under_real_esrgans_names_are_the_same_network(tmp_path):
    state = network("esrgan-x4").state_dict()
    torch.save(state, tmp_path / "old.pth")
    outside = {"model.0": "conv_first", "model.1.sub.2": "conv_body", "model.3": "conv_up1", "model.6": "conv_up2"}
    outside |= {"model.8": "conv_hr", "model.10": "conv_last"}
    named = {}
    for key, value in state.items():
        stem, _, last = key.rpartition(".")
        inside = re.fullmatch(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0", stem)
        new = f"body.{inside[1]}.rdb{inside[2]}.conv{inside[3]}" if inside else outside[stem]
        named[f"{new}.{last}"] = value
    torch.save({"params_ema": named}, tmp_path / "new.pth")
    image = np.random.default_rng(0).random((5, 7, 3), np.float32)
    old, new = (fastsr.load(tmp_path / f"{name}.pth", device="cpu").upscale(image) for name in ("old", "new"))
    np.testing.assert_array_equal(old, new)


def test_what_the_exporter_cannot_write_is_told_and_not_printed(tmp_path, monkeypatch, capfd):
    torch.save(network("compact").state_dict(), tmp_path / "a.pth")
    forward = Compact.forward
    monkeypatch.setattr(Compact, "forward", lambda self, x: forward(self, torch.special.i0(x)))
    with pytest.raises(ModelError, match=r"its network \(.*Compact.*\) cannot be exported as ONNX .* PyTorch alone"):
        fastsr.load(tmp_path / "a.pth")
    assert capfd.readouterr() == ("", "")


def test_an_export_that_is_off_is_not_kept(tmp_path, monkeypatch):
    torch.save(network("compact").state_dict(), tmp_path / "a.pth")
    monkeypatch.setattr(conversion.comparison, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="off from PyTorch"):
        fastsr.load(tmp_path / "a.pth")
    assert store.cards() == {}


def test_a_network_that_does_not_run_on_a_size_is_named(tmp_path, monkeypatch):
    torch.save(network("compact").state_dict(), tmp_path / "a.pth")
    forward = Compact.forward

    def only_even(self, x):
        if x.shape[2] % 2:
            raise RuntimeError("sizes must be even")
        return forward(self, x)

    monkeypatch.setattr(Compact, "forward", only_even)
    with pytest.raises(ModelError, match=r"a\.pth: .*(does not run|cannot be exported).*sizes must be even"):
        fastsr.load(tmp_path / "a.pth")


def test_without_spandrel_the_error_names_the_command(tmp_path, monkeypatch):
    torch.save({}, tmp_path / "a.pth")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(ModelError, match=r'pip install "fastsr\[import\]"'):
        fastsr.load(tmp_path / "a.pth")


BROKEN = """
import torch
if not hasattr(torch.ops.torchvision, "nms"):
    raise RuntimeError("operator torchvision::nms does not exist")
assert hasattr(torch.ops.torchvision, "qnms")
"""


def test_torchvision_without_its_compiled_part_can_be_imported(tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(BROKEN)
    code = "from fastsr.importing import torchvision_operators as t; t.settle(); import torchvision"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_mutated_checkpoints_raise_nothing_but_model_errors(tmp_path):
    import random

    import safetensors.torch

    draw, refused = random.Random(0), 0
    torch.save(network("compact").state_dict(), tmp_path / "good.pth")
    safetensors.torch.save_file(network("compact").state_dict(), tmp_path / "good.safetensors")
    for round_ in range(150):
        good = (tmp_path / draw.choice(["good.pth", "good.safetensors"])).read_bytes()
        changed = bytearray(good)
        for _ in range(draw.randint(1, 5)):
            changed[draw.randrange(min(len(changed), draw.choice([64, 2000, len(changed)])))] = draw.randrange(256)
        path = tmp_path / f"bad{round_}.{'pth' if good[:2] == b'PK' else 'safetensors'}"
        path.write_bytes(changed)
        from fastsr.importing import checkpoint

        try:
            checkpoint.read(path)
        except ModelError:
            refused += 1
    assert refused > 20


def test_a_header_of_safetensors_is_no_promise(tmp_path):
    header = json.dumps({"__metadata__": {"x": "y"}}).encode()
    (tmp_path / "none.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match="holds no weights"):
        fastsr.load(tmp_path / "none.safetensors")
