"""What `fastsr upscale` works on: its inputs (files, folders, globs), each with the file of its result."""

from __future__ import annotations

import collections
import dataclasses
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastsr import images
from fastsr.cli import globs
from fastsr.cli.folder_search import Contents, FolderSearch, kind_of
from fastsr.cli.naming import image_suffix, names_file
from fastsr.cli.wrong_call import WrongCallError
from fastsr.errors import ImageError
from fastsr.images import provenance
from fastsr.video_formats import PIPE, is_video_name

EARLIER = "results of an earlier run"


@dataclasses.dataclass(frozen=True)
class Naming:
    """Where results go and what they are called.

    Attributes:
        output: a file, a folder or PIPE; None = beside the inputs.
        mark: what is put behind the names of inputs.
        suffix: of results, with the dot; None = as the inputs have it.

    """

    output: str | None
    mark: str = ""
    suffix: str | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """One image to enlarge.

    Attributes:
        source: its file.
        target: the file of its result.
        from_pipe: it is read from standard input instead.
        to_pipe: it is written to standard output instead.

    """

    source: Path
    target: Path
    from_pipe: bool = False
    to_pipe: bool = False


@dataclasses.dataclass
class Batch:
    """What to make, what is wrong with the inputs, what else the user should know, and what was left out of folders."""

    tasks: list[Task] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    skipped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


@dataclasses.dataclass(frozen=True)
class _Source:
    path: str
    relative: str  # where its result lies in the output folder
    root: str | None  # the folder it was found in; None = named by the user or by a glob


def plan(inputs: Sequence[str], naming: Naming, folders: FolderSearch) -> Batch:
    """Pair every input with its result.

    Raises WrongCallError where the output is one file or a pipe, but the input several.
    """
    search = _Search(folders)
    real = _RealPaths()
    found = {(real.path(s.path), s.relative): s for text in inputs for s in search.sources(text)}
    batch, output = search.batch, naming.output
    if output is not None and (output == PIPE or names_file(output)):
        if len(found) + len(batch.faults) > 1 or any(s.root is not None for s in found.values()):
            where = "standard output takes" if output == PIPE else f"{output}: names"
            ways = "a folder with -o" if output == PIPE else f"a folder with -o ({output}/ is one)"
            raise WrongCallError(f"{where} one image, but the input is several or a folder; name {ways}")
        targets = [_chosen(output, naming.suffix) for _ in found]
    else:
        targets = _targets(list(found.values()), naming)
    _pair(batch, search, real, found, targets, naming)
    if not batch.tasks and not batch.faults and batch.notes:
        batch.faults, batch.notes = batch.notes, []
    return batch


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


def _pair(
    batch: Batch,
    search: _Search,
    real: _RealPaths,
    found: dict[tuple[str, str], _Source],
    targets: Sequence[str],
    naming: Naming,
) -> None:
    """Make tasks of sources and targets, and faults of those that would replace something."""
    places = [target if naming.output == PIPE else real.path(target) for target in targets]
    originals = {path for path, _ in found}
    taken: dict[str, str] = {}
    earlier = set(filter(_was_made, originals.intersection(places))) if naming.output is None else set()
    originals -= earlier
    for (path, _), source, target, place in zip(found, found.values(), targets, places, strict=True):
        if path in earlier and place != path:
            batch.skipped[EARLIER] += 1
            continue
        fault = _clash(path, place, originals) or search.reread(place)
        if fault is None and place in taken:
            fault = f"its result {target} is also that of {taken[place]}; rename one of them"
        if fault is not None:
            batch.faults.append(f"{source.path}: {fault}")
            continue
        taken[place] = source.path
        batch.tasks.append(Task(Path(source.path), Path(target), source.path == PIPE, naming.output == PIPE))


def _targets(sources: Sequence[_Source], naming: Naming) -> list[str]:
    """The results' files; sources that differ in their suffix alone get results that have it in their names."""
    made = [_target(source, naming, whole=False) for source in sources]
    counts = collections.Counter(made)
    return [
        _target(source, naming, whole=True) if counts[target] > 1 and _changes(source.path, target) else target
        for source, target in zip(sources, made, strict=True)
    ]


def _target(source: _Source, naming: Naming, whole: bool) -> str:
    """The file of a result; `whole`: behind the whole name of its source."""
    # in text: pathlib takes ten times as long, and folders may have 100 000 files
    suffix = image_suffix(source.path, naming.suffix)
    if naming.output is not None:
        folder, mark, relative = naming.output, naming.mark, source.relative
    elif source.root is not None:
        folder, mark, relative = str(folder_beside(source.root, naming.mark)), "", source.relative
    else:
        folder, mark, relative = "", naming.mark, source.path
    stem, own = os.path.splitext(relative)  # noqa: PTH122
    if whole or own.lower() not in images.SUFFIXES:
        stem = relative if mark or suffix != own else stem
    made = f"{stem}{mark}{suffix}"
    return os.path.join(folder, made) if folder else made  # noqa: PTH118


def folder_beside(root: str, mark: str) -> Path:
    """The folder of results of a folder, where none was given. Raises WrongCallError for . and .."""
    path = Path(root)
    if path.name in ("", ".."):
        raise WrongCallError(f"{root}: has no name to put {mark!r} behind; name a folder with -o")
    return path.with_name(f"{path.name}{mark}")


