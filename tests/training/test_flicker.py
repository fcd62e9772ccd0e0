"""How much an enlarged video flickers: the measure on scenes whose change is known, and the clips it is taken on."""

import json
import math
import tomllib

import numpy as np
import pytest
from PIL import Image
from support.small_models import SAMPLE, compact

pytest.importorskip("av", reason="PyAV is not installed")

from support import video_samples

import fastsr
from training import __main__ as command
from training.data.image_folders import DataError
from training.measure import clips, flicker
from training.release import model_card

LUMA = 219 / 255  # levels of the luma (16..235) for one of gray
SIDE = 96


class Repeated:
    """Repeats pixels, and makes what differs from middle gray `gain` times as strong."""

    def __init__(self, scale=2, gain=1.0):
        self.scale, self.gain = scale, gain

    def upscale(self, image, scale):
        made = 128 + self.gain * (image.repeat(scale, 0).repeat(scale, 1).astype(float) - 128)
        return made.round().clip(0, 255).astype(np.uint8)


def gray(planes):
    return [np.repeat(plane[..., None], 3, 2).round().clip(0, 255).astype(np.uint8) for plane in planes]


@pytest.fixture
def noisy():
    """A scene at rest, with noise of another kind in every frame: sigma 4 levels."""
    random = np.random.default_rng(0)
    scene = random.uniform(90, 160, (SIDE, SIDE))
    frames = gray(scene + random.normal(0, 4, scene.shape) for _ in range(6))
    return clips.Clip("noisy", frames, (0, 0), [clips.inside(scene.shape, (0, 0))] * 5)


def test_noise_over_a_scene_at_rest_is_measured(noisy):
    rounding = 1 / 12
    expected = LUMA * math.sqrt(2 * (16 + rounding))
    assert flicker.levels(Repeated(), noisy, 2) == pytest.approx(expected, rel=0.02)
    assert flicker.levels(Repeated(gain=1.5), noisy, 4) == pytest.approx(1.5 * expected, rel=0.02)


