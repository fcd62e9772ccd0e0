"""Discriminators: shapes, bounded weights, and that they learn to tell."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from training.learning import loss_functions
from training.networks import discriminators
from training.networks.discriminators import FeatureDiscriminator, SrganDiscriminator, UNetDiscriminator, build

OF_IMAGES = ("srgan", "unet")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def smooth_and_noise(count, side=32):
    """Images of low frequencies, and white noise of the same range."""
    smooth = F.interpolate(torch.rand(count, 3, 4, 4), size=(side, side), mode="bicubic").clamp(0, 1)
    return smooth, torch.rand(count, 3, side, side)


def train(network, kind, steps, rate=2e-3):
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for _ in range(steps):
        real, fake = (network(x) for x in smooth_and_noise(8))
        optimizer.zero_grad()
        loss_functions.discriminator_loss(kind, real, fake).backward()
        optimizer.step()


@pytest.mark.parametrize("sides", [(32, 32), (33, 47), (96, 50)])
def test_srgan_gives_one_logit_an_image_of_any_size(sides):
    assert SrganDiscriminator(8)(torch.rand(2, 3, *sides)).shape == (2, 1)


@pytest.mark.parametrize("sides", [(8, 8), (32, 40), (33, 47)])
def test_unet_gives_one_logit_a_pixel_of_any_size(sides):
    assert UNetDiscriminator(8)(torch.rand(2, 3, *sides)).shape == (2, 1, *sides)


def test_srgan_is_the_papers():
    network = SrganDiscriminator(64)
    convs = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(c.out_channels, c.stride[0]) for c in convs] == [
        (64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2),
    ]  # fmt: skip
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()) == 7
    assert [m.out_features for m in network.modules() if isinstance(m, torch.nn.Linear)] == [1024, 1]


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_input_is_centred(kind):
    """Black, grey and white are -1, 0 and 1 to the first layer."""
    network = build(kind, 8)
    first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    seen = []
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network(torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 3, 32, 32))
    assert [x.unique().item() for x in seen[0]] == [-1, 0, 1]


@pytest.mark.parametrize(("kind", "loss"), [("srgan", "standard"), ("unet", "relativistic")])
def test_learns_to_tell_noise_from_smooth_images(kind, loss):
    network = build(kind, 8)
    train(network, loss, steps=25)
    with torch.no_grad():
        told = loss_functions.accuracy(loss, *(network(x) for x in smooth_and_noise(8)))
    assert sum(told) / 2 > 0.9


def test_unet_weights_keep_their_largest_singular_value_at_one():
    network = UNetDiscriminator(8)
    originals = []
    train(network, "standard", steps=6, rate=2e-4)
    network.eval()
    for conv in [*network.down, *network.up, *network.tail]:
        largest = torch.linalg.svdvals(conv.weight.flatten(1))[0].item()
        assert 0.999 < largest < 1.1  # the power iteration approaches it from below and lags behind the training
        originals.append(torch.linalg.svdvals(conv.parametrizations.weight.original.flatten(1))[0].item())
    assert max(abs(x - 1) for x in originals) > 0.1  # what is trained is not bounded by itself


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_gradient_reaches_every_pixel(kind):
    image = torch.rand(2, 3, 37, 37, requires_grad=True)
    logits = build(kind, 8)(image)
    loss_functions.generator_loss("standard", logits, logits).backward()
    assert (image.grad.abs().sum(1) > 0).float().mean() > 0.99


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_state_survives_safetensors(kind, tmp_path):
    network, other = build(kind, 8), build(kind, 8)
    train(network, "standard", steps=1)
    save_file(network.state_dict(), tmp_path / "state.safetensors")
    other.load_state_dict(load_file(tmp_path / "state.safetensors"))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(network.eval()(image), other.eval()(image))


def features_of(images):
    """Two layers of features: the images repeated to six channels of unlike power, and their halves."""
    wide = images.repeat(1, 2, 1, 1) * torch.tensor([1.0, 10, 100, 0, 1, 1]).view(1, 6, 1, 1)
    return [wide, F.avg_pool2d(images, 2)]


def test_features_are_judged_layer_by_layer():
    logits = FeatureDiscriminator([6, 3], 8)(*features_of(torch.rand(2, 3, 32, 40)))
    assert [x.shape for x in logits] == [(2, 1, 32, 40), (2, 1, 16, 20)]


def test_features_are_scaled_by_the_power_of_real_ones():
    network = FeatureDiscriminator([6, 3], 8)
    seen = []
    network.heads[0][0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    real = features_of(torch.rand(2, 3, 32, 32))
    network.observe(real)
    network(*real)
    power = seen[0].square().mean((0, 2, 3))
    assert power[3] == 0  # a channel that is silent stays so
    torch.testing.assert_close(power[[0, 1, 2, 4, 5]], torch.ones(5), rtol=1e-3, atol=0)
    network.observe([x * 2 for x in real])  # of later batches each counts for little
    network(*real)
    assert 0.9 < seen[1].square().mean((0, 2, 3))[0] < 1


def test_features_tell_noise_from_smooth_images():
    network = FeatureDiscriminator([6, 3], 16)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(100):
        real, fake = (features_of(x) for x in smooth_and_noise(8))
        network.observe(real)
        pairs = zip(network(*real), network(*fake), strict=True)
        optimizer.zero_grad()
        torch.stack([loss_functions.discriminator_loss("standard", a, b) for a, b in pairs]).sum().backward()
        optimizer.step()
    with torch.no_grad():
        real, fake = (network(*features_of(x)) for x in smooth_and_noise(8))
    told = [share for a, b in zip(real, fake, strict=True) for share in loss_functions.accuracy("standard", a, b)]
    assert sum(map(float, told)) / len(told) > 0.85


def test_unknown_kind_lists_the_known():
    with pytest.raises(ValueError, match="discriminator 'vgg' is not known; it must be srgan, unet or features"):
        discriminators.build("vgg", 8)
