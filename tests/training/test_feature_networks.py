"""Feature networks and LPIPS against plain NumPy ones, with random weights always and the real ones where they lie."""

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageFilter
from safetensors.numpy import load_file, save_file
from support.small_models import SAMPLE

from training.measure.lpips import Lpips
from training.networks import feature_networks
from training.networks.feature_networks import FeaturesError

REAL = Path(os.environ.get("FASTSR_WEIGHTS", Path(__file__).parents[3] / "shared" / "data" / "weights"))
CAFFE = "RGB in 0..255 minus mean 123.68,116.779,103.939 (no std)"
ALEXNET = "RGB in -1..1, then (x-shift)/scale, shift=-.030,-.088,-.188 scale=.458,.448,.450"
# Sequences of (outputs, inputs, kernel, stride, padding) or the side of a pooling, from the papers.
VGG_CHAIN = [(64, 3), (64, 64), 2, (128, 64), (128, 128), 2, (256, 128), *[(256, 256)] * 3]
VGG_CHAIN += [2, (512, 256), *[(512, 512)] * 3, 2, *[(512, 512)] * 4]
VGG_CHAIN = [x if x == 2 else (*x, 3, 1, 1) for x in VGG_CHAIN]
VGG_NUMBERS = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
VGG_NAMES = [f"conv{block}_{i + 1}" for block, n in enumerate((2, 2, 4, 4, 4), 1) for i in range(n)]
ALEX_CHAIN = [
    (64, 3, 11, 4, 2),
    3,
    (192, 64, 5, 1, 2),
    3,
    (384, 192, 3, 1, 1),
    (256, 384, 3, 1, 1),
    (256, 256, 3, 1, 1),
]
ALEX_NUMBERS = [0, 3, 6, 8, 10]


def random_weights(chain, numbers, dtype):
    random = np.random.default_rng(0)
    made = {}
    for number, (outputs, inputs, kernel, _, _) in zip(numbers, [x for x in chain if type(x) is tuple], strict=True):
        shape = (outputs, inputs, kernel, kernel)
        scale = np.float32((2 / (inputs * kernel**2)) ** 0.5)
        made[f"features.{number}.weight"] = (random.standard_normal(shape, np.float32) * scale).astype(dtype)
        made[f"features.{number}.bias"] = (random.standard_normal(outputs, np.float32) * 0.1).astype(dtype)
    return made


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory):
    """Both files with random weights, in the layout of the real ones."""
    folder = tmp_path_factory.mktemp("weights")
    vgg = random_weights(VGG_CHAIN, VGG_NUMBERS, np.float16)
    save_file(vgg, folder / "vgg19_features_fp16.safetensors", {"input": CAFFE})
    alex = random_weights(ALEX_CHAIN, ALEX_NUMBERS, np.float32)
    random = np.random.default_rng(1)
    for i, (channels, *_) in enumerate([x for x in ALEX_CHAIN if type(x) is tuple]):
        alex[f"lin{i}.weight"] = random.random((1, channels, 1, 1), np.float32) / channels
    save_file(alex, folder / "lpips_alex.safetensors", {"input": ALEXNET})
    return folder


@pytest.fixture(params=["random", "real"])
def folder(request, random_folder):
    if request.param == "random":
        return random_folder
    if not (REAL / "lpips_alex.safetensors").is_file() or not (REAL / "vgg19_features_fp16.safetensors").is_file():
        pytest.skip(f"no feature weights in {REAL}: set FASTSR_WEIGHTS to the folder that holds them")
    return REAL


def photo(side, left=200, top=200):
    with Image.open(SAMPLE) as image:
        return image.convert("RGB").crop((left, top, left + side, top + side))


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def conv(x, weight, bias, stride, padding):
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(x, weight.shape[2:], (1, 2))[:, ::stride, ::stride]
    return np.tensordot(weight, windows, ((1, 2, 3), (0, 3, 4))) + bias[:, None, None]


def pool(x, side):
    return sliding_window_view(x, (side, side), (1, 2))[:, ::2, ::2].max((3, 4))


