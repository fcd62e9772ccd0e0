"""Tensors that stay on a GPU, and streams through an engine that overlaps them: on engines made of NumPy."""

import numpy as np
import pytest
from PIL import Image
from support.fake_gpu import FakeDevice, FakeNetwork, FakeOps
from support.small_models import compact

import fastsr
from fastsr import loading, upscaler
from fastsr.engines.gpu import frame_engine
from fastsr.engines.gpu.frame_engine import FrameEngine
from fastsr.engines.gpu.tensors import DeviceImage, is_tensor_on_gpu
from fastsr.errors import EngineError
from fastsr.network import onnx_reader
from fastsr.network.output_head import without_output_head
from fastsr.pixel_upscalers import Generator
from fastsr.upscaler import Upscaler


class Doubling:
    """Repeats pixels; takes tensors as they are on a GPU."""

    gpu = 0

    def run_on_device(self, frame, shape, out, stream):
        assert frame.is_contiguous()
        assert out.is_contiguous()
        assert tuple(frame.shape) == shape
        out.copy_(frame.repeat_interleave(2, 0).repeat_interleave(2, 1))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 3, 5, 4)])
def test_tensors_keep_their_kind(dtype, shape):
    torch = pytest.importorskip("torch")
    tensor = (torch.rand(shape) * 255).to(getattr(torch, dtype))
    made = DeviceImage(tensor).upscaled(Doubling(), 2)
    assert made.dtype == tensor.dtype
    assert made.is_contiguous()
    assert torch.equal(made, tensor.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_a_tensor_on_another_gpu_is_refused():
    torch = pytest.importorskip("torch")
    away = torch.empty(3, 4, 4)

    class Away:  # a tensor as `upscaled` sees it; there is no second GPU to put one on
        device, detach = torch.device("cuda", 1), away.detach

    with pytest.raises(EngineError, match=r"on GPU 1 and the model on GPU 0; .*\.to\('cuda:0'\)"):
        DeviceImage(Away).upscaled(Doubling(), 2)


def test_only_what_the_engine_takes_stays():
    torch = pytest.importorskip("torch")
    assert DeviceImage(torch.zeros(3, 4, 4)).fits(3)
    assert not DeviceImage(torch.zeros(4, 4, 4)).fits(3)  # alpha goes by the host
    assert not DeviceImage(torch.zeros(1, 4, 4)).fits(3)
    assert not DeviceImage(torch.zeros(3, 4, 4, dtype=torch.int32)).fits(3)
    assert not DeviceImage(torch.zeros(3, 0, 4)).fits(3)
    assert not is_tensor_on_gpu(torch.zeros(3, 4, 4))
    assert not is_tensor_on_gpu(np.zeros((4, 4, 3)))


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """One model on a device of NumPy and on the CPU."""
    monkeypatch.setattr(frame_engine, "ops", FakeOps)
    path = compact(2).save(tmp_path / "m.onnx")
    network, device = onnx_reader.read(path), FakeDevice()
    headless = without_output_head(network)
    engine = FrameEngine("fake", network, headless, FakeNetwork(headless.body, device), device, "fp32", None)
    up = Upscaler("m", Generator(network, engine))
    return up, fastsr.load(path, engine="onnxruntime")


def test_a_mixed_stream_comes_out_in_order_and_kind(pair):
    """Plain frames overlap; what needs more than the engine, or comes as something else, is done in its turn."""
    up, exact = pair
    random = np.random.default_rng(0)
    plain = [random.integers(0, 256, (9, 8, 3), np.uint8) for _ in range(3)]
    clear = random.integers(0, 256, (9, 8, 4), np.uint8)
    gray = random.integers(0, 256, (9, 8), np.uint8)
    mixed = [plain[0], plain[1], clear, gray, Image.fromarray(plain[2]), random.random((4, 6, 3), np.float32)]
    made = list(up.stream(iter(mixed)))
    assert len(made) == len(mixed)
    for source, result in zip(mixed, made, strict=True):
        expected = exact.upscale(source)
        assert type(result) is type(expected)
        np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))


def test_streams_of_other_sizes_are_resampled(pair):
    up, exact = pair
    frame = np.random.default_rng(1).integers(0, 256, (9, 8, 3), np.uint8)
    for options in ({"scale": 1.5}, {"size": (30, 20)}):
        (made,) = up.stream([frame], **options)
        np.testing.assert_array_equal(made, exact.upscale(frame, **options))


@pytest.mark.parametrize("options", [{}, {"scale": 1.5}, {"size": (30, 41)}])
def test_regions(pair, options):
    up, exact = pair
    frame = np.random.default_rng(2).integers(0, 256, (40, 50, 4), np.uint8)
    for given in (frame[..., :3], frame, frame[..., 0]):
        made = up.upscale(given, region=(3, 7, 29, 40), **options)
        np.testing.assert_array_equal(made, exact.upscale(given, **options)[7:40, 3:29])


def test_interpolation_streams_too():
    frame = np.random.default_rng(1).integers(0, 256, (9, 8, 3), np.uint8)
    up = fastsr.load("bicubic")
    np.testing.assert_array_equal(next(up.stream([frame])), up.upscale(frame))


def test_upscale_leaves_a_tensor_on_its_gpu(monkeypatch):
    """`fastsr.upscale` takes the way of `Upscaler.upscale`: the model by the tensor's size, no copy to the host."""
    torch = pytest.importorskip("torch")
    asked = []

    class OnGpu(Doubling):
        name, precision = "fake", "fp32"

        def run(self, pixels, progress=None):
            raise AssertionError("copied to the host")

    class Network:
        channels, scale, default_scale = 3, 2, 2

    def loaded(request):
        asked.append(request.model)
        return Upscaler("m", Generator(Network(), OnGpu()))

    monkeypatch.setattr(upscaler, "is_tensor_on_gpu", lambda image: isinstance(image, torch.Tensor))
    monkeypatch.setattr(loading, "_kept", loaded)
    tensor = torch.randint(0, 256, (3, 5, 4), dtype=torch.uint8)
    made = fastsr.upscale(tensor, 2)
    assert asked == ["fast-x2"]
    assert torch.equal(made, tensor.repeat_interleave(2, -1).repeat_interleave(2, -2))
    with pytest.raises(AssertionError, match="copied to the host"):
        fastsr.upscale(tensor, 2, region=(0, 0, 1, 1))  # of which little is computed there
