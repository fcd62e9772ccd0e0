"""Content and adversarial losses against values worked out in NumPy."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from training.learning import coarse_colors, loss_functions
from training.learning.loss_functions import LossError
from training.networks import feature_networks


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """AlexNet with random weights."""
    folder, random = tmp_path_factory.mktemp("weights"), torch.Generator().manual_seed(0)
    tensors = {}
    for x in feature_networks.ALEXNET:
        shape = (x.outputs, x.inputs, x.kernel, x.kernel)
        tensors[f"features.{x.number}.weight"] = torch.randn(shape, generator=random) / (x.inputs * x.kernel**2) ** 0.5
        tensors[f"features.{x.number}.bias"] = torch.zeros(x.outputs)
    save_file(tensors, folder / "alexnet.safetensors")
    return feature_networks.alexnet(folder)


def phase_means(x, scale):
    """Means over windows of the pixels at each place of a block, one after the other."""
    window = loss_functions.PHASE_WINDOW * scale
    return np.array(
        [
            x[:, :, top + dy : top + window : scale, left + dx : left + window : scale].mean(axis=(2, 3))
            for top in range(0, x.shape[2], window)
            for left in range(0, x.shape[3], window)
            for dy in range(scale)
            for dx in range(scale)
        ]
    )


@pytest.mark.parametrize("scale", [2, 4])
def test_phases_are_the_distance_of_means_at_each_place_of_a_block(scale):
    made, target = torch.rand(2, 2, 3, 32, 64, generator=torch.Generator().manual_seed(2)).unbind()
    expected = np.abs(phase_means(made.numpy(), scale) - phase_means(target.numpy(), scale)).mean()
    assert loss_functions.phases(made, target, scale).item() == pytest.approx(expected, rel=1e-4)
    assert loss_functions.phases(made, made, scale).item() == 0


def _texture():
    return torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.3 + 0.3


@pytest.mark.parametrize("scale", [4, 8])
def test_a_grid_costs_even_where_its_sign_changes(scale):
    texture = _texture()
    places = torch.arange(96)
    wave = torch.cos(2 * torch.pi * places / scale).outer(torch.ones(96))
    clean = loss_functions.grid(texture, texture, scale).item()
    uneven = 0.1 * wave * torch.sign(torch.sin(places / 11.0))
    assert abs(uneven.mean()) < 0.01
    assert loss_functions.grid(texture + uneven, texture, scale).item() > clean + 0.02
    assert loss_functions.grid(texture + 0.1 * wave, texture + 0.1 * wave, scale).item() == pytest.approx(
        clean, abs=1e-5
    )


def test_without_a_grid_nothing_is_asked_for():
    texture = _texture().requires_grad_()
    loss_functions.grid(texture, texture.detach(), 8).backward()
    assert loss_functions.grid(texture.detach(), texture.detach(), 8).item() < 0.2
    smooth = torch.full((1, 3, 96, 96), 0.5, requires_grad=True)
    loss_functions.grid(smooth, smooth.detach(), 8).backward()
    assert smooth.grad.isfinite().all()
    assert smooth.grad.abs().max() < 1e-6


def test_a_step_against_the_gradient_takes_a_grid_away():
    texture = _texture()
    wave = torch.cos(torch.pi * torch.arange(96) / 4).outer(torch.ones(96))
    made = (texture + 0.1 * wave).requires_grad_()
    before = loss_functions.grid(made, texture, 8)
    before.backward()
    with torch.no_grad():
        after = loss_functions.grid(made - 0.02 * made.grad / made.grad.abs().max(), texture, 8)
    assert after < before


def test_phases_see_a_grid_and_hardly_noise_of_its_size():
    target = torch.full((1, 3, 64, 64), 0.5)
    signs = torch.tensor([1.0, -1.0]).repeat(32)
    grid = signs[:, None] * signs
    noise = torch.randint(2, (1, 3, 64, 64), generator=torch.Generator().manual_seed(3)) * 2.0 - 1
    assert loss_functions.phases(target + 0.1 * grid, target, 4).item() == pytest.approx(0.1, rel=1e-4)
    assert loss_functions.phases(target + 0.1 * noise, target, 4).item() < 0.03


def test_amplitude_is_the_distance_of_log_spectra_of_windows():
    made, target = torch.rand(2, 2, 3, 40, 24, generator=torch.Generator().manual_seed(2)).unbind()
    side = loss_functions.AMPLITUDE_WINDOW
    ramp = np.arange(side)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * ramp / side)

    def spectra(x):
        windows = [
            x[..., top : top + side, left : left + side]
            for top in range(3, x.shape[2] - side + 1, side)
            for left in range(5, x.shape[3] - side + 1, side)
        ]
        flat = np.stack([w - w.mean((-2, -1), keepdims=True) for w in windows]) * np.outer(hann, hann)
        return np.log(np.abs(np.fft.rfft2(flat)) + loss_functions.AMPLITUDE_FLOOR)

    expected = np.abs(spectra(made.double().numpy()) - spectra(target.double().numpy())).mean()
    assert loss_functions.amplitude(made, target, 3, 5).item() == pytest.approx(expected, rel=1e-4)


def test_amplitude_is_blind_to_phase_and_sees_blur():
    draws = torch.Generator().manual_seed(3)
    one, other = torch.rand(2, 1, 3, 64, 64, generator=draws).unbind()
    blurred = torch.nn.functional.avg_pool2d(one, 3, 1, 1)
    assert loss_functions.amplitude(other, one) < 0.5 * loss_functions.amplitude(blurred, one)


@pytest.mark.parametrize(("distance", "power"), [("l1", 1), ("mse", 2)])
def test_content_is_the_weighted_distance_of_features(network, distance, power):
    made, target = torch.rand(2, 2, 3, 35, 35, generator=torch.Generator().manual_seed(1)).unbind()
    expected = 0.0
    for name, weight in {"conv2": 0.5, "conv1": 3.0}.items():
        a, b = (network(image, [name])[0].numpy().astype(np.float64) for image in (made, target))
        expected += weight * (np.abs(a - b) ** power).mean()
    content = loss_functions.Content(network, {"conv2": 0.5, "conv1": 3.0}, distance)
    assert content(made, target).item() == pytest.approx(expected, rel=1e-5)
    assert content(made, made).item() == 0


def test_content_teaches_the_made_image_only(network):
    made, target = (torch.rand(1, 3, 35, 35).requires_grad_() for _ in range(2))
    loss_functions.Content(network, {"conv2": 1.0}, "mse")(made, target).backward()
    assert made.grad.abs().max() > 0
    assert target.grad is None
    assert all(p.grad is None for p in network.parameters())


def test_content_is_float32_under_autocast(network):
    made, target = torch.rand(2, 1, 3, 35, 35).unbind()
    content = loss_functions.Content(network, {"conv2": 1.0}, "mse")
    with torch.autocast("cpu", torch.bfloat16):
        half = content(made, target)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(content(made, target).item(), rel=0.02)


def test_content_refuses_what_it_does_not_know(network):
    with pytest.raises(LossError, match="'l3' is not known; it must be l1 or mse"):
        loss_functions.Content(network, {"conv1": 1.0}, "l3")
    with pytest.raises(feature_networks.FeaturesError, match="name one or more of conv1"):
        loss_functions.Content(network, {"conv5_4": 1.0}, "l1")


@pytest.mark.parametrize("shape", [(4, 1), (2, 1, 3, 5)], ids=["one an image", "one a pixel"])
def test_adversarial_losses_are_their_formulas(shape):
    random = np.random.default_rng(0)
    real, fake = random.normal(1, 2, shape), random.normal(-1, 2, shape)
    logits = [torch.from_numpy(x).float() for x in (real, fake)]

    expected = -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean()
    assert loss_functions.discriminator_loss("standard", *logits).item() == pytest.approx(expected, rel=1e-5)
    expected = -np.log(sigmoid(fake)).mean()
    assert loss_functions.generator_loss("standard", *logits).item() == pytest.approx(expected, rel=1e-5)

    more_real, more_fake = sigmoid(real - fake.mean()), sigmoid(fake - real.mean())
    expected = -np.log(more_real).mean() - np.log(1 - more_fake).mean()
    assert loss_functions.discriminator_loss("relativistic", *logits).item() == pytest.approx(expected, rel=1e-5)
    expected = -np.log(1 - more_real).mean() - np.log(more_fake).mean()
    assert loss_functions.generator_loss("relativistic", *logits).item() == pytest.approx(expected, rel=1e-5)

    expected = -np.log(sigmoid(real - fake)).mean()
    assert loss_functions.discriminator_loss("paired", *logits).item() == pytest.approx(expected, rel=1e-5)
    expected = -np.log(sigmoid(fake - real)).mean()
    assert loss_functions.generator_loss("paired", *logits).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", loss_functions.ADVERSARIAL_LOSSES)
def test_the_two_pull_fake_logits_apart(kind):
    real, fake = torch.full((3, 1), 0.5), torch.zeros(3, 1, requires_grad=True)
    (up,) = torch.autograd.grad(loss_functions.generator_loss(kind, real, fake), fake)
    (down,) = torch.autograd.grad(loss_functions.discriminator_loss(kind, real, fake), fake)
    assert (up < 0).all()
    assert (down > 0).all()


@pytest.mark.parametrize("kind", loss_functions.ADVERSARIAL_LOSSES)
def test_a_sure_discriminator_still_teaches(kind):
    """Far out on the sigmoid nothing overflows, and the generator's gradient does not vanish."""
    real, fake = torch.full((2, 1), 500.0), torch.full((2, 1), -500.0, requires_grad=True)
    loss = loss_functions.generator_loss(kind, real, fake)
    loss.backward()
    assert loss.isfinite()
    assert loss_functions.discriminator_loss(kind, real, fake).item() == 0
    assert fake.grad.sum().item() < -0.9


