"""The trained generators that ship with fastsr, and their cards (models/models.toml)."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastsr.errors import ModelError
from fastsr.images.resample import METHODS

INTERPOLATIONS = METHODS
FOLDER = Path(__file__).parents[1] / "models"
SUFFIXES = (".onnx", ".engine")  # of files that are models
MISSING = "no such model file"

KINDS = {"photographs", "text", "ramps"}  # of images on which a card says what a precision costs
MAX_COST = 0.05  # dB of PSNR that it may cost where "auto" takes it
MAX_FLAT_ERROR = 1  # 8-bit steps that it may be off from fp32 in a flat colour


@dataclasses.dataclass(frozen=True)
class Model:
    """A shipped generator's card: what it is, how it was trained, what it scores, under which licence.

    Attributes:
        name: as `fastsr.load` takes it.
        scale: factor along each axis.
        path: its ONNX file.
        summary: what it is and what it is for.
        training: steps, photographs, losses, time.
        licence: of its weights.
        scores: data set -> measure ("psnr" in dB, "ssim", "lpips") -> value.
        damaged: kind of damage that low-resolution images suffered first ("mild", "hard", "real"; "video": a codec's)
            -> as `scores`, where "clips" are frames of compressed videos.
        precision_cost: precision -> kind of image ("photographs", "text", "ramps") -> PSNR lost against fp32, in dB.
        flat_error: precision -> how far a flat colour is off from fp32's at most, in 8-bit steps.
        flicker: clip -> how much it changes from frame to frame, enlarged, where its scene does not: "levels" (RMS of
            the luma) and "ratio" (how many times that of bicubic interpolation).
        fidelity: of an adversarial model, the shipped one, trained for PSNR alone, that `realism` starts from.

    """

    name: str
    scale: int
    path: Path
    summary: str
    training: str
    licence: str
    scores: dict[str, dict[str, float]]
    precision_cost: dict[str, dict[str, float]]
    flat_error: dict[str, int] = dataclasses.field(default_factory=dict)
    fidelity: str = ""
    damaged: dict[str, dict[str, dict[str, float]]] = dataclasses.field(default_factory=dict)
    flicker: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)

    def proves(self, precision: str) -> bool:
        """Whether "auto" may take a precision for video: it costs under 0.05 dB on each kind of image.

        Flat colours may be off by one 8-bit step at most. What was not measured proves nothing.

        Args:
            precision: "bf16" or "int8".

        """
        costs = self.precision_cost.get(precision, {})
        cheap = costs.keys() >= KINDS and max(costs.values()) < MAX_COST
        return cheap and self.flat_error.get(precision, MAX_FLAT_ERROR + 1) <= MAX_FLAT_ERROR


DEFAULTS = ("fast-x2", "photo-x4")  # when no model is named: those for any image
VIDEO_DEFAULTS = ("fast-x2", "fast-x4")  # for any video, of which there are many frames


@functools.cache
def models() -> dict[str, Model]:
    """The shipped generators by name, in the order of models.toml."""
    path = FOLDER / "models.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: _model(name, card) for name, card in table.items()}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); it is part of fastsr, install that again") from None


_TEXTS = {"summary": None, "training": None, "licence": None, "fidelity": ""}  # and what stands for none
_TABLES = {"scores": 2, "damaged": 3, "precision_cost": 2, "flat_error": 1, "flicker": 2}  # and how deep numbers lie


def _model(name: str, card: Any) -> Model:
    """A card by its table. Raises ValueError, naming the key, for one that is none."""
    if not isinstance(card, dict):
        raise ValueError(f"{name} is no table")
    values: dict[str, Any] = {key: card.get(key, usual) for key, usual in _TEXTS.items()}
    values |= {key: card.get(key, {}) for key in _TABLES}
    odd = [key for key in _TEXTS if not isinstance(values[key], str)]
    odd += [key for key, depth in _TABLES.items() if not _has_numbers(values[key], depth)]
    scale = card.get("scale")
    if odd or not isinstance(scale, int) or scale < 1:
        raise ValueError(f"{name}.{odd[0] if odd else 'scale'} is missing or of another type")
    return Model(name=name, scale=scale, path=FOLDER / f"{name}.onnx", **values)


def _has_numbers(value: Any, depth: int) -> bool:
    """Whether a table holds nothing but numbers, so many tables deep."""
    if depth == 0:
        return isinstance(value, (int, float))
    return isinstance(value, dict) and all(_has_numbers(inner, depth - 1) for inner in value.values())


def default(scale: float, video: bool = False) -> str:
    """The model for enlarging `scale` times: the one with the smallest sufficient factor, else the largest factor.

    One of DEFAULTS, for `video` of VIDEO_DEFAULTS; where none of them is shipped, any model.
    """
    usual = VIDEO_DEFAULTS if video else DEFAULTS
    shipped = models().values()
    known = sorted([m for m in shipped if m.name in usual] or shipped, key=lambda m: m.scale)
    if not known:
        raise ModelError("this installation has no trained models; name an .onnx file or an interpolation")
    return next((m.name for m in known if m.scale >= scale), known[-1].name)


def card(path: Path) -> Model | None:
    """The card of the shipped model whose file `path` is; None for a file of the user's own."""
    return next((m for m in models().values() if m.path.resolve() == path.resolve()), None)


def realism_offered() -> str:
    """Which shipped models `realism` can be chosen for, for messages."""
    names = [m.name for m in models().values() if m.fidelity]
    return f"shipped models with a choice of realism: {', '.join(names) or 'none'}"


def fault(path: Path) -> str | None:
    """Why a path is not that of a model's file, as a clause with the remedy; None where it is a plain file."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror}); check the path, and that you may read its folder"
    if stat.S_ISDIR(mode):
        return "is a folder; name the model file in it"
    return None if stat.S_ISREG(mode) else "is not a plain file; name an .onnx file"


def content(path: Path) -> bytes:
    """The content of a model's file. Raises ModelError, naming it and the remedy, where there is none to read."""
    reason = fault(path)
    if reason is not None:
        raise ModelError(f"{path}: {reason}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check that you may read it") from None


def find(model: str | os.PathLike[str], others: Iterable[str] = ()) -> Path:
    """Path of a shipped model's ONNX file, or of the user's own. Raises ModelError, with near names, when unknown.

    Args:
        model: its name or path.
        others: names of models that are found elsewhere; messages offer them.

    """
    text = os.fspath(model)
    if text in models():
        return models()[text].path
    path = Path(text)
    reason = fault(path)
    if reason is None:
        return path
    if reason != MISSING:
        raise ModelError(f"{path}: {reason}")
    if path.suffix.lower() in SUFFIXES:
        raise ModelError(f"{path}: {reason}; shipped models are: {', '.join(models())}")
    names = [*models(), *INTERPOLATIONS]
    near = difflib.get_close_matches(text, [*names, *others], n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ModelError(f"unknown model {text!r}: {hint}Known: {', '.join(names)}; or the path of an .onnx file")