def _changes(source: str, target: str) -> bool:
    return os.path.splitext(source)[1] != os.path.splitext(target)[1]  # noqa: PTH122


def _chosen(output: str, suffix: str | None) -> str:
    """The file that the user named, if that agrees with the format."""
    if output == PIPE:
        return PIPE
    try:
        kind = images.output_format(output)
    except ImageError as error:
        raise WrongCallError(f"{error}; for a folder of this name write {output}/") from None
    if suffix is not None and kind != images.output_format(f"x{suffix}"):
        raise WrongCallError(f"{output}: is not named as --format {suffix[1:]} asks; leave --format out or rename it")
    return output


def _was_made(path: str) -> bool:
    """Whether a file that has the name of a result is one, as far as its format can say it."""
    return provenance.mark_of(path) is not None or images.output_format(path) not in provenance.KINDS


def _clash(real: str, place: str, originals: set[str]) -> str | None:
    if place == real:
        return "the result would replace its source; choose another output"
    if place in originals:
        return f"its result would replace another input, {place}; choose another output"
    return None


class _RealPaths:
    """Real paths of many files in few folders: each folder is looked up once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def path(self, path: str) -> str:
        """As os.path.realpath."""
        folder, name = os.path.split(path)
        if name in ("", ".", "..") or os.path.islink(path):  # noqa: PTH114 - 100 000 times
            return os.path.realpath(path)
        real = self._folders.get(folder)
        if real is None:
            real = self._folders[folder] = os.path.realpath(folder)
        return f"{real}/{name}" if real != "/" else f"/{name}"


class _Search:
    """Finds the images that inputs stand for, without the results of earlier runs in the output folder."""

    def __init__(self, folders: FolderSearch) -> None:
        self.batch = Batch()
        self._searched = folders
        self._output = None if folders.output is None else Path(folders.output)
        self._closed: list[str] = []  # folders in which no result may lie

    def sources(self, text: str) -> Iterator[_Source]:
        """The images of one input; what is wrong with it goes to the batch."""
        path = Path(text)
        if not text:
            self.batch.faults.append("an input is the empty text; name a file, a folder or a glob")
        elif text == PIPE:
            yield _Source(PIPE, PIPE, None)
        elif is_folder(path):
            yield from self._folder(text)
        elif mode(path):
            yield _Source(text, path.name, None)
        else:
            yield from self._glob(text)

    def reread(self, place: str) -> str | None:
        """What is wrong with a result that the next run would find among its inputs."""
        for folder in self._closed:
            if place.startswith(f"{folder}/"):
                return f"its result {place} would lie in the input folder {folder}; choose another output"
        return None

    def _folder(self, root: str) -> Iterator[_Source]:
        root = root.rstrip("/") or "/"
        real = Path(os.path.realpath(root))
        if real == self._output:
            self.batch.notes.append(f"{root}: is the output folder, so its images are no inputs; choose another output")
            return
        if self._output is None or not self._output.is_relative_to(real):
            self._closed.append(str(real))
        found = self._walk(root)
        if not found.images and not found.videos and not found.faults:
            others = f" ({told(found.skipped)})" if found.skipped else ""
            self.batch.faults.append(f"{root}: no images in this folder{others}; name another")
            return
        self.batch.skipped += found.skipped
        for path, relative in found.images:
            yield _Source(path, relative, root)

    def _walk(self, root: str) -> Contents:
        found = self._searched.contents(root)
        self.batch.faults += found.faults
        return found

    def _glob(self, text: str) -> Iterator[_Source]:
        root, parts = globs.split(text)
        if not parts:
            self.batch.faults.append(f"{text}: {_absence(Path(text))}; check the name")
            return
        output, real = self._output, Path(os.path.realpath(root))
        inside = output is not None and output != real and output.is_relative_to(real)
        found = False
        for path in globs.matches(root, parts):
            if output is not None and inside and Path(os.path.realpath(path)).is_relative_to(output):
                continue
            for image, folder in self._matched(path):
                found = True
                relative = Path(image).relative_to(root)
                yield _Source(image, Path(image).name if ".." in relative.parts else str(relative), folder)
            found = found or is_video_name(path.name)
        if not found:
            self.batch.faults.append(f"{text}: no such file, and no image matches it as a pattern; check the name")

    def _matched(self, path: Path) -> Iterator[tuple[str, str | None]]:
        """(image, the folder around it that matched; None = it matched itself)."""
        if is_folder(path):
            found = self._walk(str(path))
            self.batch.skipped += found.skipped
            yield from ((image, str(path)) for image, _ in found.images)
            return
        kind = kind_of(str(path), path.name)
        if kind == "image":
            yield str(path), None
        elif kind is not None and kind != "video":
            self.batch.skipped[kind] += 1


def told(skipped: collections.Counter[str]) -> str:
    """Files that were left out, for a message: 12 not images, 1 PSD."""
    return ", ".join(f"{count} {kind}" for kind, count in skipped.most_common())


def _absence(path: Path) -> str:
    try:
        path.stat()
    except FileNotFoundError:
        return "no such file or folder"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "is not there any more"
