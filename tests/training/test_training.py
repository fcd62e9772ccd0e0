"""Training itself: it learns, resumes to the same result, exports what it learned; and the commands end to end."""

import dataclasses
import json

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from small_models import SAMPLE

import fastsr
from training import __main__ as command
from training import card, checkpoint, export, generators, trainer
from training.data import pack
from training.recipe import Data, Generator, Optimizer, Recipe
from training.trainer import Run, Trainer

TINY = Recipe(
    name="tiny",
    summary="for tests",
    generator=Generator(scale=2, channels=8, depth=2, expansion=16),
    steps=24,
    data=Data(batch=4, crop=32, holdout=1),
    optimizer=Optimizer(kind="muon", warmup=2, decay=0.5, ema=0.8),
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(SAMPLE) as image:
        for i in range(4):
            image.crop((128 * i, 200, 128 * i + 128, 328)).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def packed(photos, tmp_path_factory):
    target = tmp_path_factory.mktemp("pack") / "pack.safetensors"
    pack([photos], target, min_side=64)
    return target


def run_of(packed, folder, **options):
    return Run(packed, folder, "cpu", **{"save_every": 5, "validate_every": 12, "log_every": 4, **options})


@pytest.mark.parametrize("expansion", [0, 16])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_plain_form_is_the_same_function(scale, expansion):
    torch.manual_seed(0)
    network = generators.Compact(scale, channels=8, depth=2, expansion=expansion).eval()
    x = torch.rand(1, 3, 9, 13)
    with torch.no_grad():
        assert (network.plain()(x) - network(x)).abs().max() < 1e-5
        assert network(x).shape == (1, 3, 9 * scale, 13 * scale)


def test_untrained_generator_is_near_nearest_neighbour():
    torch.manual_seed(0)
    network = generators.Compact(2, 16, 4)
    x = torch.rand(1, 3, 8, 8)
    difference = network(x) - torch.nn.functional.interpolate(x, scale_factor=2)
    assert difference.abs().mean() < 0.5


@pytest.mark.parametrize("kind", ["muon", "adam"])
def test_it_learns(packed, tmp_path, kind):
    optimizer = dataclasses.replace(TINY.optimizer, kind=kind, rate=5e-3)
    made = Trainer(dataclasses.replace(TINY, steps=120, optimizer=optimizer), run_of(packed, tmp_path))
    losses = []
    for made.step in range(120):
        losses.append(float(made._one_step()))
    assert sum(losses[-20:]) < 0.85 * sum(losses[:20])


@pytest.mark.parametrize("kind", ["muon", "adam"])
def test_resumed_equals_uninterrupted(packed, tmp_path, kind):
    chosen = dataclasses.replace(TINY, optimizer=dataclasses.replace(TINY.optimizer, kind=kind))
    Trainer(chosen, run_of(packed, tmp_path / "whole")).train()
    while True:  # killed every seven steps; what was done since the last checkpoint is done again
        part = Trainer(chosen, run_of(packed, tmp_path / "parts", stop_after=7))
        part.train()
        if part.step == chosen.steps:
            break
    whole, _ = checkpoint.load(tmp_path / "whole" / "tiny" / "state.safetensors")
    parts, about = checkpoint.load(tmp_path / "parts" / "tiny" / "state.safetensors")
    assert about["step"] == chosen.steps
    assert whole.keys() == parts.keys()
    for group, tensors in whole.items():
        for name, value in tensors.items():
            assert torch.equal(parts[group][name], value), f"{group}/{name}"


def test_a_recipe_starts_from_another(packed, tmp_path):
    Trainer(TINY, run_of(packed, tmp_path)).train()
    wider = dataclasses.replace(TINY.generator, scale=4)
    second = dataclasses.replace(TINY, name="second", start="tiny", generator=wider)
    made = Trainer(second, run_of(packed, tmp_path))
    groups, _ = checkpoint.load(tmp_path / "tiny" / "state.safetensors")
    assert torch.equal(made.network.body[1].project, groups["average"]["module.body.1.project"])
    assert made.network.tail.project.shape[0] == 48
    made.train()
    line = export.describe(checkpoint.load(tmp_path / "second" / "state.safetensors")[1])
    assert line.startswith("24 steps of 4 crops of 32x32 from 3 photographs, L1 loss, Muon, bicubic x2")
    assert "; then 24 steps" in line


def test_checkpoints_of_another_generator_are_refused(packed, tmp_path):
    Trainer(dataclasses.replace(TINY, steps=2), run_of(packed, tmp_path)).train()
    other = dataclasses.replace(TINY, generator=dataclasses.replace(TINY.generator, depth=3))
    with pytest.raises(checkpoint.CheckpointError, match="different generator"):
        Trainer(other, run_of(packed, tmp_path))


def test_damaged_checkpoints_are_named(packed, tmp_path):
    path = tmp_path / "tiny" / "state.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(checkpoint.CheckpointError, match=r"state\.safetensors: not a readable checkpoint"):
        Trainer(TINY, run_of(packed, tmp_path))


def test_curves_are_written(packed, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Trainer(TINY, run_of(packed, tmp_path)).train()
    events = EventAccumulator(str(tmp_path / "tiny" / "log")).Reload()
    assert [e.step for e in events.Scalars("loss")] == [4, 8, 12, 16, 20, 24]
    assert [e.step for e in events.Scalars("validation PSNR (Y)")] == [12, 24]
    assert len(events.Images("sample")) == 2


def test_export_is_the_trained_generator(packed, tmp_path):
    Trainer(TINY, run_of(packed, tmp_path)).train()
    model = export.export(tmp_path / "tiny" / "state.safetensors", tmp_path / "tiny.onnx")
    network, _ = trainer.averaged(tmp_path / "tiny" / "state.safetensors")
    assert export.check(model, network) < 2e-5
    metadata = {p.key: p.value for p in model.metadata_props}
    assert metadata["name"] == "tiny"
    assert metadata["scale"] == "2"
    assert "24 steps of 4 crops of 32x32 from 3 photographs" in metadata["training"]
    assert model.opset_import[0].version >= 17
    assert {n.op_type for n in model.graph.node} == {"Conv", "PRelu", "DepthToSpace", "Resize", "Add"}
    session = onnxruntime.InferenceSession(str(tmp_path / "tiny.onnx"))
    assert session.run(None, {"input": np.zeros((3, 3, 5, 7), np.float32)})[0].shape == (3, 3, 10, 14)
    assert fastsr.load(tmp_path / "tiny.onnx").upscale(np.zeros((5, 7, 3), np.uint8)).shape == (10, 14, 3)


def test_a_wrong_export_is_refused():
    torch.manual_seed(0)
    network = generators.Compact(2, 8, 1, 0).eval()
    model = export.to_onnx(network.plain(), {})
    with torch.no_grad():
        network.tail.bias += 0.1
    with pytest.raises(export.ExportError, match="differ by 1"):
        export.check(model, network)


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


def test_commands_from_folder_to_scores(photos, tmp_path, capsys):
    (tmp_path / "mini.toml").write_text(RECIPE)
    where = {
        n: str(tmp_path / n) for n in ("pack.safetensors", "mini.toml", "runs", "mini.onnx", "scores.json", "strips")
    }

    def done(*arguments):
        code = command.main(list(arguments))
        assert code == 0, capsys.readouterr().err

    done("prepare", str(photos), "-o", where["pack.safetensors"], "--min-side", "64")
    done("train", where["mini.toml"], "--data", where["pack.safetensors"], "--out", where["runs"], "--device", "cpu")
    done("export", where["mini.toml"], "--runs", where["runs"], "-o", where["mini.onnx"])
    capsys.readouterr()
    measures = ["--scale", "2", "--json", where["scores.json"], "--strips", where["strips"]]
    done("evaluate", where["mini.onnx"], "bicubic", "--data", str(photos), *measures)
    printed = capsys.readouterr().out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {"mini x2", "bicubic x2"}
    bicubic = scores["bicubic x2"][photos.name]
    assert f"| bicubic x2 | {bicubic['psnr']:.2f} / {bicubic['ssim']:.4f} |" in printed
    assert bicubic["psnr"] > 20
    strips = sorted(p.name for p in (tmp_path / "strips").iterdir())
    assert f"mini-{photos.name}-0.png" in strips
    with Image.open(tmp_path / "strips" / strips[0]) as strip:
        assert strip.size == (4 * 128, 128)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nothing"], "nothing: no such recipe"),
        (["train", "fast-x4", "--data", "gone.safetensors"], "gone.safetensors: no packed data here"),
        (["prepare", "gone"], "gone: no such file or folder"),
        (["export", "fast-x4", "--runs", "gone"], "no such checkpoint"),
        (["evaluate", "fast-x9", "--data", "."], "unknown model 'fast-x9'"),
    ],
)
def test_commands_name_what_is_wrong(arguments, message, capsys):
    assert command.main(arguments) == 1
    assert message in capsys.readouterr().err


def test_cards_round_trip(monkeypatch, photos, tmp_path):
    import tomllib

    table = tmp_path / "models.toml"
    table.write_text('[other]\nscale = 2\nsummary = "s"\ntraining = "t"\nlicence = "l"\n')
    made = card.make("fast-x2", [photos], table)
    cards = tomllib.loads(table.read_text())
    assert list(cards) == ["fast-x2", "other"]
    assert cards["fast-x2"] == made
    assert made["scores"][photos.name]["psnr"] > 20
