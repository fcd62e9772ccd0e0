"""Drawn licence plates: layouts, pairs for training, and the measure of what is read of them."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from PIL import Image

from training import __main__ as command
from training import schedule
from training.data import degradation, pair_shards, plate_fonts, plate_pairs, plate_scenes, plates
from training.data.image_folders import DataError
from training.data.packed_images import PackedImages
from training.data.plate_layouts import LAYOUTS
from training.learning import recipe
from training.measure import plate_reading

FONTS = plate_fonts.INSTALLED
SETTINGS = degradation.Degradation(kind="realistic")


@pytest.fixture
def missing(monkeypatch):
    """A machine without the extra [plates]."""
    find = plate_fonts.importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: find(name) if name == "matplotlib" else None)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_is_drawn_in_its_proportions_with_a_registration(layout):
    draws = random.Random(0)
    plate = plates.drawn(layout, FONTS[0], 300, draws)
    assert plate.image.width == 300
    assert plate.image.height / 300 == pytest.approx(layout.size[1] / layout.size[0], abs=0.12)
    assert 4 <= len("".join(text for text, _ in plate.rows)) <= 11
    pixels = np.asarray(plate.image.convert("L"), float)
    for text, (left, top, right, bottom) in plate.rows:
        assert text.isalnum()
        assert text == text.upper()
        assert 0 <= left < right <= 300
        assert 0 <= top < bottom <= plate.image.height
        assert pixels[round(top) : round(bottom), round(left) : round(right)].std() > 25  # there is ink on paper


def test_registrations_follow_the_pattern():
    layout = dataclasses.replace(LAYOUTS[0], patterns=("$*@# -|#",), codes=("XY",), letters="AB")
    made = {plates.registration(layout, random.Random(i)) for i in range(50)}
    assert {text[:3] for text in made} == {"XY*"}
    assert {text[3] for text in made} == {"A", "B"}
    assert all(text[4].isdigit() and text[5:8] == " -|" and text[8].isdigit() for text in made)


def test_a_plate_lies_where_its_view_says():
    draws = random.Random(3)
    seen = plate_scenes.view((240, 120), 160, LAYOUTS[2], FONTS[0], draws, False, pose=plate_scenes.Pose(0, 0, 0))
    ((_, (left, top, right, bottom)),) = seen.rows
    assert seen.image.shape == (120, 240, 3)
    assert 90 < right - left < 150
    assert 14 < bottom - top < 32
    gray = seen.image[round(top) : round(bottom), round(left) : round(right)].mean(2)
    dark = gray < (gray.min() + gray.max()) / 2
    assert 0.2 < dark.mean() < 0.6  # characters


def test_the_same_seed_draws_the_same_pairs_and_goes_on(packed, tmp_path):
    photographs = PackedImages(packed)
    for folder, counts in (("one", (3,)), ("two", (1, 3))):
        for count in counts:
            assert plate_pairs.draw(photographs, SETTINGS, tmp_path / folder, count, 7, FONTS) == count
    one, two = (list(pair_shards.PackedPairs(tmp_path / folder).pairs()) for folder in ("one", "two"))
    assert len(one) == len(two) == 3
    for a, b in zip(one, two, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
        assert a.low.shape == (64, 96, 3)
        assert a.original.shape == (256, 384, 3)
        assert torch.equal(a.original, a.taught)
        small = degradation.bicubic(a.original.permute(2, 0, 1)[None].float() / 255, 4)[0].permute(1, 2, 0)
        assert (small - a.low.float() / 255).abs().mean() < 0.08  # the same picture
    assert not torch.equal(one[0].original, one[1].original)


def test_crops_that_stay_upright(tmp_path):
    ramp = torch.arange(16 * 16, dtype=torch.uint8).view(16, 16, 1).expand(16, 16, 3).contiguous()
    large = ramp.repeat_interleave(4, 0).repeat_interleave(4, 1)
    pair_shards.write(pair_shards.shard(tmp_path, 0), [pair_shards.Pair(ramp, large, large)], {"scale": 4})
    crops = pair_shards.PackedPairs(tmp_path).crops(32, 4, torch.Generator().manual_seed(0), upright=True)
    steps = crops.low.int()[:, 0]
    assert ((steps[:, :, 1:] - steps[:, :, :-1]) == 1).all()
    assert ((steps[:, 1:] - steps[:, :-1]) == 16).all()


def test_upright_is_for_pairs():
    with pytest.raises(recipe.RecipeError, match="upright = True is not accepted"):
        recipe.changed(recipe.read("fast-x4"), ["data.upright=true"])


@pytest.mark.parametrize("angle", [0, 0.5, 1.57])
def test_kernels_keep_brightness_and_spread_as_far_as_asked(angle):
    motion, disc = plate_pairs.motion_kernel(8, angle)[0], plate_pairs.disc_kernel(3)[0]
    radius = motion.shape[0] // 2
    ramp = torch.arange(-radius, radius + 1.0)
    along = ramp[None, :] * np.cos(angle) + ramp[:, None] * np.sin(angle)
    assert float(motion.sum()) == pytest.approx(1)
    assert float(disc.sum()) == pytest.approx(1)
    assert float((motion * along**2).sum()) == pytest.approx(8**2 / 12, rel=0.2)
    assert float((motion.flip((0, 1)) - motion).abs().max()) < 1e-6


def test_without_the_fonts_the_remedy_is_told(missing, tmp_path, capsys):
    with pytest.raises(DataError, match=r'pip install -e "\.\[plates\]"'):
        plate_fonts.check(tuple(plate_fonts.FONTS))
    assert command.main(["draw", "--count", "1", "-o", str(tmp_path / "pairs")]) == 1
    assert "plates are drawn with: pip install" in capsys.readouterr().err
    assert not (tmp_path / "pairs").exists()


def test_without_the_reader_the_remedy_is_told(missing):
    with pytest.raises(DataError, match=r"PP-OCRv4 is missing: pip install"):
        plate_reading.Reader()


def test_plates_are_drawn_and_learned_from_where_they_are_due(packed, photos, tmp_path, monkeypatch):
    """Their pairs are the recipe's own, whatever a teacher made before."""
    monkeypatch.setattr(plate_pairs, "draw", lambda *a: drawn.append(a[2:]))
    drawn = []
    listed = tmp_path / "runs.toml"
    listed.write_text('[[due]]\nteach = "t"\nrecipe = "r"\npairs = 1\n[[due]]\ndraw = "plates-x4"\npairs = 5\n')
    due = schedule.read(listed)
    assert due[1] == schedule.Drawing("plates-x4", 5)
    place = schedule.Place((photos,), None, tmp_path)
    for target in (place.packed, place.validation):
        target.write_bytes(packed.read_bytes())
    schedule.go_on(place, due[1:])
    assert drawn == [(place.validation_pairs("plates-x4"), 24, 1), (place.pairs("plates-x4"), 5, 0)]
    assert schedule._maker_of("plates-x4", due) == "plates-x4"
    assert schedule._maker_of("photo-x2", due) == "t"


