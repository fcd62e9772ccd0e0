"""Realistic degradation: its kernels, noise and choices against NumPy, Pillow and the settings."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_models import SAMPLE
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from training.data import degradation_samples, packed_images
from training.data.degradation import (
    Degradation,
    Stage,
    bicubic,
    build,
    convolve,
    gaussian_kernels,
    gaussian_noise,
    poisson_noise,
)
from training.data.jpeg import jpeg

# Every share zero: only the resampling to the nominal sizes, by bicubic, is left.
NOTHING = Stage(**{f.name: 0.0 for f in dataclasses.fields(Stage) if f.type == "float"})
EVERYTHING = Stage(isotropic=0.5, anisotropic=0.5, down=0.5, up=0.5, gaussian=0.5, poisson=0.5, jpeg=1.0)


@pytest.fixture(scope="module")
def photo():
    with Image.open(SAMPLE) as image:
        return image.convert("RGB").crop((100, 100, 340, 300))


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def psnr(a, b):
    return -10 * torch.log10((a - b).square().mean()).item()


def degraded(high, scale=4, seed=0, **settings):
    made = build(Degradation(**{"kind": "realistic", "clean": 0.0, **settings}), scale)
    return made(high, torch.Generator(high.device).manual_seed(seed), random.Random(seed))


def kernel(sigma_x, sigma_y, angle, side):
    """The normal density with the covariance R diag(sigma^2) R', on a grid."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T)
    y, x = np.mgrid[:side, :side] - side // 2
    points = np.stack([x, y], -1)
    density = np.exp(-np.einsum("hwi,ij,hwj->hw", points, inverse, points) / 2)
    return density / density.sum()


@pytest.mark.parametrize("shape", [(1.2, 1.2, 0.4), (2.0, 0.6, 0.0), (2.0, 0.6, 0.5), (0.7, 1.9, 2.5), (1e-3, 1e-3, 1)])
def test_kernels_are_gaussians(shape):
    made = gaussian_kernels(*torch.tensor([shape, shape]).T, 13)
    assert made.shape == (2, 13, 13)
    assert made.sum((1, 2)).tolist() == pytest.approx([1, 1], abs=1e-5)
    np.testing.assert_allclose(made[1].numpy(), kernel(*shape, 13), atol=1e-6)


def test_each_image_is_filtered_by_its_own_kernel():
    images = np.random.default_rng(0).random((3, 3, 12, 17)).astype(np.float32)
    kernels = np.stack([kernel(2.0, 0.6, 0.5, 7), kernel(1.0, 1.0, 0, 7), kernel(0.5, 1.5, 2.5, 7)])
    made = convolve(torch.from_numpy(images), torch.from_numpy(kernels).float())
    padded = np.pad(images, [(0, 0), (0, 0), (3, 3), (3, 3)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), (2, 3))
    np.testing.assert_allclose(made.numpy(), np.einsum("nchwij,nij->nchw", windows, kernels), atol=1e-5)


def test_gaussian_noise_has_its_sigma():
    sigma = torch.tensor([2.0, 9.0])[:, None, None, None] / 255
    noise = gaussian_noise(torch.zeros(2, 3, 80, 80), sigma, torch.Generator().manual_seed(0))
    assert (noise.std((1, 2, 3)) * 255).tolist() == pytest.approx([2, 9], rel=0.03)
    assert (noise.mean((1, 2, 3)) * 255).tolist() == pytest.approx([0, 0], abs=0.2)


def test_poisson_noise_grows_with_the_signal():
    signal = torch.tensor([0.05, 0.3, 0.9])[None, :, None, None].expand(2, 3, 100, 100)
    scale = torch.tensor([0.2, 1.0])[:, None, None, None]
    noise = poisson_noise(signal, scale, torch.Generator().manual_seed(0))
    expected = np.outer([0.2**2, 1.0], [0.05, 0.3, 0.9]) / 255
    np.testing.assert_allclose(noise.var((2, 3)).numpy(), expected, rtol=0.06)
    assert noise.mean((2, 3)).abs().max() < 1e-3


