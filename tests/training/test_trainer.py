"""Runs: they learn, resume to the same result, share a batch among processes, and write their curves."""

import dataclasses
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from training.data.degradation import Degradation
from training.learning import checkpoint
from training.learning.recipe import Discriminator, Loss
from training.learning.trainer import Trainer


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with an AlexNet of random weights in the layout of the real file."""
    torch.manual_seed(0)
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    tensors = {f"features.{i}.weight": torch.randn(s) * 0.05 for i, s in shapes.items()}
    tensors |= {f"features.{i}.bias": torch.zeros(s[0]) for i, s in shapes.items()}
    folder = tmp_path_factory.mktemp("weights")
    save_file(tensors, folder / "alexnet.safetensors")
    return folder


@pytest.fixture
def adversarial(tiny):
    """The tiny recipe with every loss and the discriminator at work, on realistic damage."""
    loss = Loss(
        content="alexnet",
        content_layers={"conv1": 1.0},
        content_weight=0.1,
        adversarial_weight=0.05,
    )
    judge = Discriminator("unet", channels=4)
    return dataclasses.replace(tiny, loss=loss, discriminator=judge, degradation=Degradation(kind="realistic"))


@pytest.fixture
def on_features(adversarial):
    """The adversarial recipe with a discriminator that judges what the content loss sees."""
    layers = {"conv1": 1.0, "conv2": 0.5}
    return dataclasses.replace(
        adversarial, discriminator=Discriminator("features", channels=4, taught=1.0, layers=layers)
    )


@pytest.mark.parametrize("kind", ["muon", "adam"])
def test_it_learns(packed, tiny, run_of, tmp_path, kind):
    optimizer = dataclasses.replace(tiny.optimizer, kind=kind, rate=5e-3)
    made = Trainer(dataclasses.replace(tiny, steps=120, optimizer=optimizer), run_of(packed, tmp_path))
    losses = []
    for made.step in range(120):
        losses.append(float(made.one_step()["loss/generator"]))
    assert sum(losses[-20:]) < 0.85 * sum(losses[:20])


def same(a, b):
    assert a.keys() == b.keys()
    for group, tensors in a.items():
        assert tensors.keys() == b[group].keys()
        for name, value in tensors.items():
            assert torch.equal(b[group][name], value), f"{group}/{name}"


@pytest.mark.parametrize("kind", ["muon", "adam", "adversarial", "features"])
def test_resumed_equals_uninterrupted(packed, tiny, run_of, adversarial, on_features, weights, tmp_path, kind):
    chosen = on_features if kind == "features" else adversarial
    if kind in ("muon", "adam"):
        chosen = dataclasses.replace(tiny, optimizer=dataclasses.replace(tiny.optimizer, kind=kind))
    Trainer(chosen, run_of(packed, tmp_path / "whole", weights=weights)).train()
    while True:  # killed every seven steps; what was done since the last checkpoint is done again
        part = Trainer(chosen, run_of(packed, tmp_path / "parts", weights=weights, stop_after=7))
        part.train()
        if part.step == chosen.steps:
            break
    whole, _ = checkpoint.load(tmp_path / "whole" / "tiny" / "state.safetensors")
    parts, about = checkpoint.load(tmp_path / "parts" / "tiny" / "state.safetensors")
    assert about["step"] == chosen.steps
    assert ("discriminator" in whole) == (kind in ("adversarial", "features"))
    same(whole, parts)


def test_a_recipe_starts_from_another(packed, tiny, run_of, tmp_path):
    Trainer(tiny, run_of(packed, tmp_path)).train()
    wider = dataclasses.replace(tiny.generator, scale=4)
    second = dataclasses.replace(tiny, name="second", start="tiny", generator=wider)
    made = Trainer(second, run_of(packed, tmp_path))
    groups, _ = checkpoint.load(tmp_path / "tiny" / "state.safetensors")
    assert torch.equal(made.network.body[1].project, groups["average"]["module.body.1.project"])
    assert made.network.tail.project.shape[0] == 48


def test_unknown_starts_name_what_there_is(packed, tiny, run_of, tmp_path):
    with pytest.raises(ValueError, match=r"start 'nothing': no run in .* shipped model .*fast-x4"):
        Trainer(dataclasses.replace(tiny, start="nothing"), run_of(packed, tmp_path))


def test_checkpoints_of_another_generator_are_refused(packed, tiny, run_of, tmp_path):
    Trainer(dataclasses.replace(tiny, steps=2), run_of(packed, tmp_path)).train()
    other = dataclasses.replace(tiny, generator=dataclasses.replace(tiny.generator, depth=3))
    with pytest.raises(checkpoint.CheckpointError, match="different generator"):
        Trainer(other, run_of(packed, tmp_path))


def test_damaged_checkpoints_are_named(packed, tiny, run_of, tmp_path):
    path = tmp_path / "tiny" / "state.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(checkpoint.CheckpointError, match=r"state\.safetensors: not a readable checkpoint"):
        Trainer(tiny, run_of(packed, tmp_path))


def test_curves_and_samples_are_written(packed, run_of, adversarial, weights, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    Trainer(adversarial, run_of(packed, tmp_path, weights=weights)).train()
    events = EventAccumulator(str(tmp_path / "tiny" / "log")).Reload()
    curves = ("loss/pixel", "loss/content", "loss/adversarial", "loss/generator", "loss/discriminator")
    for name in (*curves, "accuracy/real", "accuracy/generated"):
        assert [e.step for e in events.Scalars(name)] == [4, 8, 12, 16, 20, 24]
    assert all(0 <= e.value <= 1 for e in events.Scalars("accuracy/real"))
    assert [e.step for e in events.Scalars("validation/PSNR (Y)")] == [12, 24]
    assert len(events.Images("sample 1")) == 2


def test_a_discriminator_learns_in_bfloat16_too(packed, run_of, adversarial, weights, tmp_path):
    """Where gradients may be scaled, they must go through Fabric, in the step that counts FLOP as well."""
    mixed = dataclasses.replace(adversarial, precision="bf16-mixed")
    made = Trainer(mixed, run_of(packed, tmp_path, weights=weights, stop_after=1))
    made.train()
    assert made.step == 1
    assert made.flop > made.own_flop > 0


@pytest.mark.parametrize("kind", ["adversarial", "features"])
def test_the_discriminator_and_the_generator_learn_apart(
    kind, packed, run_of, adversarial, on_features, weights, tmp_path
):
    made = Trainer(adversarial if kind == "adversarial" else on_features, run_of(packed, tmp_path, weights=weights))
    low, target = made._batch()
    assert made.total_loss.adversary is not None
    judge = made.total_loss.adversary.network
    image = made.forward(low)
    gradient, _ = made.total_loss.generator(image, target, made.watch, random.Random(0))
    made.fabric.backward(image, gradient)
    assert all(p.grad is None for p in judge.parameters())
    assert made.network.tail.project.grad.abs().max() > 0
    before = [p.grad.clone() for p in made.network.parameters()]
    made.total_loss.update_discriminator(made.forward(low), target, random.Random(0))
    assert all(torch.equal(p.grad, b) for p, b in zip(made.network.parameters(), before, strict=True))


RECIPE = """
name = "shared"
summary = "for tests"
steps = 6
[generator]
scale = 2
channels = 8
depth = 1
expansion = 0
[data]
batch = 4
crop = 32
holdout = 1
[optimizer]
kind = "muon"
warmup = 2
"""

COUNT_LOSSES = """
import json, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from training.learning.recipe import read
from training.learning.trainer import Run, Trainer
packed, recipe, out, devices = sys.argv[1:]
made = Trainer(read(recipe), Run(Path(packed), Path(out), "cpu", devices=int(devices)))
losses = []
for made.step in range(6):
    losses.append(float(made.fabric.all_reduce(made.one_step()["loss/generator"], reduce_op="mean")))
