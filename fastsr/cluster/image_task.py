"""Images as work: a file read and its result written by a worker that sees both, else what it sees not sent along."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastsr import files, images
from fastsr.cluster.pinned_model import PinnedModel
from fastsr.cluster.shared_storage import UNSEEN, OutputFolders, identity, is_shared
from fastsr.cluster.worker import Done, Here, Host
from fastsr.errors import FastsrError, ImageError
from fastsr.image_file import ImageRequest, enlargement
from fastsr.images.probing import size_of
from fastsr.output_size import Size, default_model
from fastsr.upscaler import Upscaler


@dataclasses.dataclass(frozen=True)
class ImageJob:
    """What is the same for all images of a job: the request, the models that it may need by name, what is allowed."""

    request: ImageRequest
    models: dict[str, PinnedModel]
    allow_huge: bool

    def upscaler(self, size: Size, host: Host) -> Upscaler:
        """The model for an image of this size, loaded at its first use."""
        request = self.request
        name = request.model
        if name is None:
            name = default_model(*size, request.scale, request.size)
        return self.models[name].kept(host)


@dataclasses.dataclass(frozen=True)
class Made:
    """An image that was made: how, and, where the worker could not write it, the content of its file."""

    source_size: Size
    size: Size
    model: str
    engine: str
    precision: str
    content: bytes | None


@dataclasses.dataclass(frozen=True)
class ImageWork:
    """One image, as it travels to a worker.

    Attributes:
        job: what is the same for all.
        source: path of the image.
        target: path of its result.
        shown: both, as the user named them.
        identity: of the source, as the driver sees it.
        content: of the source, for a worker that does not see it.
        token: of the folder of the target; "" = it has none.

    """

    job: ImageJob
    source: Path
    target: Path
    shown: tuple[str, str]
    identity: tuple[int, int] | None
    content: bytes | None
    token: str

    def do(self, host: Host) -> Made | str:
        """Make the image. Raises as one machine alone does, with the user's own names."""
        if self.content is None and identity(self.source) != self.identity:
            return UNSEEN
        with _private_folder() as folder:
            source, target = self.source, self.target
            if self.content is not None:
                source = folder("in") / self.source.name
                source.write_bytes(self.content)
            shared = is_shared(self.target.parent, self.token)
            if not shared:
                target = folder("out") / self.target.name
            try:
                made = self._make(source, target, host)
            except FastsrError as error:
                text = str(error).replace(str(target), self.shown[1]).replace(str(source), self.shown[0])
                raise type(error)(text) from error.__cause__
            return made if shared else dataclasses.replace(made, content=target.read_bytes())

    def _make(self, source: Path, target: Path, host: Host) -> Made:
        image = images.read(source, allow_huge=self.job.allow_huge)
        upscaler = self.job.upscaler(image.size, host)
        size = self.job.request.made_size(*image.size, upscaler)
        enlargement(image, upscaler, target, self.job.request).write()
        return Made(image.size, size, upscaler.name, upscaler.engine, upscaler.precision, None)


class ImageTask:
    """One image, as the driver knows it."""

    def __init__(
        self,
        source: Path,
        target: Path,
        job: ImageJob,
        storage: ImageStorage,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` is called before the work is handed out; what it raises is the result."""
        self.deaths = 0
        self.shown_source, self.shown_target = source, target
        self.source, self.target, self.job = source.absolute(), target.absolute(), job
        self.driver: Host = storage.driver
        self._storage, self._check = storage, check
        self._before: tuple[int, int, int] | None = None  # the target, before the work was handed out
        self._entered = False

    @property
    def name(self) -> str:
        """As messages call it."""
        return str(self.shown_source)

    @property
    def size(self) -> int:
        """Of the source, bytes."""
        found = identity(self.source)
        return 0 if found is None else found[0]

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Check what `check` does, and have the folder of the result there, for one who makes the image himself."""
        self._check()
        self._storage.outputs.enter(self.target.parent)
        try:
            yield
        finally:
            self._storage.outputs.leave(self.target.parent)

    def work(self, node: str) -> tuple[ImageWork, int]:
        """The work for a worker on a node. Raises ImageError for a source that cannot be read, and what `check` does.

        The folder of the result is made for it.
        """
        self._leave()
        self._check()
        seen = self._storage.sees(node, self.source.parent)
        there = identity(self.source)
        content = None
        if there is None or not seen:
            try:
                content = self.source.read_bytes()
            except OSError:
                images.read(self.shown_source)  # which tells what is wrong
                raise
        token = self._storage.outputs.enter(self.target.parent)
        self._entered = True
        self._before = _state(self.target)
        shown = str(self.shown_source), str(self.shown_target)
        work = ImageWork(self.job, self.source, self.target, shown, there, content, token)
        return work, 0 if content is None else len(content)

    def settled(self, done: Done, node: str) -> Done | None:
        """Write what a worker has sent. A source that it does not see is sent along the next time."""
        self._leave()
        if done.value == UNSEEN:
            self._storage.unseen(node, self.source.parent)
            return None
        if done.value is None or done.value.content is None:
            return done
        try:
            files.replace(self.target, done.value.content)
        except OSError as error:
            failure = ImageError(files.write_failure(self.shown_target, error))
            return dataclasses.replace(done, value=None, error=failure, errno=error.errno)
        return dataclasses.replace(done, value=dataclasses.replace(done.value, content=None))

    def after_death(self) -> Done | None:
        """What was made, if the result was written before the worker died: files change as a whole or not at all."""
        self._leave()
        folder = self.target.parent
        self._storage.outputs.clean(folder)
        if _state(self.target) == self._before:
            return None
        try:
            source_size, size = (size_of(path, allow_huge=True) for path in (self.source, self.target))
        except ImageError:
            return None
        return Done(Made(source_size, size, "", "", "", None), None, None, [], 0.0)

    def _leave(self) -> None:
        if self._entered:
            self._entered = False
            self._storage.outputs.leave(self.target.parent)


class ImageStorage:
    """What the driver has found out of where files lie; to be closed after use."""

    def __init__(self) -> None:
        self.driver: Host = Here()
        self.outputs = OutputFolders()
        self._unseen: set[tuple[str, Path]] = set()

    def sees(self, node: str, folder: Path) -> bool:
        """Whether a node sees the files of a folder, as far as is known."""
        return (node, folder) not in self._unseen

    def unseen(self, node: str, folder: Path) -> None:
        """A node does not see the files of a folder."""
        self._unseen.add((node, folder))

    def close(self) -> None:
        """Leave no folder and no file behind that is no result."""
        self.outputs.close()


@contextlib.contextmanager
def _private_folder() -> Iterator[Callable[[str], Path]]:
    """A folder of this worker's own, made when it is first asked for; gives what makes folders in it."""
    with contextlib.ExitStack() as stack:
        root: list[Path] = []

        def folder(name: str) -> Path:
            if not root:
                root.append(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastsr-"))))
            made = root[0] / name
            made.mkdir()
            return made

        yield folder


def _state(path: Path) -> tuple[int, int, int] | None:
    """Equal for a file that was not replaced; None where there is none."""
    with contextlib.suppress(OSError):
        status: Any = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns
    return None