@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_gray_noise_is_the_same_in_all_channels(kind):
    flat = torch.full((3, 3, 64, 64), 0.5)
    for gray in (0.0, 1.0):
        stage = dataclasses.replace(NOTHING, gray=gray, **{kind: 1.0}, gaussian_sigma=(4.0, 4.0))
        noise = degraded(flat, first=NOTHING, second=stage) - 0.5
        assert noise.std() > 0.5 / 255
        assert bool((noise.amax(1) == noise.amin(1)).all()) == bool(gray)


def test_noise_reaches_the_share_of_images_asked_for():
    flat = torch.full((300, 3, 16, 16), 128 / 255)
    stage = dataclasses.replace(NOTHING, gaussian=0.2, poisson=0.1, gaussian_sigma=(5.0, 5.0), poisson_scale=(1.0, 1.0))
    noisy = degraded(flat, first=NOTHING, second=stage).std((1, 2, 3)) > 1e-6
    assert noisy.float().mean() == pytest.approx(0.3, abs=0.08)  # three sigmas of 300 draws


@pytest.mark.parametrize(("scale", "halfway"), [(4, (120, 100)), (2, (170, 141))])
def test_with_nothing_chosen_each_round_resamples_half_the_way(photo, scale, halfway):
    made = degraded(tensor(photo), scale, first=NOTHING, second=NOTHING)
    steps = (halfway, (photo.width // scale, photo.height // scale))
    expected = photo
    for size in steps:
        expected = expected.resize(size, Image.Resampling.BICUBIC)
    assert psnr(made, tensor(expected)) > 50


@pytest.mark.parametrize(("mode", "pillow"), [("area", Image.Resampling.BOX), ("bilinear", Image.Resampling.BILINEAR)])
def test_modes_are_pillows(photo, mode, pillow):
    stage = dataclasses.replace(NOTHING, **{mode: 1.0})
    expected = photo.resize((120, 100), pillow).resize((60, 50), pillow)
    assert psnr(degraded(tensor(photo), first=stage, second=stage), tensor(expected)) > 45  # Pillow rounds in between


def test_blur_and_smaller_sizes_take_detail_away(photo):
    def detail(**changes):
        stage = dataclasses.replace(NOTHING, **changes)
        low = degraded(tensor(photo), first=stage, second=stage)
        return low.diff(dim=-1).abs().mean().item()

    plain = detail()
    assert detail(isotropic=1.0, blur=(0.7, 0.7)) < 0.8 * plain
    assert detail(anisotropic=1.0, blur=(0.1, 1.5)) < 0.8 * plain
    assert detail(down=1.0, resize=(0.5, 1.0)) < 0.9 * detail(up=1.0, resize=(1.0, 1.5))


def test_jpeg_is_last_where_asked(photo):
    stage = dataclasses.replace(NOTHING, jpeg=1.0, quality=(30.0, 30.0), up=1.0, resize=(1.0, 1.5))
    quality, again = torch.tensor([30.0]), []
    for jpeg_last in (0.0, 1.0):
        low = degraded(tensor(photo), first=NOTHING, second=stage, jpeg_last=jpeg_last)
        again.append(psnr(low, jpeg(low, quality, subsampled=False)))
    # What was just compressed loses nearly nothing by being compressed the same way again.
    assert again[1] > again[0] + 8


def test_clean_share_is_bicubic(photo):
    high = tensor(photo)[:, :, :64, :64].expand(120, -1, -1, -1)
    plain = bicubic(high, 4)
    assert torch.equal(degraded(high, clean=1.0), plain)
    assert torch.equal(degraded(high, kind="bicubic"), plain)
    same = (degraded(high, clean=0.5, first=EVERYTHING, second=EVERYTHING) == plain).all((1, 2, 3))
    assert same.float().mean() == pytest.approx(0.5, abs=0.14)  # three sigmas of 120 draws


def test_equal_states_make_equal_images(photo):
    high = tensor(photo).expand(3, -1, -1, -1)
    made = degraded(high, first=EVERYTHING, second=EVERYTHING)
    assert torch.equal(made, degraded(high, first=EVERYTHING, second=EVERYTHING))
    assert not torch.equal(made, degraded(high, first=EVERYTHING, second=EVERYTHING, seed=1))
    assert not torch.equal(made[0], made[1])  # each image has its own draws


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 2), (7, 13), (24, 11)])
def test_any_batch_and_size(photo, scale, size):
    high = tensor(photo)[:, :, : size[0] * scale, : size[1] * scale].expand(3, -1, -1, -1)
    for seed in range(4):
        low = degraded(high, scale, seed, first=EVERYTHING, second=EVERYTHING)
        assert low.shape == (3, 3, *size)
        assert torch.equal(low, low.clamp(0, 1).mul(255).round().div(255))


