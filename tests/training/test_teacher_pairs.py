"""Pairs: what the teacher makes of damaged photographs, kept with the originals; and learning from them."""

import dataclasses

import pytest
import torch
from support.small_models import compact

from training import __main__ as command
from training import schedule
from training.data import degradation, pair_shards, teaching
from training.data.image_folders import DataError
from training.data.packed_images import PackedImages, pack
from training.learning import checkpoint, recipe
from training.learning.trainer import Trainer
from training.learning.validation import grid


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory):
    """A network that enlarges by four, with random weights."""
    return compact(4, 8, 1).save(tmp_path_factory.mktemp("teacher") / "tiny.onnx")


@pytest.fixture(scope="module")
def teacher(teacher_file):
    return teaching.load(str(teacher_file))


SETTINGS = degradation.Degradation(kind="realistic")


@pytest.fixture(scope="module")
def taught(teacher, packed, tmp_path_factory):
    """A folder of six pairs from four photographs."""
    folder = tmp_path_factory.mktemp("pairs")
    assert teaching.teach(teacher, PackedImages(packed), SETTINGS, folder, 6, 0, {"teacher": "tiny"}) == 6
    return folder


def test_a_teacher_of_another_scale_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"m\.onnx: enlarges by 3; a teacher must by 1, 2, 4 or 8"):
        teaching.load(str(compact(3).save(tmp_path / "m.onnx")))


def test_pairs_hold_the_damaged_image_and_what_the_teacher_makes_of_it(teacher, taught):
    made = pair_shards.PackedPairs(taught)
    assert made.count == 6
    for pair in made.pairs():
        assert pair.low.shape == (32, 32, 3)
        assert pair.original.shape == pair.taught.shape == (128, 128, 3)
        assert (pair.taught.numpy() == teacher.upscale(pair.low.numpy())).all()