def reference(image, tensors, chain, numbers, mean, std):
    """Every convolution's output (C x H x W) for a CHW image in 0..1, by NumPy."""
    x = (image - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    out, numbers = [], iter(numbers)
    for step in chain:
        if type(step) is int:
            x = pool(x, step)
            continue
        number = next(numbers)
        weight, bias = (tensors[f"features.{number}.{part}"].astype(np.float32) for part in ("weight", "bias"))
        out.append(conv(x.astype(np.float32), weight, bias, *step[3:]))
        x = np.maximum(out[-1], 0)
    return out


def imagenet(image, tensors):
    return reference(image, tensors, ALEX_CHAIN, ALEX_NUMBERS, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def assert_close(made, expected):
    assert made.shape == expected.shape
    assert np.abs(made - expected).max() < 1e-4 * np.abs(expected).max()


def test_vgg19_is_its_definition(folder):
    image = tensor(photo(19))
    expected = reference(
        image[0].numpy() * 255,
        load_file(folder / "vgg19_features_fp16.safetensors"),
        VGG_CHAIN,
        VGG_NUMBERS,
        (123.68, 116.779, 103.939),
        (1, 1, 1),
    )
    network = feature_networks.vgg19(folder)
    for made, wanted in zip(network(image, VGG_NAMES), expected, strict=True):
        assert_close(made[0].numpy(), wanted)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_alexnet_is_its_definition(folder):
    image = tensor(photo(67))
    expected = imagenet(image[0].numpy(), load_file(folder / "lpips_alex.safetensors"))
    made = feature_networks.alexnet(folder)(image, ["conv5", "conv1", "conv3"])
    for a, i in zip(made, (4, 0, 2), strict=True):
        assert_close(a[0].numpy(), expected[i])


def test_frozen_but_lets_the_gradient_through(random_folder):
    network = feature_networks.alexnet(random_folder)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    image = torch.rand(2, 3, 35, 35, requires_grad=True)
    network(image, ["conv2"])[0].square().mean().backward()
    assert image.grad.abs().amax(dim=(1, 2, 3)).min() > 0


def test_stops_after_the_deepest_layer(random_folder):
    network = feature_networks.alexnet(random_folder)
    seen = []
    for name, layer in network.convs.items():
        layer.register_forward_hook(lambda *_, name=name: seen.append(name))
    network(torch.rand(1, 3, 35, 35), ["conv3", "conv1"])
    assert seen == ["conv1", "conv2", "conv3"]


def test_autocast_and_channels_last_give_the_same_features(random_folder):
    image = torch.rand(2, 3, 35, 35)
    network = feature_networks.alexnet(random_folder)
    (expected,) = network(image, ["conv2"])
    (last,) = network(image.contiguous(memory_format=torch.channels_last), ["conv2"])
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(last, expected, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        (half,) = network(image, ["conv2"])
    assert half.dtype == torch.bfloat16
    assert (half.float() - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("layers", [["conv1", "relu9"], []])
def test_wrong_layers_list_the_right_ones(random_folder, layers):
    with pytest.raises(FeaturesError, match="name one or more of conv1, conv2, conv3, conv4, conv5"):
        feature_networks.alexnet(random_folder)(torch.rand(1, 3, 64, 64), layers)


def test_torchvision_without_a_folder(monkeypatch):
    """Its weights expect its normalisation, whatever the authors' did."""
    tensors = random_weights(ALEX_CHAIN, ALEX_NUMBERS, np.float32)
    entry = types.SimpleNamespace(get_state_dict=lambda **_: {k: torch.from_numpy(v) for k, v in tensors.items()})
    module = types.SimpleNamespace(AlexNet_Weights=types.SimpleNamespace(IMAGENET1K_V1=entry))
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", module)
    image = tensor(photo(35))
    (made,) = feature_networks.alexnet(None)(image, ["conv1"])
    assert_close(made[0].numpy(), imagenet(image[0].numpy(), tensors)[0])


def test_torchvision_without_network(monkeypatch):
    def refuse(**_):
        raise OSError("no route to host")

    entry = types.SimpleNamespace(IMAGENET1K_V1=types.SimpleNamespace(get_state_dict=refuse))
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", types.SimpleNamespace(VGG19_Weights=entry))
    with pytest.raises(FeaturesError, match=r"no route to host.*a folder that holds vgg19_features_fp16"):
        feature_networks.vgg19(None)


def test_neither_folder_nor_torchvision(monkeypatch):
    for name in ("torchvision", "torchvision.models"):  # spandrel may have imported both
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(FeaturesError, match=r"folder that holds vgg19_features_fp16.*pip install torchvision"):
        feature_networks.vgg19(None)


def test_folder_without_the_file(tmp_path):
    with pytest.raises(FeaturesError, match=r"holds no vgg19_features_fp16\.safetensors or vgg19\*\.safetensors"):
        feature_networks.vgg19(tmp_path)


def test_file_without_metadata_is_torchvisions(tmp_path):
    tensors = random_weights(ALEX_CHAIN, ALEX_NUMBERS, np.float32)
    save_file(tensors, tmp_path / "alexnet-owt.safetensors")
    image = tensor(photo(35))
    (made,) = feature_networks.alexnet(tmp_path)(image, ["conv2"])
    assert_close(made[0].numpy(), imagenet(image[0].numpy(), tensors)[1])


def test_what_is_wrong_with_a_file_is_named(tmp_path):
    path = tmp_path / "alexnet.safetensors"
    tensors = random_weights(ALEX_CHAIN, ALEX_NUMBERS, np.float32)
    save_file(tensors, path, {"input": "BGR"})
    with pytest.raises(FeaturesError, match=r"alexnet\.safetensors: metadata key input = 'BGR' is not understood"):
        feature_networks.alexnet(tmp_path)
    save_file({k: v for k, v in tensors.items() if k != "features.3.bias"}, path)
    with pytest.raises(FeaturesError, match=r"alexnet\.safetensors: features\.3\.bias is missing, .*\(192,\)"):
        feature_networks.alexnet(tmp_path)
    save_file(tensors | {"features.3.bias": np.zeros(5, np.float32)}, path)
    with pytest.raises(FeaturesError, match=r"features\.3\.bias has shape \(5,\)"):
        feature_networks.alexnet(tmp_path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(FeaturesError, match=r"alexnet\.safetensors: not a readable safetensors file"):
        feature_networks.alexnet(tmp_path)


def blurred(image, radius):
    return image.filter(ImageFilter.GaussianBlur(radius))


@torch.no_grad()
def test_lpips_is_its_formula(folder):
    sharp = [photo(67), photo(67, left=90)]
    made = torch.cat([tensor(blurred(sharp[0], 1)), tensor(blurred(sharp[1], 3))])
    target = torch.cat([tensor(s) for s in sharp])
    tensors = load_file(folder / "lpips_alex.safetensors")
    expected = np.zeros(2)
    for n in range(2):
        pairs = zip(imagenet(made[n].numpy(), tensors), imagenet(target[n].numpy(), tensors), strict=True)
        for i, pair in enumerate(pairs):
            a, b = (r / (np.sqrt((r**2).sum(0)) + 1e-10) for r in (np.maximum(f, 0) for f in pair))
            expected[n] += (tensors[f"lin{i}.weight"][0] * (a - b) ** 2).sum(0).mean()
    values = Lpips(folder)(made, target)
    assert values.numpy() == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_lpips_is_zero_for_the_same_and_grows_with_blur(folder):
    distance, image = Lpips(folder), photo(96)
    values = [distance(tensor(blurred(image, radius)), tensor(image)).item() for radius in (0, 1, 2, 4)]
    assert values[0] == 0
    assert 1e-4 < values[1] < values[2] < values[3]


def test_lpips_has_a_finite_gradient_even_where_nothing_answers(random_folder):
    distance = Lpips(random_folder)
    with torch.no_grad():
        distance.features.convs["conv5"].bias -= 1000
    made = torch.rand(1, 3, 35, 35, requires_grad=True)
    distance(made, torch.rand(1, 3, 35, 35)).sum().backward()
    assert made.grad.isfinite().all()
    assert made.grad.abs().max() > 0


@pytest.mark.parametrize("given", [True, False])
def test_lpips_needs_more_than_alexnet(tmp_path, given):
    save_file({"x": np.zeros(1)}, tmp_path / "alexnet.safetensors")
    with pytest.raises(FeaturesError, match=r"lpips_alex\.safetensors; .*AlexNet alone is not enough.*lin0"):
        Lpips(tmp_path if given else None)
