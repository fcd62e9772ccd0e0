"""One large image made by many workers: parts of its result are their work, put together as they come, row by row."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastsr import images
from fastsr.cluster.image_task import ImageJob, ImageTask, Made
from fastsr.cluster.sent_file import ReceivedFile, SentFile, SentFileTask
from fastsr.cluster.shared_storage import UNSEEN, identity
from fastsr.cluster.worker import Done, Host
from fastsr.errors import ClusterError, FastsrError
from fastsr.image_file import enlargement
from fastsr.images import DecodedImage, Rows
from fastsr.images.probing import size_of
from fastsr.output_size import Region
from fastsr.upscaler import Upscaler

LARGE = 1 << 27  # pixels of a result from which on it is made in parts
WIDTH, HEIGHT = 8192, 2048  # of a part; smaller ones would have much more border, which is computed twice
_LEAST_BYTES = 1 << 16  # of a file that is looked into


@dataclasses.dataclass(frozen=True)
class PartWork:
    """A part of an image's result, as it travels to a worker; `blocks`: the source, for one that does not see it."""

    job: ImageJob
    source: Path
    shown: str
    identity: tuple[int, int] | None
    blocks: list[Any] | None
    region: Region

    def do(self, host: Host) -> np.ndarray[Any, np.dtype[Any]] | str:
        """Its pixels, H x W x C. Raises as one machine alone does."""
        if self.blocks is None and identity(self.source) != self.identity:
            return UNSEEN
        image = self._image(host)
        request = self.job.request
        upscaler = self.job.upscaler(image.size, host)
        return upscaler.enlarge(image, request.scale, request.size, None, self.region)[0].color

    def _image(self, host: Host) -> DecodedImage:
        """The source, read once for all parts that a worker makes."""
        key = "image of parts", self.source, self.identity
        if key not in host.kept:
            for other in [kept for kept in host.kept if kept[0] == key[0]]:
                del host.kept[other]
            received = None if self.blocks is None else ReceivedFile(self.blocks, self.source.name)
            path = self.source if received is None else received.path
            try:
                host.kept[key] = images.read(path, allow_huge=self.job.allow_huge)
            except FastsrError as error:
                raise type(error)(str(error).replace(str(path), self.shown)) from error.__cause__
        found = host.kept[key]
        assert isinstance(found, DecodedImage)
        return found


class PartTask(SentFileTask):
    """A part of an image's result, as the driver knows it."""

    def __init__(self, task: ImageTask, region: Region, sent: SentFile, unseen: set[str]) -> None:
        """`region`: of the whole result; `sent`, `unseen`: see `SentFileTask`."""
        super().__init__(sent, unseen)
        self.region = region
        self._task = task

    @property
    def name(self) -> str:
        """As messages call it."""
        return self._task.name

    def work(self, node: str) -> tuple[PartWork, int]:
        """The work for a worker on a node; the source travels by references, which weigh nothing."""
        task = self._task
        source = task.source
        return PartWork(task.job, source, task.name, identity(source), self.blocks(node), self.region), 0


class PartPool(Protocol):
    """Has parts made, as `fastsr.cluster.pool` does."""

    def run(self, tasks: list[PartTask]) -> Iterator[tuple[PartTask, Done, str]]:
        """Each task as it is done, with what came of it and the worker's name."""
        ...


def is_large(task: ImageTask) -> bool:
    """Whether the result of an image is so large that it is made in parts, as far as its file tells."""
    request = task.job.request
    if task.size < _LEAST_BYTES or images.output_format(task.shown_target) not in ("PNG", "TIFF"):
        return False
    try:
        width, height = size_of(task.source, allow_huge=task.job.allow_huge)
        return math.prod(request.made_size(width, height, task.job.upscaler((width, height), task.driver))) >= LARGE
    except FastsrError:  # it is told when its turn comes
        return False


def made_in_parts(task: ImageTask, pool: PartPool) -> tuple[Done, str] | None:
    """Make an image in parts; what came of it, and the workers' names. None where it is one that only goes whole.

    Raises ClusterError where no worker is left.
    """
    begun, names, told = time.monotonic(), set[str](), list[str]()
    try:
        with task.ready():
            image = images.read(task.source, allow_huge=task.job.allow_huge)
            upscaler = task.job.upscaler(image.size, task.driver)
            request = task.job.request
            plain = images.takes_rows(image, image.frames[0].color.dtype, task.shown_target)
            shape = _shape(image, upscaler, task) if plain else None
            if shape is None:
                return None

            def bands() -> Generator[np.ndarray[Any, np.dtype[Any]], None, None]:
                for strip, name, warned in _strips(task, shape, pool):
                    names.update(name)
                    told.extend(warned)
                    yield strip

            with contextlib.closing(bands()) as strips:
                rows = Rows(shape, image.frames[0].color.dtype, strips)
                enlargement(image, upscaler, task.target, request, rows=rows).write()
            used = upscaler.name, upscaler.engine, upscaler.precision
            made = Made(image.size, (shape[1], shape[0]), *used, None)
            done = Done(made, None, None, sorted(set(told)), time.monotonic() - begun)
    except ClusterError:  # concerns all images
        raise
    except FastsrError as error:
        number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        done = Done(None, error, number, [], time.monotonic() - begun)
    return done, ", ".join(sorted(names))


def _shape(image: DecodedImage, upscaler: Upscaler, task: ImageTask) -> tuple[int, int, int] | None:
    """Height, width and channels of the result; None where the engine does not make it in rows."""
    request = task.job.request
    rows = upscaler.rows(image, request.scale, request.size, None, request.region)
    return None if rows is None else rows.shape


def regions(shape: tuple[int, int, int], whole: Region | None) -> list[list[Region]]:
    """The parts of a result of this shape, in strips from above; `whole`: the region that the result is of another."""
    left, top = (0, 0) if whole is None else whole[:2]
    height, width = shape[:2]
    return [
        [
            (left + x, top + y, left + min(x + WIDTH, width), top + min(y + HEIGHT, height))
            for x in range(0, width, WIDTH)
        ]
        for y in range(0, height, HEIGHT)
    ]


def _strips(
    task: ImageTask, shape: tuple[int, int, int], pool: PartPool
) -> Iterator[tuple[np.ndarray[Any, np.dtype[Any]], set[str], list[str]]]:
    """The result in strips from above, each with the workers that made its parts and what they warned of."""
    strips = regions(shape, task.job.request.region)
    sent, unseen = SentFile(task.source), set[str]()
    tasks = [PartTask(task, region, sent, unseen) for strip in strips for region in strip]
    there: dict[Region, Done] = {}
    names: set[str] = set()
    waiting = iter(strips)
    strip = next(waiting)
    for part, done, name in pool.run(tasks):
        if done.error is not None:
            raise done.error if isinstance(done.error, FastsrError) else FastsrError(f"{task.name}: {done.error}")
        there[part.region] = done
        names.add(name)
        while strip and all(region in there for region in strip):
            parts = [there.pop(region) for region in strip]
            yield np.concatenate([part.value for part in parts], axis=1), names, [w for p in parts for w in p.warnings]
            strip = next(waiting, [])
