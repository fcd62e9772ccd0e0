"""A training recipe: a TOML file validated into dataclasses. A wrong key, type or value is an error that names it."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from training.losses import PIXEL_LOSSES

RECIPES = Path(__file__).parent / "recipes"


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the file, the key and what is accepted."""


@dataclasses.dataclass(frozen=True)
class Generator:
    """Shape of the network (see `training.generators`)."""

    scale: int
    kind: str = "compact"
    channels: int = 32
    depth: int = 10
    expansion: int = 128  # width of the collapsed linear branch; 0 trains plain convolutions

    def check(self) -> None:
        _require(self.kind in ("compact",), "generator.kind", self.kind, "compact")
        _require(self.scale in (2, 3, 4), "generator.scale", self.scale, "2, 3 or 4")
        _require(self.channels > 0 and self.depth > 0, "generator.channels / depth", self.channels, "positive")
        _require(self.expansion >= 0, "generator.expansion", self.expansion, "0 or more")


@dataclasses.dataclass(frozen=True)
class Data:
    """What one step sees."""

    batch: int = 16
    crop: int = 128  # side of the high-resolution crop, pixels
    holdout: int = 16  # images kept for validation

    def check(self) -> None:
        _require(self.batch > 0, "data.batch", self.batch, "positive")
        _require(self.crop > 0, "data.crop", self.crop, "positive")
        _require(self.holdout >= 0, "data.holdout", self.holdout, "0 or more")


@dataclasses.dataclass(frozen=True)
class Loss:
    """Pixel loss."""

    pixel: str = "l1"

    def check(self) -> None:
        _require(self.pixel in PIXEL_LOSSES, "loss.pixel", self.pixel, ", ".join(PIXEL_LOSSES))


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
        _require(self.kind in ("adam", "muon"), "optimizer.kind", self.kind, "adam or muon")
        _require(self.rate > 0 and self.matrix_rate > 0, "optimizer.rate", self.rate, "positive")
        _require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        _require(self.warmup >= 0, "optimizer.warmup", self.warmup, "0 or more")
        _require(0 <= self.decay <= 1, "optimizer.decay", self.decay, "0 to 1")
        _require(0 <= self.ema < 1, "optimizer.ema", self.ema, "0 or more and below 1")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that determines a training run, besides the packed data."""

    name: str
    summary: str
    generator: Generator
    steps: int
    seed: int = 0
    precision: str = "32-true"
    compile: bool = False
    start: str = ""  # recipe whose trained body this one starts from
    revive: bool = False  # initialise its dead channels anew (training/revive.py)
    data: Data = dataclasses.field(default_factory=Data)
    loss: Loss = dataclasses.field(default_factory=Loss)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)

    def check(self) -> None:
        _require(bool(self.name), "name", self.name, "a name")
        _require(self.steps > 0, "steps", self.steps, "positive")
        _require(self.precision in ("32-true", "bf16-mixed"), "precision", self.precision, "32-true or bf16-mixed")
        side, scale = self.data.crop, self.generator.scale
        _require(side % scale == 0, "data.crop", side, f"a multiple of the scale {scale}")


def _require(condition: bool, key: str, value: object, accepted: str) -> None:
    if not condition:
        raise RecipeError(f"{key} = {value!r} is not accepted; it must be {accepted}")


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
    made.check()
    return made


def _value(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise RecipeError(f"{key} must be a table")
        return _build(typing.cast(type, hint), value, key + ".")
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, types.UnionType) or type(value) is not hint:
        raise RecipeError(f"{key} = {value!r} must be of type {hint.__name__}")
    return value


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
        return typing.cast(Recipe, _build(Recipe, table, ""))
    except (tomllib.TOMLDecodeError, RecipeError) as error:
        raise RecipeError(f"{file}: {error}") from None
