"""What evaluate measures, on what, and how it says so."""

import io
import json
import math
import random

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_models import compact

import fastsr
from benchmarks import quality
from fastsr.network import catalog
from training.data.image_folders import DataError
from training.measure import evaluate
from training.measure.damage import CHAINS, NAMED, Damage, DamageError
from training.measure.evaluate import EvaluateError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return compact(2, 4, 1, seed=7).save(tmp_path_factory.mktemp("models") / "own.onnx", metadata={"name": "own"})


@pytest.fixture(scope="module")
def small(photos, tmp_path_factory):
    """A folder of two photographs of 64x64."""
    folder = tmp_path_factory.mktemp("small")
    for i in range(2):
        read(photos / f"{i}.png").crop((0, 0, 64, 64)).save(folder / f"{i}.png")
    return folder


def read(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def decibels(a, b):
    return 10 * math.log10(255**2 / ((np.asarray(a, float) - np.asarray(b, float)) ** 2).mean())


def smaller(image, scale):
    return image.resize((image.width // scale, image.height // scale), Image.Resampling.BICUBIC)


# ---- measures -------------------------------------------------------------------------------------------------------


def test_consistency_is_the_psnr_of_the_result_made_small_again(photos):
    files = sorted(photos.iterdir())
    expected = []
    for file in files:
        low = smaller(read(file), 2)
        expected.append(decibels(smaller(low.resize((128, 128), Image.Resampling.LANCZOS), 2), low))
    made = evaluate.score(fastsr.load("lanczos"), files, 2)
    assert set(made) == {"psnr", "ssim", "consistency"}
    assert made["consistency"] == pytest.approx(np.mean(expected), abs=0.05)  # fastsr resamples in float
    assert made["consistency"] > made["psnr"] + 5


def test_lpips_gets_the_images_in_0_to_1(small):
    files = sorted(small.iterdir())
    seen = []

    def distance(made, target):
        seen.append((made, target))
        return (made - target).abs().mean((1, 2, 3))

    scored = evaluate.score(fastsr.load("bicubic"), files, 2, distance)["lpips"]
    for (made, target), file in zip(seen, files, strict=True):
        assert made.shape == target.shape == (1, 3, 64, 64)
        np.testing.assert_allclose(target[0].permute(1, 2, 0) * 255, np.asarray(read(file)), atol=1e-4)
    by_hand = [(made - target).abs().mean().item() for made, target in seen]
    assert scored == pytest.approx(np.mean(by_hand), rel=1e-5)


def test_scoring_keeps_no_gradients(small):
    def distance(a, b):
        assert torch.is_inference_mode_enabled()
        return torch.zeros(len(a))

    assert evaluate.score(fastsr.load("bicubic"), sorted(small.iterdir()), 2, distance)["lpips"] == 0


def test_sides_that_do_not_divide_are_cut(photos, tmp_path):
    image = read(photos / "0.png")
    image.save(tmp_path / "whole.png")
    ragged = Image.new("RGB", (130, 129))
    ragged.paste(image)
    ragged.save(tmp_path / "ragged.png")
    pairs = [evaluate.pair(tmp_path / name, 4) for name in ("whole.png", "ragged.png")]
    for one, other in zip(*(vars(p).values() for p in pairs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_images_are_named(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png: cannot be read as an image"):
        evaluate.pair(tmp_path / "text.png", 4)
    Image.new("RGB", (19, 40)).save(tmp_path / "small.png")
    with pytest.raises(DataError, match=r"small\.png: 19x40 is too small to measure x4; sides need 20 pixels"):
        evaluate.score(fastsr.load("bicubic"), [tmp_path / "small.png"], 4)
    Image.effect_noise((20, 40), 50).save(tmp_path / "least.png")
    assert math.isfinite(evaluate.score(fastsr.load("bicubic"), [tmp_path / "least.png"], 4)["ssim"])


# ---- damage ---------------------------------------------------------------------------------------------------------


def flat(side, gray=128):
    return Image.new("RGB", (side, side), (gray,) * 3)


def test_damage_is_parsed():
    damage = Damage.parse("jpeg=50, noise=5,blur=1.0")
    assert damage == Damage(blur=1.0, noise=5.0, jpeg=50)
    assert str(damage) == "hard"
    assert Damage.parse(str(damage)) == damage
    assert Damage.parse("noise=2.5") == Damage(noise=2.5)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "'' is unknown"),
        ("haze=1", "'haze=1' is unknown"),
        ("noise=1,noise=2", "'noise=2' is unknown or given twice"),
        ("jpeg", "'jpeg' has no number"),
        ("jpeg=7.5", "'jpeg=7.5' has no number"),
        ("jpeg=0", "'jpeg=0' is out of range"),
        ("noise=-1", "'noise=-1' is out of range"),
        ("blur=nan", "'blur=nan' is out of range"),
        ("blur=1e9", "'blur=1e9' is out of range"),
    ],
)
def test_damage_that_cannot_be_is_refused(text, fault):
    with pytest.raises(
        DamageError, match=f"{fault}.*; write it as mild, hard, real, video, or as blur=1.0,noise=5,jpeg=50"
    ):
        Damage.parse(text)


def test_blur_is_a_gaussian():
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20, 20] = 255
    made = np.asarray(Damage(blur=1.5).apply(Image.fromarray(dot), 0), float)
    y, x = np.mgrid[-20:21, -20:21]
    expected = 255 * np.exp(-(x**2 + y**2) / (2 * 1.5**2)) / (2 * math.pi * 1.5**2)
    assert np.abs(made - expected[..., None]).max() <= 0.55
    np.testing.assert_array_equal(Damage(blur=20).apply(flat(5), 0), flat(5))


def test_noise_is_gaussian_and_seeded():
    made = [np.asarray(Damage(noise=8).apply(flat(128), seed), float) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).mean() > 0.8
    rounding = 1 / 12
    assert made[0].std() == pytest.approx(math.sqrt(8**2 + rounding), rel=0.02)
    assert made[0].mean() == pytest.approx(128, abs=0.15)
    assert np.abs(np.corrcoef(made[0].reshape(-1, 3).T) - np.eye(3)).max() < 0.03


def test_jpeg_is_pillows_and_comes_last(photos):
    image = read(photos / "1.png")

    def stored(image):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=40)
        return read(file)

    np.testing.assert_array_equal(Damage(jpeg=40).apply(image, 0), stored(image))
    rough = Damage(blur=1, noise=6).apply(image, 3)
    np.testing.assert_array_equal(Damage(blur=1, noise=6, jpeg=40).apply(image, 3), stored(rough))


def test_every_model_gets_the_same_damaged_image(small):
    given = []

    class Watched:
        def upscale(self, image, size):
            given.append(np.asarray(image, float))
            return image.resize(size)

    files = sorted(small.iterdir())
    scores = [evaluate.score(Watched(), files, 2, damage=Damage(noise=10)) for _ in range(2)]
    assert scores[0] == scores[1]
    np.testing.assert_array_equal(given[:2], given[2:])
    clean = [smaller(read(file), 2) for file in files]
    assert (given[0] - clean[0] != given[1] - clean[1]).mean() > 0.5  # another file, another seed
    again = [smaller(Image.fromarray(g.astype(np.uint8)).resize((64, 64)), 2) for g in given[:2]]
    expected = np.mean([decibels(one, other) for one, other in zip(again, clean, strict=True)])
    assert scores[0]["consistency"] == pytest.approx(expected, abs=1e-4)


# ---- the run as a whole ---------------------------------------------------------------------------------------------


def test_rows_say_what_is_not_the_default(small, model, tmp_path, capsys):
    target, strips = tmp_path / "scores.json", tmp_path / "strips"
    arguments = {"scale": None, "engine": "torch", "precision": "bf16", "device": "cpu"}
    made = evaluate.evaluate([str(model), "bicubic"], [small], **arguments, target=target, strips=strips)
    assert list(made) == ["own x2 (bf16, torch, cpu)", "bicubic x4"]
    assert json.loads(target.read_text()) == made
    values = made["bicubic x4"][small.name]
    cells = f"{values['psnr']:.2f} / {values['ssim']:.4f} | {values['consistency']:.2f}"
    printed = capsys.readouterr().out
    assert f"| model | {small.name}, PSNR / SSIM (Y) | LR-consistency, dB |" in printed
    assert f"| bicubic x4 | {cells} |" in printed
    names = [f"{name}-{small.name}-{i}.png" for name in ("bicubic", "own-bf16-torch-cpu") for i in range(2)]
    assert sorted(p.name for p in strips.iterdir()) == names


def test_precision_changes_the_scores_and_the_default_has_no_note(small, model):
    exact = evaluate.evaluate([str(model)], [small])
    rough = evaluate.evaluate([str(model)], [small], precision="bf16")
    assert [list(exact), list(rough)] == [["own x2"], ["own x2 (bf16)"]]
    one, other = exact["own x2"][small.name], rough["own x2 (bf16)"][small.name]
    assert one["psnr"] != other["psnr"]
    assert one["psnr"] == pytest.approx(other["psnr"], abs=0.5)


def test_same_names_stay_apart(small, model, tmp_path):
    again = compact(2, 4, 1, seed=8).save(tmp_path / "again.onnx", metadata={"name": "own"})
    folders = [tmp_path / name / "HR" for name in "ab"]
    for folder in folders:
        folder.mkdir(parents=True)
        read(small / "0.png").save(folder / "x.png")
    made = evaluate.evaluate([str(model), str(again)], folders)
    assert list(made) == ["own x2", f"own x2 ({again})"]
    assert list(made["own x2"]) == list(map(str, folders))


def test_damage_and_lpips_in_the_table(small, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(evaluate, "perceptual", lambda folder: lambda made, target: torch.tensor([0.25]))
    damage = Damage.parse("jpeg=30")
    made = evaluate.evaluate(["bicubic"], [small], weights=tmp_path, damage=damage)
    values = made["bicubic x4"][f"{small.name} (jpeg=30)"]
    assert values["lpips"] == 0.25
    assert values["psnr"] < evaluate.evaluate(["bicubic"], [small])["bicubic x4"][small.name]["psnr"]
    assert "| LPIPS |" in capsys.readouterr().out


def test_bad_values_are_told_before_the_work(small, tmp_path):
    with pytest.raises(EvaluateError, match="scale 0 is not a whole number of at least 1"):
        evaluate.evaluate(["bicubic"], [small], scale=0)
    with pytest.raises(ValueError, match="LPIPS needs a folder"):
        evaluate.evaluate(["bicubic"], [small], weights=tmp_path)


def test_strips_show_the_four_images(small, model):
    up = fastsr.load(model)
    test = evaluate.pair(small / "1.png", 2, Damage(noise=4))
    made = np.asarray(evaluate.strip(up, test, "a caption that is far too long for its panel"))
    high = np.asarray(test.high)
    assert made.shape == (64 + evaluate.BAR, 4 * 64, 3)
    panels = np.split(made[evaluate.BAR :], 4, axis=1)
    np.testing.assert_array_equal(panels[0][::2, ::2], test.given)
    np.testing.assert_array_equal(panels[1], test.given.resize((64, 64), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(panels[2], up.upscale(test.given))
    np.testing.assert_array_equal(panels[3], high)
    bars = np.split(made[: evaluate.BAR], 4, axis=1)
    assert all((bar < 128).any() for bar in bars)
    assert (bars[3][:, 24:] == 255).all()  # the long one before it stays in its panel


# ---- the benchmark --------------------------------------------------------------------------------------------------


def test_quality_rows(small, model, monkeypatch):
    cards = {"own": catalog.Model("own", 2, model, "s", "t", "l", {}, {})}
    for module in (fastsr, catalog):
        monkeypatch.setattr(module, "models", lambda: cards)
    rows = quality.measure([small], ["fp32", "bf16"], lambda made, target: torch.tensor([0.123456]))
    assert [(r["model"], r["precision"]) for r in rows] == [("bicubic", "fp32"), ("own", "fp32"), ("own", "bf16")]
    expected = evaluate.score(fastsr.load("own"), sorted(small.iterdir()), 2)
    assert rows[1]["psnr"] == round(expected["psnr"], 2)
    assert rows[1]["consistency"] == round(expected["consistency"], 2)
    assert {r["lpips"] for r in rows} == {0.1235}


def test_named_damages_are_read_and_written_by_name():
    for name, damage in NAMED.items():
        assert Damage.parse(name) == damage
        assert str(damage) == name
    assert str(Damage.parse("blur=0.6,noise=2,jpeg=75")) == "mild"


def test_real_damage_is_the_same_for_every_model_and_of_every_kind(photos):
    with Image.open(photos / "1.png") as image:
        high = image.convert("RGB")
    low = evaluate.low_resolution(high, 4)
    made = [np.asarray(NAMED["real"].given(high, low, seed), float) for seed in range(40)]
    again = [np.asarray(NAMED["real"].given(high, low, seed), float) for seed in range(40)]
    clean = np.asarray(low, float)
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.shape == clean.shape
        assert 1 < np.abs(one - clean).mean() < 25  # damaged, and still the same image in the same place
    assert len({one.tobytes() for one in made}) == 40
    kinds = {chain.__name__ for chain in (random.Random(seed).choice(CHAINS) for seed in range(40))}
    assert len(kinds) == len(CHAINS)
