"""Learning from video: frames that move, what codecs do to them, pairs of them, and training on these."""

import dataclasses
import functools
import random
import tomllib
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_models import SAMPLE, compact
from support.video_samples import video

import fastsr
from fastsr.video.sources.input_spec import file_input
from fastsr.video.sources.video_source import VideoSource
from training import schedule
from training.data import degradation, moving_images, pair_shards, teaching, video_damage
from training.data.image_folders import DataError
from training.data.packed_images import PackedImages, pack
from training.data.video_compression import Compression, compressed
from training.learning import checkpoint
from training.learning.total_loss import Target
from training.learning.trainer import Trainer
from training.learning.validation import Validation
from training.measure import evaluate
from training.measure.damage import Damage
from training.release import model_card

SETTINGS = degradation.Degradation(kind="video", clean=0.0, compression=Compression(frames=3))


@pytest.fixture(scope="module")
def photo():
    with Image.open(SAMPLE) as image:
        return np.asarray(image.convert("RGB").crop((100, 100, 292, 260)))


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory):
    """A network that enlarges by four, with random weights."""
    return compact(4, 8, 1).save(tmp_path_factory.mktemp("teacher") / "tiny.onnx")


@pytest.fixture
def clip(tmp_path):
    return video(tmp_path / "clip.mp4", frames=10, size=(96, 64))


def psnr(a, b):
    return -10 * np.log10(np.square((a.astype(float) - b) / 255).mean())


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_codecs_damage_more_at_lower_rates(photo, codec):
    frames = [np.ascontiguousarray(photo[i : i + 75, 2 * i : 2 * i + 71]) for i in range(3)]  # odd sides
    most = Compression().crf[codec]
    good, bad = (compressed(frames, codec, round(crf)) for crf in most)
    assert [frame.shape for frame in good] == [frame.shape for frame in frames]
    for original, a, b in zip(frames, good, bad, strict=True):
        assert psnr(original, a) > psnr(original, b) + 2
        assert psnr(original, b) > 20
    again = compressed(frames, codec, round(most[1]))
    assert all((a == b).all() for a, b in zip(bad, again, strict=True))


