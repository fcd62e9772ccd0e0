"""JPEG's loss against Pillow's encoder and decoder."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_models import SAMPLE

from training.data.jpeg import CHROMA_STEPS, LUMA_STEPS, jpeg, scaled_steps

SUBSAMPLING = {True: 2, False: 0}  # Pillow's numbers for 4:2:0 and 4:4:4


@pytest.fixture(scope="module")
def photo():
    with Image.open(SAMPLE) as image:
        return image.convert("RGB").crop((101, 57, 318, 250))


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def stored(image, quality, subsampled):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=SUBSAMPLING[subsampled])
    return Image.open(file)


def psnr(a, b):
    return -10 * torch.log10((a - b).square().mean()).item()


def quality(*values):
    return torch.tensor(values, dtype=torch.float32)


@pytest.mark.parametrize("subsampled", [True, False])
@pytest.mark.parametrize("value", [30, 50, 75, 90, 95])
def test_loss_is_that_of_pillows_file(photo, value, subsampled):
    original, made = tensor(photo), jpeg(tensor(photo), quality(value), subsampled)
    expected = tensor(stored(photo, value, subsampled))
    # Measured: 43.5 to 47.3 dB; what is left are coefficients that fall half-way between two steps.
    assert psnr(made, expected) > 43
    assert psnr(made, expected) > psnr(expected, original) + 9
    assert abs(psnr(made, original) - psnr(expected, original)) < 0.1


def test_steps_are_those_pillow_writes(photo):
    values = torch.arange(1.0, 101.0)
    made = [scaled_steps(torch.tensor(table).flatten(), values) for table in (LUMA_STEPS, CHROMA_STEPS)]
    for i, value in enumerate(values.int().tolist()):
        tables = stored(photo, value, True).quantization
        assert made[0][i].tolist() == tables[0], value
        assert made[1][i].tolist() == tables[1], value


def test_each_image_has_its_own_quality(photo):
    image = tensor(photo)
    values = (20, 60, 97)
    batch = jpeg(image.expand(3, -1, -1, -1), quality(*values))
    for made, value in zip(batch, values, strict=True):
        torch.testing.assert_close(made[None], jpeg(image, quality(value)), atol=2 / 255, rtol=0)
    losses = [psnr(made[None], image) for made in batch]
    assert losses == sorted(losses)


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (16, 8), (33, 50)])
@pytest.mark.parametrize("subsampled", [True, False])
def test_any_size(photo, size, subsampled):
    image = photo.crop((60, 60, 60 + size[1], 60 + size[0]))
    made = jpeg(tensor(image), quality(80), subsampled)
    assert made.shape[-2:] == size
    assert psnr(made, tensor(stored(image, 80, subsampled))) > 38
    assert torch.equal(made, made.mul(255).round().div(255))


def test_what_has_no_detail_is_kept():
    gray = torch.full((1, 3, 20, 20), 100 / 255)
    assert (jpeg(gray, quality(90)) - gray).abs().max() <= 1 / 255
    extremes = torch.tensor([0.0, 1.0]).repeat_interleave(16).expand(1, 3, 16, -1)
    assert (jpeg(extremes, quality(100)) - extremes).abs().max() <= 2 / 255
