"""Degradation, metrics, losses, optimizer: each against an independent reference."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_models import SAMPLE

from training.data import degradation
from training.learning import loss_functions, optimizer, recipe
from training.measure import metrics


@pytest.fixture(scope="module")
def photo():
    with Image.open(SAMPLE) as image:
        return image.convert("RGB").crop((100, 100, 340, 300))


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_is_pillows(photo, scale):
    made = degradation.bicubic(tensor(photo), scale)
    expected = tensor(photo.resize((photo.width // scale, photo.height // scale), Image.Resampling.BICUBIC))
    assert metrics.psnr_y(made, expected, 0) > 55
    up = [
        Image.fromarray((x[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)).resize(
            photo.size, Image.Resampling.BICUBIC
        )
        for x in (made, expected)
    ]
    scores = [metrics.psnr_y(tensor(u), tensor(photo), scale) for u in up]
    assert abs(scores[0] - scores[1]) < 0.01


def test_bicubic_refuses_ragged_sides():
    with pytest.raises(ValueError, match="not multiples of the scale 4"):
        degradation.bicubic(torch.zeros(1, 3, 10, 12), 4)


def luma(image):
    """MATLAB's rgb2ycbcr, from its documentation."""
    return 16 + np.asarray(image, float) @ np.array([65.481, 128.553, 24.966]) / 255


def test_psnr_is_its_formula(photo):
    blurred = photo.resize((60, 50), Image.Resampling.BICUBIC).resize(photo.size, Image.Resampling.BICUBIC)
    error = (luma(blurred) - luma(photo))[4:-4, 4:-4]
    expected = 10 * math.log10(255**2 / (error**2).mean())
    assert metrics.psnr_y(tensor(blurred), tensor(photo), 4) == pytest.approx(expected, abs=1e-4)


def test_ssim_is_its_formula(photo):
    blurred = photo.resize((60, 50), Image.Resampling.BICUBIC).resize(photo.size, Image.Resampling.BICUBIC)
    a, b = luma(blurred)[4:-4, 4:-4], luma(photo)[4:-4, 4:-4]
    window = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(x):
        rows = np.apply_along_axis(lambda r: np.convolve(r, window, "valid"), 1, x)
        return np.apply_along_axis(lambda c: np.convolve(c, window, "valid"), 0, rows)

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    expected = ((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean()
    assert metrics.ssim_y(tensor(blurred), tensor(photo), 4) == pytest.approx(expected, abs=1e-4)
    assert metrics.ssim_y(tensor(photo), tensor(photo), 4) == pytest.approx(1)


def test_charbonnier_is_smooth_l1():
    a, b = torch.tensor([0.0, 0.5]), torch.tensor([0.0, 0.2])
    assert loss_functions.charbonnier(a, b).item() == pytest.approx((1e-3 + math.hypot(0.3, 1e-3)) / 2, rel=1e-5)


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8), (1, 16, 16)])
def test_orthogonalize_flattens_singular_values(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = optimizer.orthogonalize(matrices)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.6
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    assert (made - u @ v).norm() / (u @ v).norm() < 0.35


def test_muon_minimises():
    torch.manual_seed(0)
    target, weight = torch.randn(6, 9), torch.nn.Parameter(torch.randn(6, 9))
    muon = optimizer.Muon([weight], lr=0.1)
    start = (weight - target).norm().item()
    for step in range(200):
        muon.param_groups[0]["lr"] = 0.1 * (1 - step / 200)
        muon.zero_grad()
        (weight - target).square().sum().backward()
        muon.step()
    assert (weight - target).norm().item() < 0.05 * start


def test_rate_rises_holds_and_falls_to_zero():
    settings = recipe.Optimizer(warmup=10, decay=0.5)
    factors = [optimizer.factor(step, 100, settings) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:50] == [1.0] * 41
    assert factors[75] == pytest.approx(0.5)
    assert factors[-1] == pytest.approx(0.02)
