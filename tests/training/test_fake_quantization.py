"""Quantization-aware training: it rounds as the int8 form does, and carries the ranges along."""

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

import fastsr
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.network import onnx_reader, qdq, quantization
from training.learning import initial_weights, recipe
from training.learning.recipe import RecipeError
from training.learning.trainer import Trainer
from training.networks import generators
from training.networks.fake_quantization import FakeQuantization, fake_quantized_kernel
from training.networks.generators import GeneratorShape
from training.release import int8_calibration as calibration
from training.release.onnx_export import export, to_onnx


def test_values_are_rounded_as_u8():
    x = torch.linspace(-2, 4, 1001).view(1, 1, 7, 143)
    scale, zero = quantization.activation_parameters(-0.7, 2.1)
    seen, _ = FakeQuantization(-0.7, 2.1)(x, torch.ones(1, 1, 1, 1))
    expected = (np.clip(np.rint(x.numpy() / scale) + int(zero), 0, 255) - int(zero)) * scale
    np.testing.assert_allclose(seen.numpy(), expected, atol=1e-6)


def test_kernels_are_rounded_as_the_int8_form_does():
    kernel = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    kernel[2] = 0
    scale = quantization.weight_scales(kernel.numpy(), np.zeros(5, np.float32), np.float32(0.01))
    expected = quantization.quantized_weights(kernel.numpy(), scale) * scale[:, None, None, None]
    np.testing.assert_allclose(fake_quantized_kernel(kernel).numpy(), expected, atol=1e-7)


def test_gradients_pass_but_not_through_what_is_clipped():
    x = torch.tensor([-2.0, -0.5, 0.3, 5.0]).view(1, 1, 1, 4).requires_grad_()
    kernel = torch.randn(2, 1, 3, 3, requires_grad=True)
    seen, rounded = FakeQuantization(-1, 2)(x, kernel)
    (seen.sum() + (3 * rounded).sum()).backward()
    assert x.grad.flatten().tolist() == [0, 1, 1, 0]
    assert torch.equal(kernel.grad, torch.full_like(kernel, 3))


@pytest.mark.parametrize("kind", ["compact", "srresnet"])
def test_training_sees_what_the_int8_form_computes(kind, photos, tmp_path):
    torch.manual_seed(3)
    network = generators.build(GeneratorShape(scale=2, kind=kind, channels=8, depth=2, expansion=0))
    path = tmp_path / "m.onnx"
    onnx.save_model(to_onnx(generators.plain(network), {"scale": "2"}), str(path))
    calibration.quantize(str(path), [photos], low=True)  # or an untrained network would keep some in float
    ranges = initial_weights.ranges(path)
    convolutions = {name for name, m in network.named_modules() if isinstance(m, generators.CollapsibleConv)}
    assert ranges.keys() == convolutions
    x = torch.randint(0, 256, (1, 3, 24, 20), generator=torch.Generator().manual_seed(1)) / 255
    with torch.no_grad():
        exact = network(x)
        generators.simulate_int8(network, ranges)
        rounded = network(x)
        generators.simulate_int8(network, {})
        assert torch.equal(network(x), exact)
    model = qdq.to_qdq(onnx_reader.read(path)).SerializeToString()
    (made,) = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"input": x.numpy()})
    cost = (rounded - exact).abs().mean()
    assert cost > 1e-4
    # A value between two steps may round to either, so a few pixels differ by a step of what they are made of.
    assert np.abs(made - rounded.numpy()).mean() < 0.1 * cost


def test_without_ranges_or_a_start_it_is_refused(tiny, tmp_path):
    path = tmp_path / "m.onnx"
    network = generators.build(tiny.generator)
    onnx.save_model(to_onnx(generators.plain(network), {"scale": "2"}), str(path))
    with pytest.raises(RecipeError, match=r"m\.onnx: has no int8 ranges; run: python -m training quantize"):
        initial_weights.ranges(path)
    with pytest.raises(RecipeError, match="int8 = True is not accepted; it must be false without a `start`"):
        recipe.from_dict(dataclasses.asdict(tiny) | {"int8": True})


def _with_ranges(path, ranges):
    model = onnx.load_model(str(path))
    metadata = {p.key: p.value for p in model.metadata_props}
    onnx.helper.set_model_props(model, metadata | {"ranges": json.dumps(ranges)})
    onnx.save_model(model, str(path))


def test_who_saw_the_rounding_does_better_with_it(tiny, packed, photos, run_of, tmp_path):
    Trainer(tiny, run_of(packed, tmp_path)).train()
    path = tmp_path / "tiny.onnx"
    export(tmp_path / "tiny" / "state.safetensors", path)
    # Ranges far too wide make a rounding that is worth learning about.
    narrow = calibration.quantize(str(path), [photos])
    wide = {name: (60 * low, 60 * high) for name, (low, high) in narrow.items()} | {"input": (0.0, 1.0)}
    _with_ranges(path, wide)
    run = run_of(packed, tmp_path)
    photo = next(photos.iterdir())
    errors = {}
    for name, int8 in (("seen", True), ("unseen", False)):
        chosen = recipe.fine_tuned(tiny, str(path), name, 200, tiny.summary, int8)
        Trainer(chosen, dataclasses.replace(run, stop_after=31)).train()
        Trainer(chosen, run).train()  # gone on with
        made = tmp_path / f"{name}.onnx"
        export(tmp_path / name / "state.safetensors", made)
        if int8:
            assert onnx_reader.read(made).ranges == wide
            assert "(every other step rounded as int8)" in onnx_reader.read(made).metadata["training"]
            assert initial_weights.float_stage(initial_weights.describe(made))["recipe"]["name"] == "tiny"
        else:
            assert onnx_reader.read(made).ranges == {}
            _with_ranges(made, wide)
        high = np.asarray(Image.open(photo).convert("RGB"), float)
        low = fastsr.upscale(photo, size=(64, 64), model="bicubic")
        errors[name] = np.square(run_int8(made, np.asarray(low)) - high).mean()
    assert errors["seen"] < 0.97 * errors["unseen"]


def run_int8(path, pixels):
    """The int8 form's result, without the guard that refuses poor ones."""
    engine = OnnxRuntimeEngine(onnx_reader.read(path), "int8", None)
    return engine.run(pixels).astype(float)