made.step = 6
made.save()
if made.fabric.is_global_zero:
    Path(out, "losses.json").write_text(json.dumps(losses))
"""


def test_two_processes_learn_what_one_learns(packed, tmp_path):
    """The same losses and the same weights at the same global batch, but for the order of sums."""
    (tmp_path / "shared.toml").write_text(RECIPE)
    script = tmp_path / "count.py"
    script.write_text(COUNT_LOSSES)
    root = Path(__file__).parents[2]
    kept = ("MASTER_", "RANK", "LOCAL_RANK", "WORLD_SIZE", "NODE_RANK")  # of a launcher that runs these tests
    environment = {k: v for k, v in os.environ.items() if not k.startswith(kept)}
    environment |= {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    losses, weights = {}, {}
    for devices in (1, 2):
        out = tmp_path / str(devices)
        command = [sys.executable, str(script), str(packed), str(tmp_path / "shared.toml"), str(out), str(devices)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        losses[devices] = json.loads((out / "losses.json").read_text())
        weights[devices] = checkpoint.load(out / "shared" / "state.safetensors")[0]["network"]
    assert losses[2] == pytest.approx(losses[1], rel=1e-5)
    for name, value in weights[1].items():
        assert torch.allclose(weights[2][name], value, atol=1e-4), name


def test_a_batch_that_cannot_be_shared_is_refused(packed, tiny, run_of, tmp_path, monkeypatch):
    from lightning_fabric import Fabric

    monkeypatch.setattr(Fabric, "world_size", 3)
    with pytest.raises(ValueError, match=r"data\.batch = 4 cannot be shared evenly by 3 processes"):
        Trainer(tiny, run_of(packed, tmp_path))


def test_windows_are_of_one_place_in_all_images():
    from training.learning.total_loss import window

    image = torch.arange(64.0).view(1, 1, 8, 8)
    a, b = window((image, image + 100), 3, random.Random(1))
    assert a.shape == (1, 1, 3, 3)
    assert torch.equal(a + 100, b)
    places = {float(window((image,), 3, random.Random(seed))[0][0, 0, 0, 0]) for seed in range(200)}
    assert len(places) == 36
    assert window((image,), 0, random.Random(1))[0] is image


def test_windows_larger_than_a_crop_are_refused(tiny):
    loss = dataclasses.replace(tiny.loss, content_window=64)
    with pytest.raises(
        ValueError, match=r"loss\.content_window = 64 is not accepted; it must be at most data\.crop, 32"
    ):
        dataclasses.replace(tiny, loss=loss).check()
