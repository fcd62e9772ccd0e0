"""What `fastsr upscale` works on: its inputs (files, folders, globs), each with the file of its result."""

from __future__ import annotations

import dataclasses
import glob
import mimetypes
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastsr import images
from fastsr.errors import ImageError


@dataclasses.dataclass(frozen=True)
class Task:
    """One image to enlarge."""

    source: Path
    target: Path


@dataclasses.dataclass
class Batch:
    """What to make, what is wrong with the inputs, and what else the user should know (one message each)."""

    tasks: list[Task] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Source:
    path: Path
    relative: Path  # where its result lies in the output folder
    named: bool  # by the user or by a glob, not found in a folder


def plan(inputs: Sequence[str], output: str, suffix: str | None) -> Batch:
    """Pair every input with its result; `suffix` (with the dot) replaces those of the inputs.

    `output` is a file for exactly one image, else a folder. Raises ImageError when it fits neither reading.
    """
    search = _Search(Path(output))
    found = {(os.path.realpath(s.path), s.relative): s for text in inputs for s in search.sources(text)}
    batch = search.batch
    if names_file(output):
        if len(found) + len(batch.faults) > 1 or not all(s.named for s in found.values()):
            raise ImageError(f"{output}: names one image, but the input is several or a folder; name a folder with -o")
        targets = [_chosen(Path(output), suffix) for _ in found]
    else:
        targets = [Path(output) / _suffixed(s.relative, suffix) for s in found.values()]
    taken: dict[str, Path] = {}
    originals = {real for real, _ in found}
    for (real, _), source, target in zip(found, found.values(), targets, strict=True):
        place = os.path.realpath(target)
        fault = _clash(real, place, originals) or search.reread(place)
        if fault is None and place in taken:
            fault = f"its result {target} is also that of {taken[place]}; rename one of them"
        if fault is not None:
            batch.faults.append(f"{source.path}: {fault}")
            continue
        taken[place] = source.path
        batch.tasks.append(Task(source.path, target))
    if not batch.tasks and not batch.faults:
        batch.faults, batch.notes = batch.notes, []
    return batch


def names_file(output: str) -> bool:
    """Whether an output is meant as a file: a name with the suffix of an image or a video that is no folder."""
    if output.endswith(os.sep) or is_folder(Path(output)):
        return False
    kind = mimetypes.guess_type(output)[0] or ""
    return Path(output).suffix.lower() in images.SUFFIXES or kind.startswith(("image/", "video/"))


def is_file(path: Path) -> bool:
    """Whether a path is a plain file; False where that cannot be told."""
    return stat.S_ISREG(mode(path))


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False where that cannot be told."""
    return stat.S_ISDIR(mode(path))


def mode(path: Path) -> int:
    """The mode of what a path leads to, 0 if that is nothing or cannot be told."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in images.SUFFIXES


def _suffixed(relative: Path, suffix: str | None) -> Path:
    if suffix is None:
        return relative
    return relative.with_suffix(suffix) if _is_image(relative) else relative.with_name(relative.name + suffix)


def _chosen(output: Path, suffix: str | None) -> Path:
    """The file that the user named, if that agrees with the format."""
    if suffix is not None and images.output_format(output) != images.output_format(f"x{suffix}"):
        raise ImageError(f"{output}: is not named as --format {suffix[1:]} asks; leave --format out or rename it")
    return output


def _clash(real: str, place: str, originals: set[str]) -> str | None:
    if place == real:
        return "the result would replace its source; choose another output"
    if place in originals:
        return f"its result would replace another input, {place}; choose another output"
    return None


class _Search:
    """Finds the images that inputs stand for, without the results of earlier runs in the output folder."""

    def __init__(self, output: Path) -> None:
        self.batch = Batch()
        self._output = Path(os.path.realpath(output))
        self._folders: list[Path] = []

    def sources(self, text: str) -> Iterator[_Source]:
        """The images of one input; what is wrong with it goes to the batch."""
        path = Path(text)
        if not text:
            self.batch.faults.append("an input is the empty text; name a file, a folder or a glob")
        elif is_folder(path):
            yield from self._folder(path)
        elif mode(path):
            yield _Source(path, Path(path.name), True)
        else:
            yield from self._glob(text)

    def reread(self, place: str) -> str | None:
        """What is wrong with a result that the next run would find among its inputs."""
        for folder in self._folders:
            if Path(place).is_relative_to(folder) and not self._output.is_relative_to(folder):
                return f"its result {place} would lie in the input folder {folder}; choose another output"
        return None

    def _folder(self, root: Path) -> Iterator[_Source]:
        real = Path(os.path.realpath(root))
        if real == self._output:
            self.batch.notes.append(f"{root}: is the output folder, so its images are no inputs; choose another output")
            return
        known = len(self.batch.faults)
        found = self._walk(root)
        if not found and len(self.batch.faults) == known:
            suffixes = " ".join(sorted(images.SUFFIXES))
            self.batch.faults.append(f"{root}: no images in this folder; it needs files that end in {suffixes}")
        self._folders.append(real)
        yield from (_Source(path, path.relative_to(root), False) for path in found)

    def _walk(self, root: Path) -> list[Path]:
        """Images below a folder, sorted; without hidden ones, and links to folders (which may loop) unfollowed."""
        found = []
        for folder, below, names in os.walk(root, onerror=self._unreadable):
            here = Path(folder)
            below[:] = [name for name in below if name[0] != "." and os.path.realpath(here / name) != str(self._output)]
            paths = [here / name for name in names if name[0] != "."]
            # a link to nothing is an input that fails; a pipe would wait forever
            found += [path for path in paths if _is_image(path) and (is_file(path) or not mode(path))]
        return sorted(found)

    def _unreadable(self, error: OSError) -> None:
        self.batch.faults.append(f"{error.filename}: cannot be searched ({error.strerror}); change its mode or move it")

    def _glob(self, text: str) -> Iterator[_Source]:
        root, parts = Path(), list(Path(text).parts)
        while parts and (not glob.has_magic(parts[0]) or mode(root / parts[0])):
            root /= parts.pop(0)
        if not parts:
            self.batch.faults.append(f"{text}: {_absence(Path(text))}; check the name")
            return
        found = False
        for path, named in self._matches(root, parts):
            found = True
            relative = path.relative_to(root)
            yield _Source(path, Path(path.name) if ".." in relative.parts else relative, named)
        if not found:
            self.batch.faults.append(f"{text}: no such file, and no image matches it as a pattern; check the name")

    def _matches(self, root: Path, parts: Sequence[str]) -> Iterator[tuple[Path, bool]]:
        """(image, whether it matched itself, not a folder around it)."""
        # pathlib's ** follows no links, glob's does and may loop; but pathlib knows no ** beside other letters
        pattern = str(Path(*(part if part == "**" else re.sub(r"\*+", "*", part) for part in parts)))
        inside = self._output != Path(os.path.realpath(root)) and self._output.is_relative_to(os.path.realpath(root))
        hidden = any(part[0] == "." for part in parts)
        for path in sorted(root.glob(pattern)):
            if not hidden and any(part[0] == "." for part in path.relative_to(root).parts):
                continue
            if inside and Path(os.path.realpath(path)).is_relative_to(self._output):
                continue
            if is_folder(path):
                yield from ((image, False) for image in self._walk(path))
            elif _is_image(path):
                yield path, True


def _absence(path: Path) -> str:
    try:
        path.stat()
    except FileNotFoundError:
        return "no such file or folder"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "is not there any more"
