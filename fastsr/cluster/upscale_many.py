"""`upscale_many`: image files in, larger ones out, made by this machine or by a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import socket
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from fastsr import images
from fastsr.cluster.image_job import ClusterChoice, image_job, local_job, made_images
from fastsr.cluster.image_task import ImageStorage, ImageTask, Made
from fastsr.cluster.worker import Done, Here, done
from fastsr.engines.protocol import Device, EngineName, Precision
from fastsr.errors import FastsrError
from fastsr.image_file import ImageRequest
from fastsr.loading import load
from fastsr.output_size import Region, Size

FilePath = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class ImageResult:
    """What came of one image.

    Attributes:
        source: its file.
        target: the file of its result, which is there unless there is an `error`.
        error: why it was not made; None = it was.
        source_size: width and height in pixels; None where it was not made, like the next five.
        size: of the result.
        model: that enlarged it; empty, like engine and precision, where the worker died before it could say so.
        engine: that ran it.
        precision: of that.
        worker: host and process that made it, as "host/1234".
        seconds: that it took there.

    """

    source: Path
    target: Path
    error: FastsrError | None
    source_size: Size | None = None
    size: Size | None = None
    model: str | None = None
    engine: str | None = None
    precision: str | None = None
    worker: str | None = None
    seconds: float = 0.0


def upscale_many(
    files: Mapping[FilePath, FilePath] | Iterable[tuple[FilePath, FilePath]],
    *,
    cluster: str | None = None,
    scale: float | None = None,
    size: Size | None = None,
    region: Region | None = None,
    model: FilePath | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    engine: EngineName = "auto",
    tile: int | None = None,
    overlap: int | None = None,
    memory: int | str | None = None,
    realism: float | None = None,
    blend: float = 1,
    quality: int | None = None,
    compress: bool = False,
    allow_huge: bool = False,
    any_device: bool = False,
    progress: Callable[[ImageResult], None] | None = None,
) -> list[ImageResult]:
    """Enlarge image files: `fastsr.upscale_many({"a.jpg": "large/a.jpg"}, cluster="auto")`.

    All are made, whatever happens to one of them. Results are the same on one machine and on many, written whole or not
    at all; their folders are made, and files that are there replaced.

    Args:
        files: source -> target, or pairs of them; the target's suffix says its format.
        cluster: the address of a Ray cluster's head, as "host:6379", or "auto": the one that runs here or that
            RAY_ADDRESS names. None: this machine alone.
        scale: as for `upscale`.
        size: as for `upscale`.
        region: as for `Upscaler.upscale`.
        model: as for `upscale`.
        device: as for `load`, on this machine; a cluster works on processors unless `any_device` is given.
        precision: as for `load`.
        engine: as for `load`.
        tile: as for `load`.
        overlap: as for `load`.
        memory: as for `load`, of each worker.
        realism: as for `load`.
        blend: as for `load`.
        quality: as for `fastsr.images.write`.
        compress: as for `fastsr.images.write`.
        allow_huge: read files over Pillow's limit of pixels too.
        any_device: let a cluster use GPUs too, and models that make other bytes on other processors.
        progress: called with each result as soon as it is there.

    Returns:
        What came of each, in the order of `files`.

    Raises:
        ClusterError: the cluster cannot be reached, or has no worker that makes the same results as this machine.
        FastsrError: arguments that cannot be, a target that is named twice or is a source, or a model that cannot be
            loaded.

    """
    pairs = [(Path(source), Path(target)) for source, target in dict(files).items()]
    _check_targets(pairs)
    request = ImageRequest(
        model=None if model is None else os.fspath(model),
        realism=realism,
        blend=blend,
        precision=precision,
        overlap=overlap,
        scale=scale,
        size=size,
        region=region,
        quality=quality,
        compress=compress,
    )
    options: dict[str, Any] = {"device": device, "precision": precision, "engine": engine, "tile": tile}
    options |= {"realism": realism, "blend": blend, "overlap": overlap, "memory": memory}
    results: dict[Path, ImageResult] = {}
    with contextlib.closing(ImageStorage()) as storage:
        if cluster is None:
            job = local_job(request, options, allow_huge=allow_huge)
            made = _made_here([ImageTask(*pair, job, storage) for pair in pairs])
        else:
            options["device"] = "auto" if any_device else "cpu"
            load_here = functools.cache(functools.partial(load, **options))
            job, contents = image_job(request, options, load_here, allow_huge=allow_huge, any_device=any_device)
            choice = ClusterChoice(cluster, any_device, _warn)
            made = made_images([ImageTask(*pair, job, storage) for pair in pairs], contents, choice)
        with contextlib.closing(made):
            for task, came, worker in made:
                result = results[task.shown_source] = _result(task, came, worker)
                if progress is not None:
                    progress(result)
    return [results[source] for source, _ in pairs]


def _check_targets(pairs: list[tuple[Path, Path]]) -> None:
    """Raise FastsrError for results that would replace each other or a source, and for suffixes of no format."""
    sources = {os.path.realpath(source) for source, _ in pairs}
    taken: set[str] = set()
    for source, target in pairs:
        images.output_format(target)
        place = os.path.realpath(target)
        if place in sources:
            raise FastsrError(f"{source}: its result would replace {target}, which is a source; choose another target")
        if place in taken:
            raise FastsrError(f"{source}: its result {target} is also that of another source; choose another target")
        taken.add(place)


def _made_here(tasks: Iterable[ImageTask]) -> Generator[tuple[ImageTask, Done, str], None, None]:
    """Images made in this process, by the same work as on a worker."""
    here, name = Here(), f"{socket.gethostname()}/{os.getpid()}"
    for task in tasks:
        try:
            work, _ = task.work(name)
        except FastsrError as error:
            yield task, Done(None, error, None, [], 0.0), name
            continue
        settled = task.settled(done(work, here), name)
        assert settled is not None  # one's own files are seen
        yield task, settled, name


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=3)


def _result(task: ImageTask, came: Done, worker: str) -> ImageResult:
    for text in came.warnings:
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    source, target = task.shown_source, task.shown_target
    if came.error is not None:
        error = came.error if isinstance(came.error, FastsrError) else FastsrError(f"{source}: {came.error}")
        return ImageResult(source, target, error)
    made = came.value
    assert isinstance(made, Made)
    used = (made.source_size, made.size, made.model, made.engine, made.precision)
    return ImageResult(source, target, None, *used, worker, came.seconds)
