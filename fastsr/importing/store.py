"""The models that were imported: each an ONNX file with its card beside it, in one folder of the user's.

The folder is $FASTSR_MODELS, else $XDG_DATA_HOME/fastsr/models, else ~/.local/share/fastsr/models. A model is there
once its card is, which is written last and removed first.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

from fastsr import files
from fastsr.errors import ModelError
from fastsr.network import catalog

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")
CARD = ".json"  # suffix of a card


@dataclasses.dataclass(frozen=True)
class Card:
    """What is known of an imported model.

    Attributes:
        name: as `fastsr.load` takes it.
        scale: factor along each axis where none is asked for.
        architecture: kind of network, such as "ESRGAN".
        source: name of the file that it was made of.
        sha256: of that file's content (of `.param` and `.bin`, one after the other).
        licence: of the weights; empty where the file does not say it.
        authors: of the weights; empty where the file does not say them.
        compared: with what the converted model was compared, and how far it was off; or that it was not, and why.

    """

    name: str
    scale: int
    architecture: str
    source: str
    sha256: str
    licence: str = ""
    authors: str = ""
    compared: str = ""

    @property
    def path(self) -> Path:
        """Its ONNX file."""
        return folder() / f"{self.name}.onnx"


def folder() -> Path:
    """Where imported models are kept."""
    own, shared = os.environ.get("FASTSR_MODELS"), os.environ.get("XDG_DATA_HOME")
    if own:
        return Path(own).expanduser().absolute()
    # the XDG specification has relative paths ignored
    data = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".local" / "share"
    return data / "fastsr" / "models"


def cards() -> dict[str, Card]:
    """The imported models by name, in the order of their names. What is no card of ours is passed over."""
    try:
        paths = sorted(path for path in folder().iterdir() if path.suffix == CARD)
    except OSError:
        return {}
    found = (_read(path) for path in paths)
    return {card.name: card for card in found if card is not None}


def card(name: str) -> Card | None:
    """The imported model of a name."""
    return _read(folder() / f"{name}{CARD}") if NAME.fullmatch(name) else None


def same_source(sha256: str) -> Card | None:
    """The model that was made of a source, whatever it is called."""
    return next((card for card in cards().values() if card.sha256 == sha256), None)


def check_name(name: str) -> str:
    """`name` as it came. Raises ModelError where no model can be kept under it."""
    if not NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} cannot be a model's name; use letters, digits and _ . + -, at most 100, a letter or digit first"
        )
    if name in catalog.models() or name in catalog.INTERPOLATIONS:
        raise ModelError(f"{name!r} is the name of a model that ships with fastsr; choose another with --name")
    return name


def add(card: Card, model: bytes) -> None:
    """Keep a model; one of the same name is replaced. Raises ModelError where it cannot be written."""
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        files.replace(card.path, model)
        text = json.dumps(dataclasses.asdict(card), indent=1, ensure_ascii=False)
        files.replace(place / f"{card.name}{CARD}", f"{text}\n".encode())
    except OSError as error:
        reason = files.write_failure(card.path, error)
        raise ModelError(f"{reason}; FASTSR_MODELS names the folder of imported models") from None


def remove(name: str) -> None:
    """Remove an imported model. Raises ModelError where there is none, or it cannot be removed."""
    known = card(name)
    if known is None:
        if name in catalog.models():
            raise ModelError(f"{name!r} ships with fastsr and stays; only imported models can be removed")
        raise ModelError(f"no model {name!r} was imported; imported are: {', '.join(cards()) or 'none'}")
    try:
        (folder() / f"{name}{CARD}").unlink()
        known.path.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{known.path}: cannot be removed ({error.strerror}); check the mode of {folder()}") from None


def _read(path: Path) -> Card | None:
    """A card, if its file is one and its model is there."""
    try:
        values = json.loads(path.read_bytes())
        texts = {f.name: str(values.get(f.name, "")) for f in dataclasses.fields(Card)}
        made = Card(**{**texts, "scale": int(values["scale"])})  # type: ignore[arg-type]
        whole = made.name == path.stem and NAME.fullmatch(made.name) and made.scale >= 1 and made.path.is_file()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return made if whole else None
