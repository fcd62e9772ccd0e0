"""The commands of `python -m training`, end to end on tiny networks; and what they say when something is wrong."""

import json
import tomllib

import pytest
from PIL import Image

import fastsr
from fastsr.network import catalog
from training import __main__ as command
from training.measure import evaluate
from training.release import model_card

RECIPE = """
name = "mini"
summary = "for tests"
steps = 3
[generator]
scale = 2
channels = 8
depth = 1
[data]
batch = 2
crop = 32
holdout = 1
"""


@pytest.fixture
def done(capsys):
    """Runs a command that must succeed; returns what it printed."""

    def run(*arguments):
        capsys.readouterr()
        code = command.main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return run


def test_from_folder_to_scores(photos, tmp_path, done):
    (tmp_path / "mini.toml").write_text(RECIPE)
    packed, runs, model = tmp_path / "pack.safetensors", tmp_path / "runs", tmp_path / "mini.onnx"
    done("prepare", photos, "-o", packed, "--min-side", "64")
    done("train", tmp_path / "mini.toml", "--data", packed, "--out", runs, "--device", "cpu")
    done("export", tmp_path / "mini.toml", "--runs", runs, "-o", model)
    measures = ["--scale", "2", "--json", tmp_path / "scores.json", "--strips", tmp_path / "strips"]
    printed = done("evaluate", model, "bicubic", "--data", photos, *measures)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {"mini x2", "bicubic x2"}
    bicubic = scores["bicubic x2"][photos.name]
    assert f"{bicubic['psnr']:.2f} / {bicubic['ssim']:.4f}" in printed
    assert bicubic["psnr"] > 20
    strips = sorted(p.name for p in (tmp_path / "strips").iterdir())
    assert f"mini-{photos.name}-0.png" in strips
    with Image.open(tmp_path / "strips" / f"mini-{photos.name}-0.png") as strip:
        assert strip.width == 4 * 128


def test_fine_tuning_a_model_to_a_folder(photos, tmp_path, done):
    (tmp_path / "mini.toml").write_text(RECIPE)
    runs, model = tmp_path / "runs", tmp_path / "mini.onnx"
    done("train", tmp_path / "mini.toml", "--data", photos, "--out", runs, "--device", "cpu")
    done("export", "mini", "--runs", runs, "-o", model)
    done("curves", runs / "mini", "-o", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > image.height
    tuned = ["--name", "ours", "--steps", "4", "--device", "cpu"]
    done("train", "--from", model, "--data", photos, "--out", runs, *tuned)
    done("export", "ours", "--runs", runs, "-o", tmp_path / "ours.onnx")
    line = fastsr.load(tmp_path / "ours.onnx")
    assert line.name == "ours"
    assert (runs / "ours" / "data.safetensors").exists()


def test_a_page_of_damaged_samples(packed, tmp_path, done):
    recipe = RECIPE + '[degradation]\nkind = "realistic"\n'
    (tmp_path / "mini.toml").write_text(recipe)
    done("samples", tmp_path / "mini.toml", "--data", packed, "--rows", "2", "-o", tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as page:
        assert page.width > page.height > 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nothing"], "nothing: no such recipe"),
        (["train"], "name a recipe, or a model to go on from with --from"),
        (["train", "--from", "fast-x9"], "start 'fast-x9': no run"),
        (["train", "fast-x4", "--int8"], "--from MODEL"),
        (["train", "fast-x4", "--data", "gone.safetensors"], "gone.safetensors: no packed data here"),
        (["prepare", "gone"], "gone: no such file or folder"),
        (["export", "fast-x4", "--runs", "gone"], "no such checkpoint"),
        (["curves", "gone"], "gone: holds no curves"),
        (["evaluate", "fast-x4", "--data", ".", "--damage", "fog=3"], "fog"),
        (["evaluate", "fast-x9", "--data", "."], "unknown model 'fast-x9'"),
    ],
)
def test_what_is_wrong_is_named(arguments, message, capsys):
    assert command.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_cards_round_trip(photos, tmp_path):
    table = tmp_path / "models.toml"
    table.write_text('[other]\nscale = 2\nsummary = "s"\ntraining = "t"\nlicence = "l"\n')
    made = model_card.make("fast-x2", [photos], table=table)
    cards = tomllib.loads(table.read_text())
    assert list(cards) == ["fast-x2", "other"]
    assert cards["fast-x2"] == made
    assert made["scores"][photos.name]["psnr"] > 20
    assert "damaged" not in made
    cost, flat = made["precision_cost"].pop("int8"), made["flat_error"].pop("int8")
    assert cost.keys() == catalog.KINDS
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith(("precision_cost.int8", "flat_error.int8"))))
    again = model_card.add_cost("fast-x2", [photos], "int8", table)
    assert (again["precision_cost"]["int8"], again["flat_error"]["int8"]) == (cost, flat)
    assert tomllib.loads(table.read_text()) == cards | {"fast-x2": again}


def test_cards_tell_what_damage_does(photos, tmp_path):
    table = tmp_path / "models.toml"
    damages = evaluate.Damage(noise=20, jpeg=50), evaluate.Damage.parse("mild")
    made = model_card.make("fast-x2", [photos], table=table, damages=damages)
    assert tomllib.loads(table.read_text()) == {"fast-x2": made}
    assert list(made["damaged"]) == ["noise=20,jpeg=50", "mild"]
    clean = made["scores"][photos.name]["psnr"]
    assert all(scores[photos.name]["psnr"] < clean - 1 for scores in made["damaged"].values())
