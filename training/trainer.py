"""One training run: packed images in, a checkpoint with the averaged generator out; resumable to the same result."""

from __future__ import annotations

import dataclasses
import random
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

from training import checkpoint, degrade, generators, metrics, optimizer, start
from training.data import DataError, PackedImages
from training.objective import Objective, Terms
from training.recipe import Generator, Recipe

VALIDATION_SIDE = 256
SAMPLES = 3  # validation pictures that are kept as they develop


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a run reads and writes, on what, and how often it looks at itself; none of it changes what is learned."""

    data: Path
    folder: Path
    device: str = "auto"
    devices: int = 1  # processes on this machine, one per device
    nodes: int = 1  # machines
    weights: Path | None = None  # folder of the feature networks' files
    save_every: int = 1000
    validate_every: int = 1000
    log_every: int = 100
    stop_after: int | None = None  # steps in this process, then stop as if killed

    def checkpoint(self, name: str) -> Path:
        return self.folder / name / checkpoint.FILE


class Trainer:
    """State of one run: network, average, optimizers, discriminator, random generator, step."""

    def __init__(self, recipe: Recipe, run: Run) -> None:
        self.recipe, self.run = recipe, run
        self.path = run.checkpoint(recipe.name)
        self.fabric = Fabric(
            accelerator=run.device,
            devices=run.devices,
            num_nodes=run.nodes,
            strategy="ddp" if run.devices * run.nodes > 1 else "auto",
            precision=recipe.precision,  # type: ignore[arg-type]
        )
        self.fabric.launch()
        self.part = self._part()
        self.data = PackedImages(run.data, self.fabric.device, recipe.data.holdout)
        self.degrade = degrade.build(recipe.degradation, recipe.generator.scale)
        torch.manual_seed(recipe.seed)
        network = generators.build(recipe.generator)
        self.start: dict[str, Any] | None = None  # how the generator it starts from was trained
        self.ranges: dict[str, tuple[float, float]] = {}  # of int8, by convolution
        if recipe.start:
            source = start.find(recipe.start, run.folder)
            start.initialise(network, source)
            self.start = start.describe(source)
            self.ranges = start.ranges(source) if recipe.int8 else {}
        network = network.to(self.fabric.device)
        self.optimizers = optimizer.build(network, recipe.optimizer)
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.optimizer.ema))  # type: ignore[no-untyped-call]
        self.objective = Objective(recipe, self.fabric, run.weights)
        self.random = torch.Generator(self.fabric.device).manual_seed(recipe.seed)
        self.step, self.seconds = 0, 0.0
        self.network = network
        if self.path.exists():
            self._resume()
        compiled = torch.compile(network) if recipe.compile else network
        self.forward, *self._steppers = self.fabric.setup(compiled, *self.optimizers)

    def _part(self) -> slice:
        """The share of the batch that falls to this process."""
        batch, processes = self.recipe.data.batch, self.fabric.world_size
        if batch % processes:
            raise DataError(f"data.batch = {batch} cannot be shared evenly by {processes} processes; change either")
        share = batch // processes
        return slice(self.fabric.global_rank * share, (self.fabric.global_rank + 1) * share)

    def train(self) -> None:
        """Run to the recipe's last step (or `run.stop_after`), saving as it goes."""
        writer = SummaryWriter(str(self.path.parent / "log")) if self.fabric.is_global_zero else None
        last = self.recipe.steps
        if self.run.stop_after is not None:
            last = min(last, self.step + self.run.stop_after)
        sums: Terms = {}
        began = time.monotonic()
        try:
            for _ in self._steps(last):
                for name, value in self.one_step().items():
                    sums[name] = sums.get(name, 0) + value
                self.step += 1
                if self.step % self.run.log_every == 0:
                    self._log(writer, sums)
                    sums = {}
                if self.step % self.run.validate_every == 0 or self.step == self.recipe.steps:
                    self._validate(writer)
                if self.step % self.run.save_every == 0 or self.step == last:
                    self.seconds += time.monotonic() - began
                    began = time.monotonic()
                    self.save()
        finally:
            if writer is not None:
                writer.close()

    def _steps(self, last: int) -> Iterator[int]:
        steps, quiet = range(self.step, last), not self.fabric.is_global_zero
        return iter(tqdm(steps, self.recipe.name, self.recipe.steps, initial=self.step, mininterval=10, disable=quiet))

    def one_step(self) -> Terms:
        """Draw a batch, go down the generator's loss, then the discriminator's; the values for the curves."""
        recipe = self.recipe
        optimizer.set_rates(self.optimizers, optimizer.factor(self.step, recipe.steps, recipe.optimizer))
        high = self.data.crops(recipe.data.batch, recipe.data.crop, self.random, self.part).float().div(255)
        if self.ranges:  # every other step in float, so that one set of weights serves both
            generators.see_int8(self.network, self.ranges if self.step % 2 else {})
        made = self.forward(self._degraded(high))
        loss, terms = self.objective.generator(made, high)
        for o in self._steppers:
            o.zero_grad()
        self.fabric.backward(loss)
        for o in self._steppers:
            o.step()
        self.average.update_parameters(self.network)
        return terms | self.objective.update_discriminator(made, high)

    def _degraded(self, high: Tensor) -> Tensor:
        """Its draws depend on seed, step and process alone, so there is no state to save."""
        seed = (self.recipe.seed * 1_000_003 + self.step) * 1009 + self.fabric.global_rank
        draws = torch.Generator(self.fabric.device).manual_seed(seed)
        shapes = random.Random(f"{self.recipe.seed}/{self.step}")
        return self.degrade(high, draws, shapes)

    def _log(self, writer: SummaryWriter | None, sums: Terms) -> None:
        for name, total in sums.items():
            mean = self.fabric.all_reduce(total / self.run.log_every, reduce_op="mean")
            if writer is not None:
                writer.add_scalar(name, float(mean), self.step)  # type: ignore[arg-type]

    @torch.no_grad()
    def _validate(self, writer: SummaryWriter | None) -> None:
        if writer is None:
            return
        scale = self.recipe.generator.scale
        values = []
        for picture in self.data.held_out(VALIDATION_SIDE):
            high = picture.float().div(255)
            high = high[..., : high.shape[-2] // scale * scale, : high.shape[-1] // scale * scale]
            made = self.average(degrade.bicubic(high, scale)).clamp(0, 1)
            values.append(metrics.psnr_y(made, high, border=scale))
            if len(values) <= SAMPLES:
                writer.add_image(f"sample {len(values)}", made[0], self.step)
        if values:
            mean = sum(values) / len(values)
            writer.add_scalar("validation/PSNR (Y)", mean, self.step)
            tqdm.write(f"{self.recipe.name} step {self.step}: validation PSNR (Y) {mean:.3f} dB")

    def save(self) -> None:
        """Write everything that the rest of the run depends on."""
        if not self.fabric.is_global_zero:
            return
        groups = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "random": {"state": self.random.get_state()},
            **self.objective.state(),
        }
        for i, o in enumerate(self.optimizers):
            groups[f"optimizer{i}"] = checkpoint.flatten_optimizer(o)
        about: dict[str, Any] = {
            "step": self.step,
            "seconds": self.seconds,
            "recipe": dataclasses.asdict(self.recipe),
            "images": self.data.count,
            "start": self.start,
            "ranges": self.ranges,
            "device": self._device(),
        }
        checkpoint.save(self.path, groups, about)

    def _device(self) -> str:
        device = self.fabric.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return name if self.fabric.world_size == 1 else f"{self.fabric.world_size} x {name}"

    def _resume(self) -> None:
        groups, about = checkpoint.load(self.path)
        if Generator(**about["recipe"]["generator"]) != self.recipe.generator:
            raise checkpoint.CheckpointError(
                f"{self.path}: was made by a different generator ({about['recipe']['generator']}); "
                "choose another --out or delete it"
            )
        self.network.load_state_dict(groups["network"])
        self.average.load_state_dict(groups["average"])
        for i, o in enumerate(self.optimizers):
            checkpoint.restore_optimizer(o, groups.get(f"optimizer{i}", {}))
        self.objective.load(groups)
        self.random.set_state(groups["random"]["state"])
        self.step, self.seconds, self.start = about["step"], about["seconds"], about.get("start")
        self.ranges = about.get("ranges", {})


def averaged(path: Path) -> tuple[generators.Network, dict[str, Any]]:
    """The averaged generator in a checkpoint, in its plain form, and the checkpoint's description."""
    groups, about = checkpoint.load(path)
    network = generators.build(Generator(**about["recipe"]["generator"]))
    network.load_state_dict(checkpoint.averaged(groups))
    return generators.plain(network), about
