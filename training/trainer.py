"""One training run: packed images in, a checkpoint with the averaged generator out; resumable to the same result."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training import checkpoint, degrade, generators, metrics, optimizer
from training.data import PackedImages
from training.losses import PIXEL_LOSSES
from training.recipe import Generator, Recipe
from training.revive import revive

VALIDATION_SIDE = 256


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a run reads and writes, and how often it looks at itself; none of it changes the result."""

    data: Path
    folder: Path
    device: str = "auto"
    save_every: int = 1000
    validate_every: int = 1000
    log_every: int = 100
    stop_after: int | None = None  # steps in this process, then stop as if killed

    def checkpoint(self, name: str) -> Path:
        return self.folder / name / "state.safetensors"


class Trainer:
    """State of one run: network, average, optimizers, random generator, step."""

    def __init__(self, recipe: Recipe, run: Run) -> None:
        self.recipe, self.run = recipe, run
        self.path = run.checkpoint(recipe.name)
        self.fabric = Fabric(accelerator=run.device, devices=1, precision=recipe.precision)  # type: ignore[arg-type]
        self.data = PackedImages(run.data, self.fabric.device, recipe.data.holdout)
        torch.manual_seed(recipe.seed)
        network = generators.build(recipe.generator)
        self.start: dict[str, Any] | None = None  # how the generator it starts from was trained
        if recipe.start:
            self.start = _start_from(network, run.checkpoint(recipe.start))
        if recipe.revive:
            self._revive(network)
        network = network.to(self.fabric.device)
        self.optimizers = optimizer.build(network, recipe.optimizer)
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.optimizer.ema))  # type: ignore[no-untyped-call]
        self.random = torch.Generator(self.fabric.device).manual_seed(recipe.seed)
        self.step, self.seconds = 0, 0.0
        self.network = network
        if self.path.exists():
            self._resume()
        compiled = torch.compile(network) if recipe.compile else network
        self.forward, *_ = self.fabric.setup(compiled, *self.optimizers)

    def _revive(self, network: generators.Compact) -> None:
        random = torch.Generator(self.fabric.device).manual_seed(self.recipe.seed)
        high = self.data.crops(16, 32 * self.recipe.generator.scale, random).float().div(255)
        low = degrade.bicubic(high, self.recipe.generator.scale).cpu()
        counts = revive(network, low, torch.Generator().manual_seed(self.recipe.seed))
        tqdm.write(f"{self.recipe.name}: dead channels initialised anew, layer by layer: {counts}")

    def train(self) -> None:
        """Run to the recipe's last step (or `run.stop_after`), saving as it goes."""
        writer = SummaryWriter(str(self.path.parent / "log"))
        last = self.recipe.steps
        if self.run.stop_after is not None:
            last = min(last, self.step + self.run.stop_after)
        total, began = torch.zeros((), device=self.fabric.device), time.monotonic()
        try:
            for _ in self._steps(last):
                total += self._one_step()
                self.step += 1
                if self.step % self.run.log_every == 0:
                    writer.add_scalar("loss", total.item() / self.run.log_every, self.step)
                    total.zero_()
                if self.step % self.run.validate_every == 0 or self.step == self.recipe.steps:
                    self._validate(writer)
                if self.step % self.run.save_every == 0 or self.step == last:
                    self.seconds += time.monotonic() - began
                    began = time.monotonic()
                    self.save()
        finally:
            writer.close()

    def _steps(self, last: int) -> Iterator[int]:
        steps = range(self.step, last)
        return iter(tqdm(steps, self.recipe.name, self.recipe.steps, initial=self.step, mininterval=10))

    def _one_step(self) -> Tensor:
        recipe = self.recipe
        optimizer.set_rates(self.optimizers, optimizer.factor(self.step, recipe.steps, recipe.optimizer))
        high = self.data.crops(recipe.data.batch, recipe.data.crop, self.random).float().div(255)
        low = degrade.bicubic(high, recipe.generator.scale)
        loss = PIXEL_LOSSES[recipe.loss.pixel](self.forward(low), high)
        for o in self.optimizers:
            o.zero_grad()
        self.fabric.backward(loss)
        for o in self.optimizers:
            o.step()
        self.average.update_parameters(self.network)
        return loss.detach()

    @torch.no_grad()
    def _validate(self, writer: SummaryWriter) -> None:
        scale = self.recipe.generator.scale
        values = []
        for picture in self.data.held_out(VALIDATION_SIDE):
            high = picture.float().div(255)
            high = high[..., : high.shape[-2] // scale * scale, : high.shape[-1] // scale * scale]
            made = self.average(degrade.bicubic(high, scale)).clamp(0, 1)
            values.append(metrics.psnr_y(made, high, border=scale))
            if len(values) == 1:
                writer.add_image("sample", made[0], self.step)
        if values:
            mean = sum(values) / len(values)
            writer.add_scalar("validation PSNR (Y)", mean, self.step)
            tqdm.write(f"{self.recipe.name} step {self.step}: validation PSNR (Y) {mean:.3f} dB")

    def save(self) -> None:
        """Write everything that the rest of the run depends on."""
        groups = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "random": {"state": self.random.get_state()},
        }
        for i, o in enumerate(self.optimizers):
            groups[f"optimizer{i}"] = checkpoint.flatten_optimizer(o)
        about: dict[str, Any] = {
            "step": self.step,
            "seconds": self.seconds,
            "recipe": dataclasses.asdict(self.recipe),
            "images": self.data.count,
            "start": self.start,
            "device": str(self.fabric.device),
        }
        checkpoint.save(self.path, groups, about)

    def _resume(self) -> None:
        groups, about = checkpoint.load(self.path)
        if about["recipe"]["generator"] != dataclasses.asdict(self.recipe.generator):
            raise checkpoint.CheckpointError(
                f"{self.path}: was made by a different generator ({about['recipe']['generator']}); "
                "choose another --out or delete it"
            )
        self.network.load_state_dict(groups["network"])
        self.average.load_state_dict(groups["average"])
        for i, o in enumerate(self.optimizers):
            checkpoint.restore_optimizer(o, groups.get(f"optimizer{i}", {}))
        self.random.set_state(groups["random"]["state"])
        self.step, self.seconds, self.start = about["step"], about["seconds"], about.get("start")


def averaged(path: Path) -> tuple[generators.Compact, dict[str, Any]]:
    """The averaged generator in a checkpoint, in its plain form, and the checkpoint's description."""
    groups, about = checkpoint.load(path)
    network = generators.build(Generator(**about["recipe"]["generator"]))
    state = {k.removeprefix("module."): v for k, v in groups["average"].items() if k.startswith("module.")}
    network.load_state_dict(state)
    return network.plain(), about


def _start_from(network: generators.Compact, path: Path) -> dict[str, Any]:
    """Copy the averaged tensors of the checkpoint at `path` whose name and shape fit; returns its description."""
    groups, about = checkpoint.load(path)
    state = network.state_dict()
    fitting = {
        name: value
        for key, value in groups["average"].items()
        if (name := key.removeprefix("module.")) in state and state[name].shape == value.shape
    }
    network.load_state_dict({**state, **fitting})
    return about
