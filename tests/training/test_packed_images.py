"""Packing images and drawing crops."""

import numpy as np
import pytest
import torch
from PIL import Image

from training.data.image_folders import DataError, find_images
from training.data.packed_images import PackedImages, _gather, _slices, pack


@pytest.fixture
def folder(tmp_path):
    """Two images whose every pixel tells where it is: red = row, green = column, blue = image."""
    for i, (height, width) in enumerate([(60, 90), (110, 50)]):
        rows, columns = np.mgrid[0:height, 0:width]
        pixels = np.stack([rows, columns, np.full_like(rows, 100 * i + 50)], axis=-1).astype(np.uint8)
        (tmp_path / "images" / f"{i}").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{i}" / "photo.png")
    return tmp_path / "images"


@pytest.fixture
def packed(folder, tmp_path):
    assert pack([folder], tmp_path / "pack.safetensors", min_side=40) == 2
    return tmp_path / "pack.safetensors"


def test_crops_are_windows_in_all_eight_symmetries(packed):
    data = PackedImages(packed)
    crops = data.crops(400, 40, torch.Generator().manual_seed(0))
    assert crops.shape == (400, 3, 40, 40)
    assert crops.dtype == torch.uint8
    seen = set()
    for crop in crops.numpy().astype(int):
        rows, columns, image = crop
        assert len(np.unique(image)) == 1
        steps = tuple(int(v) for v in (rows[1, 0] - rows[0, 0], rows[0, 1] - rows[0, 0]))
        across = tuple(int(v) for v in (columns[1, 0] - columns[0, 0], columns[0, 1] - columns[0, 0]))
        assert sorted(np.abs((*steps, *across))) == [0, 0, 1, 1]
        assert rows.max() - rows.min() == columns.max() - columns.min() == 39
        seen.add((steps, across))
    assert len(seen) == 8


def test_crops_reach_every_corner(packed):
    crops = PackedImages(packed).crops(3000, 40, torch.Generator().manual_seed(1)).numpy()
    for image, (height, width) in ((50, (60, 90)), (150, (110, 50))):
        mine = crops[crops[:, 2, 0, 0] == image]
        assert mine[:, 0].min() == 0
        assert mine[:, 0].max() == height - 1
        assert mine[:, 1].min() == 0
        assert mine[:, 1].max() == width - 1
    share = (crops[:, 2, 0, 0] == 50).mean()
    assert abs(share - 5400 / 10900) < 0.05  # by area


def test_crops_repeat_from_a_seed(packed):
    data = PackedImages(packed)
    first, second = (data.crops(5, 32, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)


def test_held_out_images_are_not_drawn(packed):
    data = PackedImages(packed, holdout=1)
    (held,) = data.held_out(1000)
    drawn = data.crops(100, 40, torch.Generator().manual_seed(0))
    assert set(drawn[:, 2].unique().tolist()).isdisjoint(held[:, 2].unique().tolist())
    assert data.held_out(30)[0].shape == (1, 3, 30, 30)


def test_small_and_broken_files_are_skipped(folder, tmp_path, capsys):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not an image")
    Image.new("RGB", (8, 8)).save(folder / "small.png")
    assert pack([folder], tmp_path / "p.safetensors", min_side=40) == 2
    said = capsys.readouterr()
    assert "small.png: 8x8 is smaller than 40" in said.out + said.err
    assert "broken.jpg" in said.out + said.err


def test_bad_input_is_named(folder, packed, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        find_images([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images under .*empty"):
        find_images([tmp_path / "empty"])
    with pytest.raises(DataError, match="none of 2 files"):
        pack([folder], tmp_path / "p.safetensors", min_side=1000)
    assert not (tmp_path / "p.safetensors").exists()
    with pytest.raises(DataError, match="training prepare"):
        PackedImages(tmp_path / "gone.safetensors")
    with pytest.raises(DataError, match="hold out 2 of 2"):
        PackedImages(packed, holdout=2)
    with pytest.raises(DataError, match=r"crops of 64 pixels do not fit images of 50"):
        PackedImages(packed).crops(1, 64, torch.Generator())


def test_slices_are_what_one_gather_takes(packed):
    images = PackedImages(packed)
    start, width = torch.tensor([3, 60 * 90 + 107]), torch.tensor([90, 50])
    for symmetry in range(8):
        bits = torch.tensor([symmetry, 7 - symmetry])
        made = _slices(images.pixels, start, width, 30, bits)
        assert torch.equal(made, _gather(images.pixels, start, width, 30, bits))


def test_a_part_of_a_batch_is_what_the_whole_has_there(packed):
    images = PackedImages(packed)
    whole = images.crops(6, 40, torch.Generator().manual_seed(3))
    part = images.crops(6, 40, torch.Generator().manual_seed(3), slice(2, 5))
    assert torch.equal(part, whole[2:5])