def test_only_what_is_at_rest_counts(noisy):
    frames = [frame.copy() for frame in noisy.frames]
    for index, frame in enumerate(frames):
        frame[:, 60:] = 40 * (index % 2)
    kept = noisy.same[0].copy()
    kept[:, 60:] = False
    beside = clips.Clip("half", frames, (0, 0), [kept] * 5)
    assert flicker.levels(Repeated(), beside, 2) == pytest.approx(flicker.levels(Repeated(), noisy, 2), rel=0.02)
    whole = clips.Clip("whole", frames, (0, 0), noisy.same)
    assert flicker.levels(Repeated(), whole, 2) > 3 * flicker.levels(Repeated(), beside, 2)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_known_motion_is_followed(scale):
    """Windows of a large image, as a perfect enlargement of a pan would be: nothing changes but by noise."""
    random = np.random.default_rng(1)
    large = random.uniform(0, 255, (scale * (SIDE + 8), scale * (SIDE + 8)))
    x, y = (step * scale // 2 for step in clips.PAN)
    seen = [large[y * i : y * i + scale * SIDE, x * i : x * i + scale * SIDE] for i in range(5)]
    clip = clips.Clip("pan", [], clips.PAN, [clips.inside((SIDE, SIDE), clips.PAN)] * 4)
    assert flicker.change(gray(seen), clip, scale) == 0
    at_rest = clips.Clip("wrong", [], (0, 0), clip.same)
    assert flicker.change(gray(seen), at_rest, scale) > 50
    shaken = gray(0.5 * plane + 60 + random.normal(0, 3, plane.shape) for plane in seen)
    assert flicker.change(shaken, clip, scale) == pytest.approx(LUMA * 3 * math.sqrt(2), rel=0.02)


def test_a_filter_is_its_own_measure(noisy):
    assert flicker.score(fastsr.load("bicubic"), noisy)["ratio"] == 1
    sharper, smoother = (flicker.score(fastsr.load(name), noisy)["ratio"] for name in ("lanczos", "bilinear"))
    assert smoother < 1 < sharper


@pytest.mark.parametrize(("own", "measured"), [(2, 2), (4, 4), (3, 6), (1, 2)])
def test_half_pixels_become_whole_ones(own, measured):
    assert flicker.factor(Repeated(own)) == measured


# ---- clips ----------------------------------------------------------------------------------------------------------


def test_what_moves_is_not_at_rest():
    random = np.random.default_rng(2)
    before = random.uniform(60, 180, (SIDE + 3, SIDE))
    after = before + random.normal(0, 0.5, before.shape)
    after[:, 48:] = np.roll(after[:, 48:], 1, axis=1)
    kept = clips.at_rest(*gray([before, after]))
    assert kept.shape == before.shape
    assert kept[:, :40].all()
    assert not kept[:, 40:].any()  # a block beside what moves is left out too


def test_a_pan_is_a_camera_over_a_photograph(photos, tmp_path):
    with Image.open(SAMPLE) as image:
        whole = image.convert("RGB")
    frames = clips.panned(SAMPLE, 5)
    assert {frame.shape for frame in frames} == {(frames[0].shape)}
    height, width, _ = frames[0].shape
    assert (width % 2, height % 2) == (0, 0)
    expected = whole.crop((6, 2, 6 + 2 * width, 2 + 2 * height)).resize((width, height), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(frames[2], expected)
    # two steps are whole pixels; away from the border the frames are the same there
    x, y = clips.PAN
    np.testing.assert_array_equal(frames[0][8 + y : -8, 8 + x : -8], frames[2][8 : -8 - y, 8 : -8 - x])
    with pytest.raises(DataError, match=r"0\.png: is too small to pan over for 30 frames; it needs 215x157 pixels"):
        clips.panned(photos / "0.png", 30)
    (tmp_path / "no.png").write_text("no image")
    with pytest.raises(DataError, match=r"no\.png: cannot be read as an image"):
        clips.panned(tmp_path / "no.png", 2)


def test_compression_at_a_low_rate_is_the_same_in_every_run():
    frames = clips.panned(SAMPLE, 4)
    made = clips.compressed(frames)
    assert [frame.shape for frame in made] == [frame.shape for frame in frames]
    error = [np.abs(a.astype(int) - b).mean() for a, b in zip(made, frames, strict=True)]
    assert all(1 < value < 12 for value in error)
    for one, other in zip(made, clips.compressed(frames), strict=True):
        np.testing.assert_array_equal(one, other)


def moving(number, width, height):
    """A frame of a video: the left is at rest, the right moves."""
    y, x = np.mgrid[0:height, 0:width]
    at = np.where(x < width // 2, x, x + 4 * number)
    return np.repeat((128 + 60 * np.sin(at / 5 + y / 9))[..., None], 3, 2).astype(np.uint8)


def test_a_video_is_measured_in_its_middle_where_it_is_at_rest(tmp_path):
    path = video_samples.video(tmp_path / "my video.mp4", frames=12, size=(400, 200), pixels=moving)
    clip = clips.opened(path, 4)
    assert (clip.name, clip.motion, len(clip.frames), len(clip.same)) == ("my-video", (0, 0), 4, 3)
    assert clip.frames[0].shape == (136, 240, 3)
    expected = moving(4, 400, 200)[32:168, 80:320].astype(int)
    assert np.abs(clip.frames[0] - expected).mean() < 6
    for same in clip.same:
        assert same[20:116, 20:100].all()
        assert not same[:, 120:].any()


def test_clips_that_cannot_be_used_are_named(tmp_path):
    def stripes(number, width, height):
        row = np.where((np.arange(width) + 4 * number) // 8 % 2, 200, 50).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(row[:, None], (height, width, 3)))

    path = video_samples.video(tmp_path / "moves.mp4", size=(96, 96), pixels=stripes)
    with pytest.raises(DataError, match=r"moves\.mp4: nothing in its middle is at rest; name another video"):
        clips.opened(path, 4)
    with pytest.raises(DataError, match=r"small\.mp4: needs two frames of 8 bits and 64x64 pixels"):
        clips.opened(video_samples.video(tmp_path / "small.mp4"), 4)
    still = clips.Clip("still", [np.full((64, 64, 3), 90, np.uint8)] * 3, (0, 0), [clips.inside((64, 64), (0, 0))] * 2)
    with pytest.raises(DataError, match="still: does not flicker"):
        flicker.score(Repeated(), still)
    with pytest.raises(DataError, match="1 frames are too few"):
        clips.opened(path, 1)
    assert command.main(["flicker", "fast-x2", "--clips", str(tmp_path / "gone.mp4")]) == 1


def noisy_frame(number, width, height):
    """A scene at rest, with noise that is too weak to count as motion."""
    noise = np.random.default_rng(number).normal(0, 0.8, (height, width, 1))
    return np.clip(moving(0, width, height) + noise.round(), 0, 255).astype(np.uint8)


# ---- the command and the cards --------------------------------------------------------------------------------------


def test_the_command_measures_every_model_on_every_clip(tmp_path, capsys):
    model = str(compact(2, 4, 1, seed=7).save(tmp_path / "own.onnx"))
    video = video_samples.video(tmp_path / "clip.mp4", frames=4, size=(128, 96), pixels=noisy_frame)
    files, target = [str(video), str(SAMPLE)], tmp_path / "flicker.json"
    assert command.main(["flicker", "bicubic", model, "--clips", *files, "--frames", "3", "--json", str(target)]) == 0
    results = json.loads(target.read_text())
    assert list(results) == ["bicubic", model]
    assert list(results[model]) == ["clip", f"{SAMPLE.stem}-pan"]
    assert {values["ratio"] for values in results["bicubic"].values()} == {1.0}
    mine = results[model]["clip"]
    assert f"| {model} | {mine['levels']:.2f} ({mine['ratio']:.2f}x) |" in capsys.readouterr().out


def test_cards_say_it_and_keep_it_while_the_weights_stay(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(model_card, "_cost", lambda *_: ({}, 0))  # takes seconds, and is tested elsewhere
    table = tmp_path / "models.toml"
    made = model_card.make("fast-x2", [photos], table=table)
    assert "flicker" not in made
    added = model_card.add_flicker("fast-x2", [SAMPLE], table, frames=3)
    assert added == made | {"flicker": {f"{SAMPLE.stem}-pan": added["flicker"][f"{SAMPLE.stem}-pan"]}}
    assert tomllib.loads(table.read_text()) == {"fast-x2": added}
    assert model_card.make("fast-x2", [photos], table=table) == added
    table.write_text(table.read_text().replace("823 photographs", "824 photographs"))
    assert model_card.make("fast-x2", [photos], table=table) == made


def test_a_card_needs_images(capsys):
    assert command.main(["card", "fast-x2"]) == 1
    assert "--data is missing" in capsys.readouterr().err
