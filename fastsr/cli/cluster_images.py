"""The command's part for images on a cluster: the same tasks, made by its workers, told as they are done."""

from __future__ import annotations

import argparse
import collections
import contextlib
import functools
import warnings
from collections.abc import Callable, Generator, Sequence
from types import TracebackType

from fastsr.cli.inputs import Task
from fastsr.cli.models import Models
from fastsr.cli.report import Report
from fastsr.cluster.image_job import ClusterChoice, image_job, made_images
from fastsr.cluster.image_task import ImageStorage, ImageTask, Made
from fastsr.cluster.worker import Done
from fastsr.image_file import ImageRequest
from fastsr.progress_bar import terminal_bar

Result = tuple[Task, Callable[[], None]]


class ClusterImages:
    """Has images made by a cluster; to be closed after use."""

    def __init__(self, arguments: argparse.Namespace, models: Models, request: ImageRequest, report: Report) -> None:
        self._arguments, self._models, self._request, self._report = arguments, models, request, report
        self._storage = ImageStorage()
        self._made_by: collections.Counter[str] = collections.Counter()

    def __enter__(self) -> ClusterImages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._storage.close()
        if self._made_by:
            told = ", ".join(f"{count} by {host}" for host, count in sorted(self._made_by.items()))
            self._report.say(f"made {told}")

    def make(self, tasks: Sequence[Task], check: Callable[[Task], None]) -> Generator[Result, None, None]:
        """Each task as it is done, and what reports it or raises what went wrong.

        `check` is called before a task is handed out; what it raises went wrong with it.
        """
        a = self._arguments
        job, contents = image_job(
            self._request,
            self._models.options,
            self._models.load,
            allow_huge=a.allow_huge,
            any_device=a.any_device,
        )
        given = {
            ImageTask(task.source, task.target, job, self._storage, functools.partial(check, task)): task
            for task in tasks
        }
        choice = ClusterChoice(a.cluster, a.any_device, self._report.say)
        shown = None if self._report.shows_progress else True
        with (
            terminal_bar(shown, total=len(tasks), unit="image", desc="images") as bar,
            contextlib.closing(made_images(list(given), contents, choice)) as made,
        ):
            for image, done, worker in made:
                yield given[image], functools.partial(self._tell, given[image], done, worker)
                bar.set_postfix_str(worker, refresh=False)
                bar.update()

    def _tell(self, task: Task, done: Done, worker: str) -> None:
        """Report what a worker has made. Raises what it raised."""
        for text in done.warnings:
            warnings.warn(text, RuntimeWarning, stacklevel=2)
        if done.error is not None:
            raise done.error from (None if done.errno is None else OSError(done.errno, ""))
        made = done.value
        assert isinstance(made, Made)
        self._made_by[worker.partition("/")[0]] += 1
        used = {"model": made.model, "engine": made.engine, "precision": made.precision}
        facts = {"source_size": made.source_size, "size": made.size, **used, "seconds": round(done.seconds, 3)}
        self._report.made(str(task.source), str(task.target), **facts, worker=worker)
