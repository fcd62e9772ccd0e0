"""Exported ONNX files are the trained networks, say how they came to be, and training goes on from them."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

import fastsr
from fastsr.network import half_weights
from training.learning import checkpoint, initial_weights, trainer
from training.learning.trainer import Trainer
from training.networks import generators
from training.networks.generators import GeneratorShape
from training.release import onnx_export


@pytest.mark.parametrize("upsampler", [None, *generators.UPSAMPLERS])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_generator_exports_to_itself(scale, upsampler):
    torch.manual_seed(0)
    shape = GeneratorShape(scale, "srresnet" if upsampler else "compact", 8, 2, 16, upsampler or "subpixel")
    network = generators.plain(generators.build(shape))
    model = onnx_export.to_onnx(network, {})
    assert onnx_export.check(model, network) < 2e-5
    stored = {t.name for t in model.graph.initializer if not t.name.endswith(".scales")}
    assert stored == set(network.state_dict())


def test_the_file_says_what_it_is(packed, tiny, run_of, tmp_path):
    Trainer(tiny, run_of(packed, tmp_path)).train()
    model = onnx_export.export(tmp_path / "tiny" / "state.safetensors", tmp_path / "tiny.onnx")
    network, _ = trainer.averaged(tmp_path / "tiny" / "state.safetensors")
    onnx_export.round_weights(network)
    assert onnx_export.check(model, network) < 2e-5
    metadata = {p.key: p.value for p in model.metadata_props}
    assert metadata["name"] == "tiny"
    assert metadata["scale"] == "2"
    assert "24 steps of 4 crops of 32x32 from 3 photographs, L1 loss, Muon, bicubic x2" in metadata["training"]
    assert model.opset_import[0].version >= 17
    assert {n.op_type for n in model.graph.node} == {"Cast", "Conv", "PRelu", "DepthToSpace", "Resize", "Add"}
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny.onnx"))
    assert session.run(None, {"input": np.zeros((3, 3, 5, 7), np.float32)})[0].shape == (3, 3, 10, 14)
    assert fastsr.load(tmp_path / "tiny.onnx").upscale(np.zeros((5, 7, 3), np.uint8)).shape == (10, 14, 3)


def test_training_goes_on_from_an_exported_file(packed, tiny, run_of, tmp_path):
    Trainer(tiny, run_of(packed, tmp_path)).train()
    onnx_export.export(tmp_path / "tiny" / "state.safetensors", tmp_path / "shipped.onnx")
    second = dataclasses.replace(tiny, name="second", start=str(tmp_path / "shipped.onnx"))
    made = Trainer(second, run_of(packed, tmp_path))
    network, _ = trainer.averaged(tmp_path / "tiny" / "state.safetensors")
    onnx_export.round_weights(network)
    x = torch.rand(1, 3, 8, 9)
    with torch.no_grad():
        assert (made.network(x) - network(x)).abs().max() < 1e-5
    made.train()
    line = onnx_export.describe(checkpoint.load(tmp_path / "second" / "state.safetensors")[1])
    assert line.startswith("24 steps of 4 crops of 32x32 from 3 photographs, L1 loss, Muon, bicubic x2")
    assert "; then 24 steps" in line


def test_weights_part_of_the_way(packed, tiny, run_of, tmp_path):
    first = tmp_path / "tiny" / "state.safetensors"
    Trainer(tiny, run_of(packed, tmp_path)).train()
    Trainer(dataclasses.replace(tiny, name="second", start="tiny"), run_of(packed, tmp_path)).train()
    second = tmp_path / "second" / "state.safetensors"

    def weights(model):
        assert half_weights.widened(model)
        return [numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]

    ends = [weights(onnx_export.export(path, tmp_path / "m.onnx")) for path in (first, second)]
    made = onnx_export.export(second, tmp_path / "m.onnx", realism=0.25)
    for a, b, between in zip(*ends, weights(made), strict=True):
        np.testing.assert_allclose(between, 0.75 * a + 0.25 * b, atol=8e-4)  # three roundings to halves
    assert max(np.abs(a - b).max() for a, b in zip(*ends, strict=True)) > 2e-3
    (line,) = (p.value for p in made.metadata_props if p.key == "training")
    assert line.endswith("; 0.25 of the way there")
    assert (
        onnx_export.describe(initial_weights.describe(tmp_path / "m.onnx")) == line
    )  # so that what is trained from it says so too
    with pytest.raises(onnx_export.ExportError, match="nothing to interpolate"):
        onnx_export.export(first, tmp_path / "m.onnx", realism=0.5)
    with pytest.raises(onnx_export.ExportError, match="between 0 and 1"):
        onnx_export.export(second, tmp_path / "m.onnx", realism=1.5)


def test_files_that_training_did_not_write_are_refused(tmp_path):
    model = onnx_export.to_onnx(generators.plain(generators.Compact(2, 8, 1, 0)), {})
    (tmp_path / "foreign.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"foreign\.onnx: was not written by `python -m training export`"):
        initial_weights.describe(tmp_path / "foreign.onnx")


def test_a_wrong_export_is_refused():
    torch.manual_seed(0)
    network = generators.Compact(2, 8, 1, 0).eval()
    model = onnx_export.to_onnx(generators.plain(network), {})
    with torch.no_grad():
        network.tail.bias += 0.1
    with pytest.raises(onnx_export.ExportError, match="differ by 1"):
        onnx_export.check(model, network)


def test_losses_and_degradation_stand_in_the_training_line():
    recipe = {
        "loss": {
            "pixel": "l1",
            "weight": 0.01,
            "content": "vgg19",
            "content_layers": {"conv5_4": 1.0},
            "content_weight": 1.0,
            "adversarial": "relativistic",
            "adversarial_weight": 0.005,
        },
        "discriminator": {"kind": "unet"},
        "data": {"batch": 16, "crop": 96},
        "optimizer": {"kind": "adam"},
        "degradation": {"kind": "realistic"},
        "generator": {"scale": 4},
    }
    line = onnx_export.describe(
        {"recipe": recipe, "step": 5, "images": 7, "seconds": 3600, "device": "cpu", "start": None}
    )
    assert line == (
        "5 steps of 16 crops of 96x96 from 7 photographs, "
        "L1 + vgg19 conv5_4 content + relativistic adversarial (unet) loss, Adam, realistic x4, 1.0 hours on cpu"
    )
    frames = {**recipe, "degradation": {"kind": "video"}}
    about = {"recipe": frames, "step": 5, "images": 7, "seconds": 3600, "device": "cpu", "start": None}
    assert "from 7 frames, L1" in onnx_export.describe(about)
