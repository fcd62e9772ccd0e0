"""One training run: packed images in, a checkpoint with the averaged generator out; resumable to the same result."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CUDAAccelerator
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training import compute_precision
from training.data import degradation
from training.data.image_folders import DataError
from training.data.packed_images import PackedImages
from training.data.pair_shards import PackedPairs
from training.learning import checkpoint, initial_weights, optimizer
from training.learning.adversary import Terms
from training.learning.coarse_colors import in_colors_of
from training.learning.recipe import Recipe
from training.learning.stopwatch import Stopwatch
from training.learning.total_loss import Target, TotalLoss
from training.learning.validation import Validation
from training.measure import metrics
from training.networks import generators
from training.networks.generators import GeneratorShape

VALIDATION_SIDE = 256
REWARMING = 300  # steps over which the rates rise again where only the weights were left of a run
ALONE = 150  # of them those in which only a new discriminator learns, or its first noise would be unlearned for long
SAMPLES = 3  # validation images that are logged at each validation


@dataclasses.dataclass(frozen=True)
class Run:
    """Where a run reads and writes, on what, and how often it looks at itself; none of it changes what is learned."""

    data: Path
    folder: Path
    device: str = "auto"
    devices: int = 1  # processes on this machine, one per device
    nodes: int = 1  # machines
    weights: Path | None = None  # folder of the feature networks' files
    validation: Path | None = None  # packed photographs set aside; without it, the held-out ones of `data`
    save_every: int = 1000
    validate_every: int = 1000
    log_every: int = 100
    stop_after: int | None = None  # steps in this process, then stop as if killed
    stop_at: float = math.inf  # FLOP of the run so far at which to stop
    exported: Path | None = None  # what `export` wrote of this recipe, to go on from where there is no checkpoint

    def checkpoint(self, name: str) -> Path:
        return self.folder / name / checkpoint.FILE


class Trainer:
    """State of one run: network, average, optimizers, discriminator, random generator, step."""

    def __init__(self, recipe: Recipe, run: Run) -> None:
        self.recipe, self.run = recipe, run
        self.path = run.checkpoint(recipe.name)
        cuda = run.device in ("cuda", "gpu") or (run.device == "auto" and CUDAAccelerator.is_available())
        arithmetic = compute_precision.choose(recipe.precision, torch.device("cuda" if cuda else "cpu"))
        self.fabric = Fabric(
            accelerator=run.device,
            devices=run.devices,
            num_nodes=run.nodes,
            strategy="ddp" if run.devices * run.nodes > 1 else "auto",
            precision=arithmetic,  # type: ignore[arg-type]
        )
        self.fabric.launch()
        self.part = self._part()
        self.images: PackedImages | None = None
        self.pairs: PackedPairs | None = None
        if recipe.data.pairs:
            self.pairs = self._read_pairs(run.data)
        else:
            self.images = PackedImages(run.data, self.fabric.device, recipe.data.holdout)
            self.degrade = degradation.build(recipe.degradation, recipe.generator.scale)
        torch.manual_seed(recipe.seed)
        network = generators.build(recipe.generator)
        self.start: dict[str, Any] | None = None  # how the generator it starts from was trained
        self.ranges: dict[str, tuple[float, float]] = {}  # of int8, by convolution
        if recipe.start:
            source = initial_weights.find(recipe.start, run.folder)
            initial_weights.initialise(network, source)
            self.start = initial_weights.describe(source)
            self.ranges = initial_weights.ranges(source) if recipe.int8 else {}
        network = network.to(self.fabric.device)
        self.optimizers = optimizer.build(network, recipe.optimizer)
        self.average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.optimizer.ema))  # type: ignore[no-untyped-call]
        self.total_loss = TotalLoss(recipe, self.fabric, run.weights)
        self.validation: Validation | None = None
        self.best: dict[str, float] = {}  # what the best step so far measured
        if run.validation is not None and self.fabric.is_global_zero:
            self.validation = Validation(run.validation, recipe.generator.scale, run.weights, self.fabric.device)
        self.random = torch.Generator(self.fabric.device).manual_seed(recipe.seed)
        self.steps = recipe.steps  # or what its budget gives, once a step's FLOP are counted
        self.watch = Stopwatch()
        self.step, self.seconds = 0, 0.0
        self.flop, self.own_flop = 0.0, 0.0  # of all steps, and the generator's share of them
        self.network = network
        self.rewarmed = 0  # step since which the optimizers have state, and the discriminator alone learns at first
        if self.path.exists():
            self._resume()
        elif run.exported is not None:
            self._go_on_from(run.exported)
        compiled = torch.compile(network) if recipe.compile else network
        self.forward, *self._steppers = self.fabric.setup(compiled, *self.optimizers)

    def _read_pairs(self, folder: Path) -> PackedPairs:
        if self.fabric.world_size > 1:
            raise DataError("data.pairs = true trains in one process; leave --devices and --nodes out")
        made, scale = PackedPairs(folder, self.fabric.device), self.recipe.generator.scale
        if made.scale % scale:
            raise DataError(f"{folder}: its pairs are for scale {made.scale}, the recipe's generator for {scale}")
        return made

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
        per_step, own = self._count_flop()
        self.steps = self.recipe.steps or max(1, round(self.recipe.budget / per_step))
        last = self.steps
        if self.run.stop_after is not None:
            last = min(last, self.step + self.run.stop_after)
        sums: Terms = {}
        began = time.monotonic()
        try:
            for _ in self._steps(last):
                if self.flop >= self.run.stop_at:
                    break
                for name, value in self.one_step().items():
                    sums[name] = sums.get(name, 0) + value
                self.step += 1
                self.flop, self.own_flop = self.flop + per_step, self.own_flop + own
                if self.step % self.run.log_every == 0:
                    self._log(writer, sums)
                    sums = {}
                if self.step % self.run.validate_every == 0 or self.step == self.steps:
                    self._validate(writer)
                if self.step % self.run.save_every == 0 or self.step == last:
                    self.seconds += time.monotonic() - began
                    began = time.monotonic()
                    self.save()
                    if self.pairs is not None:
                        self.pairs.refresh()
            if self.step % self.run.save_every and self.step != last:
                self.seconds += time.monotonic() - began
                self.save()
        finally:
            if writer is not None:
                writer.close()

    def _steps(self, last: int) -> Iterator[int]:
        steps, quiet = range(self.step, last), not self.fabric.is_global_zero
        return iter(tqdm(steps, self.recipe.name, self.steps, initial=self.step, mininterval=10, disable=quiet))

    def _count_flop(self) -> tuple[float, float]:
        """FLOP of a step, and of the generator in it: convolutions and matrix products, forward and backward."""
        state = self.random.get_state()
        low, target = self._batch()
        self.random.set_state(state)
        with FlopCounterMode(display=False) as own:
            made = self.network(low)
            made.sum().backward()
        with FlopCounterMode(display=False) as judged:
            self.total_loss.rehearse(made, target, self.watch)
        for parameter in self.network.parameters():
            parameter.grad = None
        self.watch.clear()
        return float(own.get_total_flops() + judged.get_total_flops()), float(own.get_total_flops())

    def one_step(self) -> Terms:
        """Draw a batch, go down the generator's loss, then the discriminator's; the values for the curves."""
        recipe, watch = self.recipe, self.watch
        share = optimizer.factor(self.step, self.steps, recipe.optimizer)
        if self.rewarmed:
            since = self.step - self.rewarmed
            if since < ALONE and self.total_loss.adversary is not None:
                return self._discriminator_step()
            share *= min(1.0, (since + 1) / REWARMING)
        optimizer.set_rates(self.optimizers, share)
        with watch("data"):
            low, target = self._batch()
        if self.ranges:  # every other step in float, so that one set of weights serves both
            generators.simulate_int8(self.network, self.ranges if self.step % 2 else {})
        with watch("generator"):
            made = self.forward(low)
        draws = random.Random(f"{recipe.seed}/{self.step}/windows")
        gradient, terms = self.total_loss.generator(made, target, watch, draws)
        with watch("generator"):
            for o in self._steppers:
                o.zero_grad()
            self.fabric.backward(made, gradient)
        with watch("optimizer"):
            for o in self._steppers:
                o.step()
            self.average.update_parameters(self.network)
        with watch("discriminator"):
            return terms | self.total_loss.update_discriminator(made, target, draws)

    def _discriminator_step(self) -> Terms:
        with self.watch("data"):
            low, target = self._batch()
        with self.watch("generator"), torch.no_grad():
            made = self.forward(low)
        draws = random.Random(f"{self.recipe.seed}/{self.step}/windows")
        with self.watch("discriminator"):
            return self.total_loss.update_discriminator(made, target, draws)

    def _batch(self) -> tuple[Tensor, Target]:
        """What the generator gets, and what it is judged by."""
        settings = self.recipe.data
        if self.pairs is not None:
            scale = self.recipe.generator.scale
            crops = self.pairs.crops(
                settings.batch, settings.crop // scale, self.random, settings.detail, settings.upright
            )
            low, *large = (x.float().div(255) for x in crops)
            if self.pairs.scale != scale:
                large = [degradation.bicubic(x, self.pairs.scale // scale) for x in large]
            taught, original = large
            return low, Target(in_colors_of(original, taught) if self.recipe.loss.original_colors else taught, original)
        assert self.images is not None
        high = self.images.crops(settings.batch, settings.crop, self.random, self.part).float().div(255)
        return self._degraded(high), Target(high, high)

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
        if writer is not None:
            shares = self.watch.shares()
            for name, share in shares.items():
                writer.add_scalar(f"time/{name}", share, self.step)
            values = ", ".join(
                f"{k.removeprefix('loss/')} {float(v) / self.run.log_every:.4g}" for k, v in sums.items()
            )
            parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
            tqdm.write(f"{self.recipe.name} step {self.step}: {values}; time: {parts}")
            self.watch.clear()

    @torch.no_grad()
    def _validate(self, writer: SummaryWriter | None) -> None:
        if writer is None:
            return
        if self.validation is not None:
            self._choose(writer, self.validation)
            return
        scale = self.recipe.generator.scale
        values = []
        held_out = self.images.held_out(VALIDATION_SIDE) if self.images is not None else []
        for image in held_out:
            high = image.float().div(255)
            high = high[..., : high.shape[-2] // scale * scale, : high.shape[-1] // scale * scale]
            made = self.average(degradation.bicubic(high, scale)).clamp(0, 1)
            values.append(metrics.psnr_y(made, high, border=scale))
            if len(values) <= SAMPLES:
                writer.add_image(f"sample {len(values)}", made[0], self.step)
        if values:
            mean = sum(values) / len(values)
            writer.add_scalar("validation/PSNR (Y)", mean, self.step)
            tqdm.write(f"{self.recipe.name} step {self.step}: validation PSNR (Y) {mean:.3f} dB")

    def _choose(self, writer: SummaryWriter, validation: Validation) -> None:
        """Measure the average, and keep it where it scores best so far."""
        measured, made = validation.measure(self.average)
        for name, value in measured.items():
            writer.add_scalar(f"validation/{name}", value, self.step)
        for i, image in enumerate(made[:SAMPLES], start=1):
            writer.add_image(f"sample {i}", image[0], self.step)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in measured.items())
        tqdm.write(f"{self.recipe.name} step {self.step}: validation {shown}")
        if measured["score"] < self.best.get("score", math.inf):
            self.best = measured | {"step": self.step}
            checkpoint.save(self.path.with_name(checkpoint.BEST), {"average": self.average.state_dict()}, self.about())

    def save(self) -> None:
        """Write everything that the rest of the run depends on."""
        if not self.fabric.is_global_zero:
            return
        groups = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "random": {"state": self.random.get_state()},
            **self.total_loss.state(),
        }
        for i, o in enumerate(self.optimizers):
            groups[f"optimizer{i}"] = checkpoint.flatten_optimizer(o)
        checkpoint.save(self.path, groups, self.about())

    def about(self) -> dict[str, Any]:
        """How the weights came to be, JSON-able."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "flop": self.flop,
            "own_flop": self.own_flop,
            "recipe": dataclasses.asdict(self.recipe),
            "images": self._source().count,
            "start": self.start,
            "ranges": self.ranges,
            "device": self._device(),
            "best": self.best,
            "rewarmed": self.rewarmed,
        }

    def _source(self) -> PackedImages | PackedPairs:
        """What crops are cut from."""
        found = self.pairs or self.images
        assert found is not None
        return found

    def _device(self) -> str:
        device = self.fabric.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return name if self.fabric.world_size == 1 else f"{self.fabric.world_size} x {name}"

    def _resume(self) -> None:
        groups, about = checkpoint.load(self.path)
        if GeneratorShape(**about["recipe"]["generator"]) != self.recipe.generator:
            raise checkpoint.CheckpointError(
                f"{self.path}: was made by a different generator ({about['recipe']['generator']}); "
                "choose another --out or delete it"
            )
        self.network.load_state_dict(groups["network"])
        self.average.load_state_dict(groups["average"])
        for i, o in enumerate(self.optimizers):
            checkpoint.restore_optimizer(o, groups.get(f"optimizer{i}", {}))
        self.total_loss.load(groups)
        self.random.set_state(groups["random"]["state"])
        self.step, self.seconds, self.start = about["step"], about["seconds"], about.get("start")
        self.ranges, self.best = about.get("ranges", {}), about.get("best", {})
        self.flop, self.own_flop = about.get("flop", 0.0), about.get("own_flop", 0.0)
        self.rewarmed = about.get("rewarmed", 0)

    def _go_on_from(self, exported: Path) -> None:
        """Take weights and history from an export of this recipe; optimizers and discriminator start from nothing."""
        about = initial_weights.describe(exported)
        if about["recipe"]["name"] != self.recipe.name:
            raise checkpoint.CheckpointError(
                f"{exported}: has weights of {about['recipe']['name']}, not of {self.recipe.name}; take it away"
            )
        initial_weights.initialise(self.network, exported)
        self.average.module.load_state_dict(self.network.state_dict())
        self.step, self.seconds, self.start = about["step"], about["seconds"], about.get("start")
        self.flop, self.own_flop = about.get("flop", 0.0), about.get("own_flop", 0.0)
        self.rewarmed = self.step


def averaged(path: Path) -> tuple[generators.Network, dict[str, Any]]:
    """The averaged generator in a checkpoint, in its plain form, and the checkpoint's description."""
    groups, about = checkpoint.load(path)
    network = generators.build(GeneratorShape(**about["recipe"]["generator"]))
    network.load_state_dict(checkpoint.averaged(groups))
    return generators.plain(network), about