def test_ragged_sides_are_refused():
    with pytest.raises(ValueError, match="not multiples of the scale 4"):
        degraded(torch.zeros(1, 3, 10, 12))


def test_values_never_come_back_to_the_host():
    """A tensor without values raises as soon as anything asks for one: that is where a GPU would be waited for."""
    degraded(torch.zeros(2, 3, 32, 32))  # constants are made, once, from real values
    with FakeTensorMode(allow_non_fake_inputs=True):
        low = degraded(torch.rand(2, 3, 64, 64), first=EVERYTHING, second=EVERYTHING)
        assert low.shape == (2, 3, 16, 16)
        with pytest.raises(DataDependentOutputException):
            low.mean().item()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"isotropic": 1.5}, r"first\.isotropic = 1\.5 .* a share"),
        ({"gaussian": 0.7, "poisson": 0.7}, r"first\.gaussian \+ poisson = 1\.4 .* at most 1"),
        ({"blur": (2.0, 1.0)}, r"first\.blur = \(2\.0, 1\.0\) .* two rising values"),
        ({"blur": (0.0, 1.0)}, r"first\.blur .* 0\.001 to 10"),
        ({"quality": (50.0, 101.0)}, r"first\.quality .* 1 to 100"),
        ({"resize": (1.1, 1.4)}, r"first\.resize = .* 1 between"),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    settings = Degradation(kind="realistic", first=Stage(**changes))
    with pytest.raises(ValueError, match=message):
        build(settings, 4)


def test_kinds_are_named():
    with pytest.raises(ValueError, match=r"degradation\.kind = 'blurry' .* bicubic, realistic, video"):
        build(Degradation(kind="blurry"), 4)


def test_page_shows_bicubic_beside_degraded(photo, tmp_path):
    photo.save(tmp_path / "photo.png")
    packed_images.pack([tmp_path / "photo.png"], tmp_path / "pack.safetensors")
    packed = packed_images.PackedImages(tmp_path / "pack.safetensors")
    page, again = (
        degradation_samples.render(packed, Degradation(kind="realistic", clean=0.0), 4, 2, seed=3) for _ in range(2)
    )
    pitch = 200 + degradation_samples.GAP
    assert page.size == (
        (degradation_samples.DEGRADED + 1) * pitch - degradation_samples.GAP,
        2 * pitch - degradation_samples.GAP,
    )
    assert page.tobytes() == again.tobytes()
    crop = packed.crops(2, 200, torch.Generator().manual_seed(3))[:1].float() / 255
    tiles = [np.asarray(page)[:200, i * pitch : i * pitch + 200] for i in range(degradation_samples.DEGRADED + 1)]
    expected = bicubic(crop, 4)[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(tiles[0], expected.repeat(4, 0).repeat(4, 1))
    assert all(not np.array_equal(tiles[0], tile) for tile in tiles[1:])