@pytest.mark.parametrize(("read", "written", "errors"), [("AB12", "AB12", 0), ("A812", "AB12", 1), ("", "AB", 2)])
def test_the_distance_counts_characters(read, written, errors):
    assert plate_reading.distance(read, written) == errors
    assert plate_reading.distance(written, read) == errors


def test_errors_are_of_characters_and_look_alikes_are_none():
    class Says:
        def read(self, image):
            return answers.pop()

    plate = plate_reading.Drawn("AO1B", Image.new("RGB", (8, 8)), Image.new("RGB", (2, 2)), (0, 0, 8, 8))
    answers = ["A-0 I8", "AOIB"]
    assert plate_reading.error_rate(Says(), [plate.original] * 2, [plate] * 2) == pytest.approx(1 / 8)


def test_held_out_plates_have_the_width_asked_for_and_come_again():
    one, two = (plate_reading.held_out(40, 4, 0, FONTS) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert a.text == b.text
        assert a.original.tobytes() == b.original.tobytes()
        assert a.given.tobytes() == b.given.tobytes()
        assert a.original.size == tuple(4 * side for side in a.given.size)
        assert 60 < a.box[2] - a.box[0] < 4 * 40 + 30


def test_the_originals_are_read():
    pytest.importorskip("onnxruntime", reason='the reader needs: pip install -e ".[train]"')
    try:
        reader = plate_reading.Reader()
    except DataError as error:
        pytest.skip(str(error))
    drawn = plate_reading.held_out(56, 12, 0, FONTS)
    assert plate_reading.error_rate(reader, [plate.original for plate in drawn], drawn) < 0.05
