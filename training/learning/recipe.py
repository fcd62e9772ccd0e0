"""A training recipe: a TOML file validated into dataclasses. A wrong key, type or value is an error that names it."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from pathlib import Path
from typing import Any

from training import compute_precision
from training.data.degradation import VIDEO, Degradation
from training.learning.loss_functions import ADVERSARIAL_LOSSES, PIXEL_LOSSES
from training.networks import discriminators
from training.networks.generators import GeneratorShape
from training.settings import SettingError, require

RECIPES = Path(__file__).parents[1] / "recipes"


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the file, the key and what is accepted."""


@dataclasses.dataclass(frozen=True)
class Discriminator:
    """Who judges the generator, where `loss.adversarial` has a weight (see `training.networks.discriminators`)."""

    kind: str = "srgan"
    channels: int = 64
    rate: float = 1e-4  # of its Adam
    window: int = 0  # side of a part of each crop that it judges, pixels, elsewhere in each step; 0: the whole crop
    taught: float = 0.0  # of pairs: share of the real images that are the teacher's; the others are originals
    layers: dict[str, float] = dataclasses.field(default_factory=dict)  # of `loss.content` for "features": weights

    def check(self) -> None:
        known = discriminators.KINDS
        require(self.window >= 0, "discriminator.window", self.window, "0 or more")
        require(0 <= self.taught <= 1, "discriminator.taught", self.taught, "a share, 0 to 1")
        require(self.kind in known, "discriminator.kind", self.kind, ", ".join(known))
        require(self.channels > 0, "discriminator.channels", self.channels, "positive")
        require(self.rate > 0, "discriminator.rate", self.rate, "positive")
        on_features = self.kind == discriminators.FEATURES
        wanted = 'names with weights for kind "features", nothing for others'
        require(bool(self.layers) == on_features, "discriminator.layers", self.layers, wanted)
        require(all(w > 0 for w in self.layers.values()), "discriminator.layers", self.layers, "positive weights")
        seen = "1, the images that the content loss sees" if on_features else "a share, 0 to 1"
        require(self.taught == 1 or not on_features, "discriminator.taught", self.taught, seen)


@dataclasses.dataclass(frozen=True)
class Data:
    """What one step sees."""

    batch: int = 16
    crop: int = 128  # side of the high-resolution crop, pixels
    holdout: int = 16  # images kept for validation
    pairs: bool = (
        False  # learn from a teacher's pairs (see training.teach), whose low-resolution images stay as they are
    )
    detail: float = 0.0  # of pairs: share of crops that are the more detailed one of two draws
    upright: bool = False  # of pairs: crops are neither flipped nor transposed, for what never is, as text

    def check(self) -> None:
        require(self.pairs or not self.upright, "data.upright", self.upright, "false without data.pairs")
        require(0 <= self.detail <= 1, "data.detail", self.detail, "a share, 0 to 1")
        require(self.batch > 0, "data.batch", self.batch, "positive")
        require(self.crop > 0, "data.crop", self.crop, "positive")
        require(self.holdout >= 0, "data.holdout", self.holdout, "0 or more")


