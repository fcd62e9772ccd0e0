"""Files of other projects' models, opened: which of them a path names, and a checksum that tells them apart."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fastsr.errors import ModelError
from fastsr.network import catalog

if TYPE_CHECKING:
    from zipfile import ZipFile

NCNN = (".param", ".bin")
ARCHIVES = (".whl", ".zip")
CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")
SUFFIXES = (*NCNN, *ARCHIVES, *CHECKPOINTS)  # of files that are converted
MAX_BYTES = 1 << 31  # of a file inside an archive
MAX_SHOWN = 40  # names in a message


@dataclasses.dataclass(frozen=True)
class NcnnSource:
    """A `.param` file and its `.bin`, on disk or in an archive.

    Attributes:
        name: the file's name without its suffix.
        origin: how messages name it.
        file: the name that is written into the card.
        inside: its path in the archive without the suffix; empty for files on disk.

    """

    name: str
    origin: str
    file: str
    inside: str
    param: bytes = dataclasses.field(repr=False)
    weights: bytes = dataclasses.field(repr=False)

    @property
    def sha256(self) -> str:
        """Of the `.param` file, followed by the `.bin`."""
        return hashlib.sha256(self.param + self.weights).hexdigest()


def split(text: str) -> tuple[Path, str]:
    """The path of a file, and the model that is chosen in it: `models.zip:NAME`; the name is empty where none is."""
    path, colon, name = text.rpartition(":")
    if colon and Path(path).suffix.lower() in ARCHIVES:
        return Path(path), name
    return Path(text), ""


def is_importable(text: str) -> bool:
    """Whether a name is that of a file which is converted before it runs."""
    return split(text)[0].suffix.lower() in SUFFIXES


def read(path: Path) -> bytes:
    """A file's content. Raises ModelError, with the remedy, where there is none."""
    try:
        return catalog.content(path)
    except MemoryError:
        raise ModelError(f"{path}: memory ran out while it was read; free some") from None


def ncnn_sources(text: str) -> list[NcnnSource]:
    """The models of a `.param` or `.bin` file, or of an archive; of an archive the one that is chosen, if one is.

    Raises ModelError where the other file of a pair is missing, for archives that are damaged or hold no such pair, and
    for a choice that is not there.
    """
    path, chosen = split(text)
    if path.suffix.lower() in ARCHIVES:
        return _archived(path, chosen)
    param, weights = path.with_suffix(".param"), path.with_suffix(".bin")
    given = param if path.suffix.lower() == ".param" else weights
    other = weights if given is param else param
    if catalog.fault(path) is None and catalog.fault(other) is not None:
        raise ModelError(
            f"{path}: {other.name} is not beside it; an ncnn model is two files, .param and .bin of the same name"
        )
    return [NcnnSource(path.stem, str(path), f"{param.name}, {weights.name}", "", read(param), read(weights))]


def _archived(path: Path, chosen: str) -> list[NcnnSource]:
    reason = catalog.fault(path)
    if reason is not None:
        raise ModelError(f"{path}: {reason}")
    import zipfile  # takes a while
    import zlib

    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            pairs = sorted(n[: -len(".param")] for n in names if n.endswith(".param") and f"{n[:-6]}.bin" in names)
            if not pairs:
                raise ModelError(
                    f"{path}: holds no .param file with its .bin; name an archive with ncnn models, or the model's file"
                )
            wanted = [pair for pair in pairs if chosen in ("", *_names(pair))]
            if not wanted:
                raise ModelError(f"{path}: holds no model {chosen!r}; it has: {shown(pairs)}")
            return [_pair(path, archive, pair) for pair in wanted]
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}); download it again") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}: is no archive that can be read ({error}); download it again") from None


def _names(pair: str) -> tuple[str, str]:
    """What a pair in an archive can be called: its path, or the file's name alone."""
    return pair, PurePosixPath(pair).name


def shown(pairs: list[str]) -> str:
    """Names of pairs for a message: without folders where that tells them apart."""
    short = [PurePosixPath(pair).name for pair in pairs]
    names = short if len(set(short)) == len(short) else pairs
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more


def _pair(path: Path, archive: ZipFile, pair: str) -> NcnnSource:
    contents = []
    for suffix in NCNN:
        size = archive.getinfo(pair + suffix).file_size
        if size > MAX_BYTES:
            raise ModelError(f"{path}: {pair}{suffix} has {size} bytes; at most {MAX_BYTES} are read")
        contents.append(archive.read(pair + suffix))
    name = PurePosixPath(pair).name
    return NcnnSource(name, f"{path}:{pair}", f"{path.name}:{pair}", pair, contents[0], contents[1])


def plain_name(text: str) -> str:
    """A name that a model can be kept under, made of a file's."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", text).strip(".-+")[:80] or "model"