def places(height, width):
    """An image whose pixels say where they are."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([y, x, y * 0], 2).astype(np.uint8)


def test_windows_stay_inside_a_photograph_and_move_evenly(monkeypatch):
    monkeypatch.setattr(moving_images, "ZOOMING", 0.0)
    ways = set()
    for seed in range(40):
        frames = moving_images.over_photograph(places(160, 200), 5, random.Random(seed))
        assert {frame.shape for frame in frames} == {(128, 160, 3)}  # 7/8, multiples of 16
        corners = [frame[0, 0, :2].astype(int) for frame in frames]
        assert all(
            (frame == places(160, 200)[y : y + 128, x : x + 160]).all()
            for frame, (y, x) in zip(frames, corners, strict=True)
        )
        steps = [b - a for a, b in pairwise(corners)]
        assert np.ptp(steps, axis=0).max() <= 1
        assert np.abs(steps).max() <= moving_images.SPEED + 1
        ways.add(tuple(corners[-1] - corners[0]))
    assert (0, 0) in ways
    assert len(ways) > 15


def test_a_zoom_shows_more_or_less_of_a_photograph(monkeypatch):
    monkeypatch.setattr(moving_images, "ZOOMING", 1.0)
    grown = []
    for seed in range(10):
        frames = moving_images.over_photograph(places(200, 200), 4, random.Random(seed))
        shown = [int(frame[-1, 0, 0]) - int(frame[0, 0, 0]) for frame in frames]
        assert sorted(shown) == shown or sorted(shown, reverse=True) == shown
        assert all(155 <= rows <= 200 for rows in shown)
        grown.append(shown[-1] - shown[0])
    assert min(grown) < 0 < max(grown)


def test_an_image_is_arrived_at(photo):
    frames = moving_images.arriving(photo, 4, random.Random(1))
    assert (frames[-1] == photo).all()
    assert not (frames[0] == photo).all()
    assert {frame.shape for frame in frames} == {photo.shape}


def test_frames_of_a_video_follow_one_another(clip):
    source = VideoSource(file_input(clip))
    stored = [frame.pixels for frame in source.frames()]
    source.close()
    begins = set()
    for seed in range(8):
        frames = moving_images.out_of_video(clip, 3, random.Random(seed))
        begin = next(i for i, frame in enumerate(stored) if (frame == frames[0]).all())
        assert all((a == b).all() for a, b in zip(frames, stored[begin:], strict=False))
        begins.add(begin)
    assert len(begins) > 2
    with pytest.raises(DataError, match=r"clip\.mp4: has 10 frames from number 0 on, but a run is 11; leave it out"):
        moving_images.out_of_video(clip, 11, random.Random(0))
    with pytest.raises(DataError, match=r"none\.mp4.*leave it out"):
        moving_images.out_of_video(clip.with_name("none.mp4"), 3, random.Random(0))


def test_damage_of_frames_is_seeded_and_may_be_none(photo):
    frames = [photo[i : i + 128, :128] for i in range(3)]
    clean = video_damage.damaged(frames, Compression(), 4, 1.0, random.Random(0))
    for frame, low in zip(frames, clean, strict=True):
        assert (low == video_damage.pixels(video_damage.small(frame, 4))).all()
    first, again, other = (video_damage.damaged(frames, Compression(), 4, 0.0, random.Random(s)) for s in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == other[0]).all()
    assert all(15 < psnr(a, b) < 60 for a, b in zip(first, clean, strict=True))


@pytest.fixture(scope="module")
def taught(teacher_file, packed, tmp_path_factory):
    """A folder of six pairs from three runs."""
    folder = tmp_path_factory.mktemp("pairs")
    teacher = teaching.load(str(teacher_file))
    assert teaching.teach(teacher, PackedImages(packed), SETTINGS, folder, 6, 0, {"teacher": "tiny"}) == 6
    return folder


def test_pairs_of_frames_hold_what_the_teacher_makes_of_the_undamaged_one(taught, teacher_file):
    teacher = teaching.load(str(teacher_file))
    made = list(pair_shards.PackedPairs(taught).pairs())
    assert len(made) == 6
    for pair in made:
        assert pair.low.shape == (28, 28, 3)  # a quarter of 7/8 of 128
        assert pair.original.shape == pair.taught.shape == (112, 112, 3)
        small = video_damage.pixels(video_damage.small(pair.original.numpy(), 4))
        assert (pair.taught.numpy() == teacher.upscale(small)).all()
        assert 15 < psnr(pair.low.numpy(), small) < 60


def test_clips_are_among_the_pairs_and_an_interrupted_teacher_makes_the_same(
    teacher_file, packed, clip, tmp_path, monkeypatch
):
    monkeypatch.setattr(teaching, "SHARD", 3)
    monkeypatch.setattr(teaching, "RUNS_TO_A_CLIP", 2)
    teacher, photographs = teaching.load(str(teacher_file)), PackedImages(packed)
    for folder, counts in (("whole", (8,)), ("parts", (3, 8))):
        for count in counts:
            teaching.teach(teacher, photographs, SETTINGS, tmp_path / folder, count, 0, {}, [clip])
    whole, parts = (list(pair_shards.PackedPairs(tmp_path / name).pairs()) for name in ("whole", "parts"))
    assert [tuple(pair.low.shape[:2]) for pair in whole] == 2 * ([(28, 28)] * 2 + [(16, 24)] * 2)
    assert all(torch.equal(x, y) for a, b in zip(whole, parts, strict=True) for x, y in zip(a, b, strict=True))


def test_clips_are_for_frames_alone(teacher_file, packed, clip, tmp_path):
    settings = degradation.Degradation(kind="realistic")
    with pytest.raises(DataError, match=r'clips are read by recipes with degradation\.kind = "video", not "realistic"'):
        teaching.teach(teaching.load(str(teacher_file)), PackedImages(packed), settings, tmp_path, 2, 0, {}, [clip])


@pytest.fixture
def student(tiny):
    """The tiny recipe, which enlarges by two, on pairs."""
    return dataclasses.replace(tiny, data=dataclasses.replace(tiny.data, pairs=True), degradation=SETTINGS)


def test_a_recipe_of_half_the_scale_learns_from_the_pairs(student, taught, run_of, tmp_path):
    made = Trainer(student, run_of(taught, tmp_path, validation=taught))
    low, target = made._batch()
    assert low.shape == (4, 3, 16, 16)
    assert target.wanted.shape == target.original.shape == (4, 3, 32, 32)
    small = degradation.bicubic(target.original, 2)
    assert 15 < psnr(low.mul(255).numpy(), small.mul(255).numpy()) < 60
    made.train()
    about = checkpoint.load(tmp_path / "tiny" / checkpoint.FILE)[1]
    assert about["best"]["psnr"] > 15


def test_validation_takes_pairs_as_they_are(taught):
    for scale in (4, 2):
        made = Validation(taught, scale, None, "cpu")
        assert {tuple(x.shape[2:]) for x in made.originals} == {(28 * scale, 28 * scale)}
        bicubic = functools.partial(torch.nn.functional.interpolate, scale_factor=scale, mode="bicubic")
        measured = made.measure(bicubic)[0]
        assert 18 < measured["psnr"] < 45
    with pytest.raises(DataError, match="its pairs are for scale 4, the recipe's generator for 3"):
        Validation(taught, 3, None, "cpu")


def test_models_are_measured_on_pairs(taught):
    scores = {
        model: evaluate.score(fastsr.load(model), evaluate.files_of(taught), 4) for model in ("nearest", "bicubic")
    }
    assert scores["bicubic"]["psnr"] > scores["nearest"]["psnr"] > 15
    tests = [test for file in evaluate.files_of(taught) for test in evaluate.samples(file, 2)]
    assert {test.high.size for test in tests} == {(56, 56)}
    assert {test.given.size for test in tests} == {(28, 28)}


def test_video_is_a_damage_of_still_images(photo):
    high = Image.fromarray(photo)
    low = evaluate.low_resolution(high, 4)
    damage = Damage.parse("video")
    assert str(damage) == "video"
    given = [damage.given(high, low, seed) for seed in (0, 0, 1)]
    assert {image.size for image in given} == {low.size}
    assert (np.asarray(given[0]) == np.asarray(given[1])).all()
    assert not (np.asarray(given[0]) == np.asarray(given[2])).all()
    assert all(15 < psnr(np.asarray(image), np.asarray(low)) < 60 for image in given)


RECIPE = """
name = "r"
summary = "for tests"
steps = 2
[generator]
scale = 2
channels = 4
depth = 1
[data]
pairs = true
batch = 2
crop = 32
[degradation]
kind = "video"
compression.frames = 2
"""


def test_what_is_due_is_made_of_photographs_and_clips(teacher_file, photos, clip, tmp_path, monkeypatch):
    (tmp_path / "r.toml").write_text(RECIPE)
    due = [
        schedule.Teaching(str(teacher_file), str(tmp_path / "r.toml"), 4),
        schedule.Training(str(tmp_path / "r.toml"), 1e7),
    ]
    monkeypatch.setattr(schedule, "VALIDATION_PAIRS", 2)
    monkeypatch.setattr(schedule.Place, "pairs", lambda self, teacher: tmp_path / "taught")
    monkeypatch.setattr(schedule.Place, "validation_pairs", lambda self, teacher: tmp_path / "validation")
    folder = tmp_path / "state"
    folder.mkdir()
    for name in ("photographs", "validation"):
        pack([photos], folder / f"{name}.safetensors", min_side=64)
    schedule.go_on(schedule.Place((photos,), None, folder, clips=(clip,)), due)
    assert pair_shards.PackedPairs(tmp_path / "taught").count == 4
    assert pair_shards.PackedPairs(tmp_path / "validation").count == 2
    about = checkpoint.load(folder / "runs" / "r" / checkpoint.FILE)[1]
    assert about["step"] == 2


def test_cards_tell_what_pairs_score(photos, taught, tmp_path):
    table = tmp_path / "models.toml"
    made = model_card.make("fast-x2", [photos, taught], table=table)
    assert tomllib.loads(table.read_text()) == {"fast-x2": made}
    assert made["scores"].keys() == {photos.name}
    assert made["damaged"].keys() == {"video"}
    assert made["damaged"]["video"][taught.name]["psnr"] > 15


@pytest.mark.parametrize(("weights", "same"), [((0.1, 1.0), "original"), ((1.0, 0.1), "wanted")])
def test_phases_are_those_of_what_the_pixels_are_to_be(student, taught, run_of, tmp_path, weights, same):
    loss = dataclasses.replace(student.loss, weight=weights[0], original_weight=weights[1], phase_weight=1.0)
    made = Trainer(dataclasses.replace(student, loss=loss), run_of(taught, tmp_path))
    target = Target(torch.full((1, 3, 32, 32), 0.4), torch.full((1, 3, 32, 32), 0.5))
    for name in target._fields:
        terms = made.total_loss.generator(getattr(target, name), target, made.watch, random.Random(0))[1]
        assert terms["loss/phases"].item() == pytest.approx(0.0 if name == same else 0.1, abs=1e-6)