@dataclasses.dataclass(frozen=True)
class Loss:
    """The generator's loss: each of its parts (loss_functions.py) times its weight.

    The target is the teacher's image where there are pairs, else the original; that of the phases is the original too
    where `original_weight` is above `weight`.
    """

    pixel: str = "l1"
    weight: float = 1.0
    original_weight: float = 0.0  # of the pixel loss to the original, where there are pairs
    original_colors: bool = False  # give the teacher's images the originals' coarse colours first (coarse_colors.py)
    amplitude_weight: float = 0.0
    content: str = "vgg19"  # feature network
    content_layers: dict[str, float] = dataclasses.field(default_factory=lambda: {"conv5_4": 1.0})
    content_distance: str = "l1"
    content_weight: float = 0.0
    content_window: int = 0  # side of a part of each crop that the features see, as discriminator.window
    artefact_weight: float = 0.0
    adversarial: str = "relativistic"
    adversarial_weight: float = 0.0
    phase_weight: float = 0.0
    grid_weight: float = 0.0

    def check(self) -> None:
        require(self.pixel in PIXEL_LOSSES, "loss.pixel", self.pixel, ", ".join(PIXEL_LOSSES))
        require(self.content in ("vgg19", "alexnet"), "loss.content", self.content, "vgg19 or alexnet")
        require(bool(self.content_layers), "loss.content_layers", self.content_layers, "layer names with weights")
        require(self.content_distance in ("l1", "mse"), "loss.content_distance", self.content_distance, "l1 or mse")
        known = ", ".join(ADVERSARIAL_LOSSES)
        require(self.adversarial in ADVERSARIAL_LOSSES, "loss.adversarial", self.adversarial, known)
        weights = [field.name for field in dataclasses.fields(self) if field.name.endswith("weight")]
        for key in weights:
            require(getattr(self, key) >= 0, f"loss.{key}", getattr(self, key), "0 or more")
        require(self.content_window >= 0, "loss.content_window", self.content_window, "0 or more")
        total = self.weight + self.content_weight + self.adversarial_weight
        require(total > 0, "loss.weight", self.weight, "positive where no other loss has a weight")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Adam for vectors; matrices by Adam or Muon. The rate is held, then falls linearly to zero."""

    kind: str = "adam"
    rate: float = 1e-3  # of Adam
    matrix_rate: float = 0.02  # of Muon
    weight_decay: float = 0.1  # of Muon, per unit of rate
    warmup: int = 200  # steps
    decay: float = 0.3  # share of all steps over which the rate falls to zero
    ema: float = 0.999

    def check(self) -> None:
        require(self.kind in ("adam", "muon"), "optimizer.kind", self.kind, "adam or muon")
        require(self.rate > 0 and self.matrix_rate > 0, "optimizer.rate", self.rate, "positive")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(self.warmup >= 0, "optimizer.warmup", self.warmup, "0 or more")
        require(0 <= self.decay <= 1, "optimizer.decay", self.decay, "0 to 1")
        require(0 <= self.ema < 1, "optimizer.ema", self.ema, "0 or more and below 1")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that determines a training run, besides the packed data."""

    name: str
    summary: str
    generator: GeneratorShape
    steps: int = 0
    budget: float = 0.0  # FLOP of the whole run, from which the number of steps follows; given instead of `steps`
    seed: int = 0
    precision: str = "32-true"  # or "bf16-mixed", or "auto": the faster one of the two on this machine
    compile: bool = False
    int8: bool = (
        False  # see the rounding of int8 in every other step; `start` needs ranges (python -m training quantize)
    )
    start: str = ""  # where the generator's weights come from: a recipe that was run, a shipped model, an .onnx file
    data: Data = dataclasses.field(default_factory=Data)
    degradation: Degradation = dataclasses.field(default_factory=Degradation)
    discriminator: Discriminator = dataclasses.field(default_factory=Discriminator)
    loss: Loss = dataclasses.field(default_factory=Loss)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)

    def check(self) -> None:
        require(bool(self.name), "name", self.name, "a name")
        require(self.steps >= 0 and self.budget >= 0, "steps / budget", (self.steps, self.budget), "0 or more")
        require((self.steps > 0) != (self.budget > 0), "steps / budget", (self.steps, self.budget), "one of the two")
        require(
            self.precision in compute_precision.CHOICES,
            "precision",
            self.precision,
            ", ".join(compute_precision.CHOICES),
        )
        video = self.degradation.kind == VIDEO
        require(self.data.pairs or not video, "data.pairs", self.data.pairs, 'true for degradation.kind "video"')
        require(not self.int8 or bool(self.start), "int8", self.int8, "false without a `start`")
        side, scale = self.data.crop, self.generator.scale
        multiple = scale * self.generator.fold
        windows = {
            "loss.content_window": self.loss.content_window,
            "discriminator.window": self.discriminator.window,
        }
        for key, window in windows.items():
            require(window <= side, key, window, f"at most data.crop, {side}")
        if self.discriminator.kind == discriminators.FEATURES:
            same = self.loss.content_weight > 0 and self.discriminator.window == self.loss.content_window
            wanted = 'that of a content loss, loss.content_window, for kind "features"'
            require(same, "discriminator.window", self.discriminator.window, wanted)
        require(side % multiple == 0, "data.crop", side, f"a multiple of {multiple}, the scale times the fold")


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise RecipeError(f"unknown key {where}{key}; known: {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in table:
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise RecipeError(f"{where}{name} is missing")
            continue
        values[name] = _value(hints[name], table[name], where + name)
    made = kind(**values)
    if hasattr(made, "check"):  # parts of a part are checked by the whole, which knows their place
        try:
            made.check()
        except SettingError as error:
            raise RecipeError(str(error)) from None
    return made


def _value(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise RecipeError(f"{key} must be a table")
        return _build(typing.cast(type, hint), value, key + ".")
    kind, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind is float and type(value) is int:
        return float(value)
    if kind is tuple and type(value) is list:
        if len(value) != len(inner):
            raise RecipeError(f"{key} = {value!r} must be a list of {len(inner)}")
        return tuple(_value(h, v, key) for h, v in zip(inner, value, strict=True))
    if kind is dict and type(value) is dict:
        return {k: _value(inner[1], v, f"{key}.{k}") for k, v in value.items()}
    if type(value) is not kind:
        raise RecipeError(f"{key} = {value!r} must be of type {kind.__name__}")
    return value


def from_dict(table: dict[str, Any]) -> Recipe:
    """The inverse of `dataclasses.asdict`, from JSON or TOML values. Raises RecipeError."""
    return typing.cast(Recipe, _build(Recipe, table, ""))


def changed(recipe: Recipe, settings: list[str]) -> Recipe:
    """`recipe` with keys replaced, each given as TOML: `data.batch=4`, `loss.pixel="mse"`. Raises RecipeError."""
    table = dataclasses.asdict(recipe)
    for setting in settings:
        try:
            _merge(table, tomllib.loads(setting))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{setting!r} is not KEY=VALUE as in a recipe, such as data.batch=4 ({error})") from None
    return from_dict(table)


def _merge(table: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value


def read(path: str | Path) -> Recipe:
    """The recipe at `path`, or the shipped one of that name (`fast-x4`)."""
    file = Path(path)
    if not file.suffix:
        file = RECIPES / f"{path}.toml"
    if not file.is_file():
        shipped = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise RecipeError(f"{path}: no such recipe; shipped recipes: {shipped}; or give the path of a .toml file")
    try:
        table = tomllib.loads(file.read_text())
        return from_dict(table)
    except ValueError as error:  # of TOML, of this file, of the parts that live elsewhere
        raise RecipeError(f"{file}: {error}") from None
    except RecursionError:
        raise RecipeError(f"{file}: its tables or lists are nested too deeply") from None


def fine_tuned(base: Recipe, start: str, name: str, steps: int, summary: str, int8: bool = False) -> Recipe:
    """`base` for going on from trained weights: a third of its rates, falling from the beginning."""
    gentle = dataclasses.replace(
        base.optimizer,
        rate=base.optimizer.rate / 3,
        matrix_rate=base.optimizer.matrix_rate / 3,
        decay=1.0,
        warmup=min(base.optimizer.warmup, steps // 10),
    )
    return dataclasses.replace(
        base, name=name, summary=summary, start=start, steps=steps, budget=0.0, int8=int8, optimizer=gentle
    )