def test_accuracy_counts_as_the_loss_judges():
    real, fake = torch.tensor([[3.0], [1.0], [5.0], [2.0]]), torch.tensor([[2.0], [-2.0], [0.5], [-1.0]])
    assert [x.item() for x in loss_functions.accuracy("standard", real, fake)] == [1.0, 0.5]
    moved = [x.item() for x in loss_functions.accuracy("relativistic", real + 7, fake + 7)]  # only differences count
    assert moved == [1.0, 1.0]
    paired = [x.item() for x in loss_functions.accuracy("paired", real, fake + torch.tensor([[2.0], [0], [0], [0]]))]
    assert paired == [0.75, 0.75]  # the first pair is judged the wrong way round


@pytest.mark.parametrize(
    "function", [loss_functions.generator_loss, loss_functions.discriminator_loss, loss_functions.accuracy]
)
def test_unknown_kinds_list_the_known(function):
    with pytest.raises(LossError, match="'hinge' is not known; it must be standard, relativistic or paired"):
        function("hinge", torch.zeros(1), torch.zeros(1))


def test_artefacts_are_errors_weighted_by_their_local_variance():
    made, target = torch.rand(2, 2, 3, 20, 18, generator=torch.Generator().manual_seed(5)).unbind()
    error = (target - made).abs().double().numpy()
    gray = error.sum(1)
    reach = loss_functions.ARTEFACT_WINDOW // 2
    padded = np.pad(gray, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (loss_functions.ARTEFACT_WINDOW,) * 2, axis=(1, 2))
    share = gray.reshape(2, -1).var(1, ddof=1) ** 0.2
    weight = windows.var((-2, -1)) * share[:, None, None]
    assert loss_functions.artefacts(made, target).item() == pytest.approx((weight[:, None] * error).mean(), rel=1e-3)
    assert loss_functions.artefacts(made, made).item() == 0


def test_a_teacher_gets_the_coarse_colours_of_originals():
    draws = torch.Generator().manual_seed(0)
    original = torch.rand(2, 3, 80, 100, generator=draws) * 0.5 + 0.2
    sharp = original + 0.05 * torch.randn(original.shape, generator=draws)
    taught = sharp - torch.tensor([0.02, 0.1, 0.0]).view(1, 3, 1, 1)
    made = coarse_colors.in_colors_of(original, taught)
    assert coarse_colors.drift(taught, original) > 8
    assert coarse_colors.drift(made, original) < 0.5
    fine = [x - torch.nn.functional.avg_pool2d(x, 5, 1, 2) for x in (made, sharp)]
    assert (fine[0] - fine[1]).abs().mean() < 0.002  # what is finer than a cell stays the teacher's
