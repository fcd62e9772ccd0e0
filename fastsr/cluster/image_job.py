"""What a job asks of images, with its models pinned, and images as tasks made by the workers of a cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

from fastsr.cluster.image_parts import PartPool, is_large, made_in_parts
from fastsr.cluster.image_task import ImageJob, ImageTask
from fastsr.cluster.pinned_model import PinnedModel, pinned
from fastsr.cluster.sameness import is_exact
from fastsr.cluster.worker import Done
from fastsr.errors import ClusterError
from fastsr.image_file import ImageRequest
from fastsr.network import catalog
from fastsr.output_size import default_model
from fastsr.upscaler import Upscaler

ANY_DEVICE = "add --any-device (any_device=True) if results may differ from machine to machine"


def image_job(
    request: ImageRequest,
    options: dict[str, Any],
    load: Callable[[str], Upscaler],
    *,
    allow_huge: bool,
    any_device: bool,
) -> tuple[ImageJob, dict[str, bytes]]:
    """A job, and what its models' files hold, by their SHA-256.

    Args:
        request: what is asked for.
        options: of `fastsr.load`.
        load: loads a model on this machine, with these options.
        allow_huge: read files over Pillow's limit of pixels too.
        any_device: whether results may differ from machine to machine.

    Raises ClusterError for a model whose results depend on the processor, FastsrError as `fastsr.load`.

    """
    models, contents = {}, {}
    for name in _names(request):
        upscaler = None if any_device else load(name)
        if upscaler is not None and not is_exact(upscaler):
            made_with = f"{upscaler.engine} at {upscaler.precision}"
            raise ClusterError(f"{name}: {made_with} makes other bytes on other processors; {ANY_DEVICE}")
        model, content = pinned(name, options, upscaler)
        models[name] = model
        if model.digest:
            contents[model.digest] = content
    return ImageJob(request, models, allow_huge), contents


@dataclasses.dataclass(frozen=True)
class ClusterChoice:
    """Which cluster makes a job.

    Attributes:
        address: host:port of its head; "auto": the one that runs here, or that RAY_ADDRESS names.
        any_device: whether results may differ from machine to machine.
        say: told what the user should know.

    """

    address: str
    any_device: bool
    say: Callable[[str], None]


def made_images(
    tasks: Sequence[ImageTask], contents: dict[str, bytes], choice: ClusterChoice
) -> Generator[tuple[ImageTask, Done, str], None, None]:
    """Have images made by a cluster; gives each as it is done, with what came of it and the worker's name.

    Raises ClusterError where the cluster cannot be reached, or has no worker that would make the same.
    """
    from fastsr.cluster.connection import Connection
    from fastsr.cluster.pool import Pool, Size

    with Connection(choice.address) as connection:
        size = Size(cpus=1, ahead=1)  # reading and writing an image use one processor
        pool: Pool[ImageTask] = Pool(connection, size, contents, any_device=choice.any_device, say=choice.say)
        large = set()
        # where there are more images than workers, none of them is idle, and each decodes an image but once
        if not choice.any_device and len(tasks) < sum(node.cpus for node in connection.nodes()):
            large = {task for task in tasks if is_large(task)}
        with pool:
            yield from pool.run([task for task in tasks if task not in large])
            for task in large:
                came = made_in_parts(task, cast(PartPool, pool))
                if came is None:
                    yield from pool.run([task])
                else:
                    yield task, *came


def local_job(request: ImageRequest, options: dict[str, Any], *, allow_huge: bool) -> ImageJob:
    """A job for this machine alone, which makes whatever it makes."""
    models = {name: PinnedModel(name, "", "", options, None) for name in _names(request)}
    return ImageJob(request, models, allow_huge)


def _names(request: ImageRequest) -> list[str]:
    """The models that images may need."""
    if request.model is not None:
        return [request.model]
    if request.size is None and (request.scale is None or request.scale % 1 == 0):
        return [default_model(1, 1, request.scale, None)]
    return [name for name in catalog.DEFAULTS if name in catalog.models()] or [default_model(1, 1, 4, None)]