def test_an_interrupted_teacher_goes_on_to_the_same_pairs(teacher, packed, taught, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "SHARD", 2)
    photographs = PackedImages(packed)
    for count in (2, 6):
        teaching.teach(teacher, photographs, SETTINGS, tmp_path, count, 0, {"teacher": "tiny"})
    assert len(pair_shards.shards(tmp_path)) == 3
    for a, b in zip(pair_shards.PackedPairs(taught).pairs(), pair_shards.PackedPairs(tmp_path).pairs(), strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_crops_of_pairs_are_of_the_same_place_and_symmetry(tmp_path):
    """The large images repeat the pixels of the small one, so their crops must too."""
    draws = torch.Generator().manual_seed(0)
    made = []
    for height, width in ((12, 20), (16, 9)):
        low = torch.randint(256, (height, width, 3), generator=draws, dtype=torch.uint8)
        large = low.repeat_interleave(4, 0).repeat_interleave(4, 1)
        made.append(pair_shards.Pair(low, large, 255 - large))
    pair_shards.write(pair_shards.shard(tmp_path, 0), made[:1], {"scale": 4})
    pair_shards.write(pair_shards.shard(tmp_path, 1), made[1:], {"scale": 4})
    crops = pair_shards.PackedPairs(tmp_path).crops(64, 6, draws, detail=0.5)
    assert crops.low.shape == (64, 3, 6, 6)
    assert torch.equal(crops.taught, crops.low.repeat_interleave(4, 2).repeat_interleave(4, 3))
    assert torch.equal(crops.original, 255 - crops.taught)
    assert len({tuple(c.flatten().tolist()) for c in crops.low}) > 50


def test_detail_prefers_what_is_busy(tmp_path):
    flat = torch.full((32, 64, 3), 128, dtype=torch.uint8)
    flat[:, 32:] = torch.randint(256, (32, 32, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    large = flat.repeat_interleave(2, 0).repeat_interleave(2, 1)
    pair_shards.write(pair_shards.shard(tmp_path, 0), [pair_shards.Pair(flat, large, large)], {"scale": 2})
    packed = pair_shards.PackedPairs(tmp_path)
    spread = [packed.crops(200, 8, torch.Generator().manual_seed(1), d).low.float().std((1, 2, 3)) for d in (0.0, 1.0)]
    assert (spread[1] > 5).float().mean() > (spread[0] > 5).float().mean() + 0.1


def test_missing_and_damaged_pairs_are_named(tmp_path):
    with pytest.raises(DataError, match="no pairs here; make them with: python -m training teach"):
        pair_shards.PackedPairs(tmp_path)
    pair_shards.shard(tmp_path, 0).write_bytes(b"\0" * 50)
    with pytest.raises(DataError, match=r"00000\.safetensors: not a readable shard"):
        pair_shards.PackedPairs(tmp_path)


@pytest.fixture
def student(tiny):
    """The tiny recipe, folded, on pairs."""
    shape = dataclasses.replace(tiny.generator, scale=4, fold=2, base="bicubic", expansion=0)
    settings = dataclasses.replace(tiny.data, pairs=True, crop=64, detail=0.5)
    loss = dataclasses.replace(tiny.loss, amplitude_weight=0.02, original_weight=0.1)
    return dataclasses.replace(tiny, generator=shape, data=settings, loss=loss, degradation=SETTINGS)


def test_a_student_learns_and_resumes(student, taught, packed, run_of, tmp_path):
    options = {"validation": packed}
    Trainer(student, run_of(taught, tmp_path / "whole", **options)).train()
    Trainer(student, run_of(taught, tmp_path / "parts", stop_after=9, **options)).train()
    Trainer(student, run_of(taught, tmp_path / "parts", **options)).train()
    whole, about = checkpoint.load(tmp_path / "whole" / "tiny" / checkpoint.FILE)
    parts, _ = checkpoint.load(tmp_path / "parts" / "tiny" / checkpoint.FILE)
    assert all(torch.equal(value, parts["average"][name]) for name, value in whole["average"].items())
    assert about["images"] == 6
    # forward and backward: 2 x multiply-adds x 3, but for the gradient of the input
    folded, per = 4 * (64 // 4) ** 2 // 4, 2 * 9 * 8
    first, inner, tail = folded * per * 12, folded * per * 8, folded * per * 3 * 64
    assert about["own_flop"] == pytest.approx(24 * (2 * first + 3 * 2 * inner + 3 * tail))
    assert about["flop"] == about["own_flop"]
    best, kept = checkpoint.load(tmp_path / "whole" / "tiny" / checkpoint.BEST)
    assert set(best) == {"average"}
    assert kept["best"]["step"] in (12, 24)
    assert kept["best"]["score"] == -kept["best"]["psnr"]


def test_a_budget_gives_the_number_of_steps(student, taught, run_of, tmp_path):
    chosen = dataclasses.replace(student, steps=0, budget=1.5e9)
    made = Trainer(chosen, run_of(taught, tmp_path))
    made.train()
    assert made.step == made.steps == round(1.5e9 / (made.flop / made.step))
    assert made.flop == pytest.approx(1.5e9, rel=0.02)


@pytest.mark.parametrize("suffix", ["onnx", "safetensors"])
def test_a_run_goes_on_from_its_export(student, taught, run_of, tmp_path, suffix):
    first = Trainer(student, run_of(taught, tmp_path / "first", stop_after=10))
    first.train()
    kept = tmp_path / f"tiny.{suffix}"
    assert command.main(["export", "tiny", "--runs", str(tmp_path / "first"), "-o", str(kept)]) == 0
    second = Trainer(student, run_of(taught, tmp_path / "second", exported=kept))
    assert (second.step, second.rewarmed) == (10, 10)
    assert second.flop == first.flop
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        for network in (second.network, second.average):
            assert (network(x) - first.average(x)).abs().max() < 2e-3  # weights are kept as half floats
    other = dataclasses.replace(student, name="other")
    with pytest.raises(checkpoint.CheckpointError, match="has weights of tiny, not of other"):
        Trainer(other, run_of(taught, tmp_path / "second", exported=kept))


def test_what_is_due_is_done_once_and_can_be_killed(teacher_file, photos, tmp_path, monkeypatch):
    (tmp_path / "r.toml").write_text(RECIPE)
    listed = tmp_path / "runs.toml"
    listed.write_text(
        f'[[due]]\nteach = "{teacher_file}"\nrecipe = "{tmp_path / "r.toml"}"\npairs = 3\n'
        f'[[due]]\ntrain = "{tmp_path / "r.toml"}"\nflop = 1e7\n'
    )
    monkeypatch.setattr(schedule.Place, "pairs", lambda self, teacher: tmp_path / "taught")
    monkeypatch.setattr(schedule, "VALIDATION", tmp_path / "all.txt")
    (tmp_path / "all.txt").write_text("# every one\n*\n")
    folder = tmp_path / "state"
    folder.mkdir()
    for name, filter in (("photographs", {}), ("validation", {})):
        pack([photos], folder / f"{name}.safetensors", min_side=64, **filter)
    place = schedule.Place((photos,), None, folder)
    for _ in range(2):
        schedule.go_on(place, schedule.read(listed))
    assert pair_shards.PackedPairs(tmp_path / "taught").count == 3
    about = checkpoint.load(folder / "runs" / "r" / checkpoint.FILE)[1]
    assert 1e7 <= about["flop"] < 2e7 or about["step"] == 1
    listed.write_text("[[due]]\nwash = 1\n")
    with pytest.raises(recipe.RecipeError, match="must have teach"):
        schedule.read(listed)


RECIPE = """
name = "r"
summary = "for tests"
budget = 1e9
precision = "auto"
[generator]
scale = 4
channels = 4
depth = 1
expansion = 0
fold = 2
base = "bicubic"
[data]
pairs = true
batch = 2
crop = 64
[degradation]
kind = "realistic"
[optimizer]
kind = "adam"
"""


def test_a_grid_shows_in_its_measure():
    draws = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 64, 64, generator=draws) * 0.2 + 0.4
    blocks = torch.zeros(4, 4)
    blocks[0, 0] = 0.2
    assert 0.5 < grid(image) < 2
    assert grid(image + blocks.repeat(16, 16)) > 2 * grid(image)
