"""The command's part for images: read, enlarged and written, one while the next is read, with progress, counted."""

from __future__ import annotations

import argparse
import contextlib
import errno
import math
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fastsr import _core, images
from fastsr.cli.background_io import Timed, Writer, read_ahead
from fastsr.cli.console import libraries_silenced, printable
from fastsr.cli.existing import ExistingResults
from fastsr.cli.folder_search import FolderSearch
from fastsr.cli.folders import check_folder, made_folder
from fastsr.cli.inputs import Naming, Task, is_file, mode, plan
from fastsr.cli.models import Models, StopError
from fastsr.cli.naming import names_file
from fastsr.cli.pipes import (
    STANDARD_INPUT,
    STANDARD_OUTPUT,
    StandardInput,
    check_standard_output,
    write_standard_output,
)
from fastsr.cli.report import Report
from fastsr.cli.sizes import region_size
from fastsr.errors import FastsrError, ImageError
from fastsr.image_file import enlargement
from fastsr.images import DecodedImage, provenance
from fastsr.images.detection import HEAD_BYTES, format_of
from fastsr.images.probing import size_of
from fastsr.output_size import output_size
from fastsr.progress_bar import progress_bar, terminal_bar
from fastsr.upscaler import Upscaler
from fastsr.video_formats import PIPE

_LARGE = 1 << 27  # pixels of a result of which no second one is made before it is written


class ImageRun:
    """Enlarges images one after the other; keeps the models, and reports what is made, fails or is worth a note."""

    def __init__(self, arguments: argparse.Namespace, models: Models, report: Report) -> None:
        self._arguments, self._models, self._report = arguments, models, report
        self._existing = ExistingResults(arguments, models)
        self._writer = Writer(threaded=False)

    def make_all(self, naming: Naming, folders: FolderSearch) -> None:
        """Make what the inputs ask for; raises StopError for what concerns them all."""
        batch = plan(self._arguments.inputs, naming, folders)
        for note in batch.notes:
            self._report.say(note)
        for fault in batch.faults:
            self._report.failed(fault)
        self._report.skipped += batch.skipped
        tasks = [task for task in batch.tasks if not self._is_there(task)]
        if self._arguments.cluster is None or self._arguments.dry_run:
            self._make(tasks, naming)
        else:
            self._make_on_cluster(tasks, naming)

    def _is_there(self, task: Task) -> bool:
        """Whether there is nothing to be done for a task, which is then told."""
        try:
            if not self._existing.keep(task):
                return False
        except ImageError:  # it is told when its turn comes
            return False
        self._report.there(_source(task), _target(task))
        return True

    def _make(self, tasks: Sequence[Task], naming: Naming) -> None:
        if tasks:
            self._check_output(naming)
            if self._arguments.model is not None:
                self._models.load(self._arguments.model)
        overlaps = len(tasks) > 1 and _core.thread_count() > 1
        self._writer = Writer(threaded=overlaps)
        shown = None if len(tasks) > 1 and self._report.shows_progress else True
        with terminal_bar(shown, total=len(tasks), unit="image", desc="images") as bar, self._noting():
            try:
                for task, reading in read_ahead(self._read, tasks, self._reads_ahead if overlaps else lambda _: False):
                    self._try(task, lambda task=task, reading=reading: self._one(task, reading))  # type: ignore[misc]
                    bar.update()
                self._writer.settle()
            finally:
                self._writer.close()

    def _make_on_cluster(self, tasks: Sequence[Task], naming: Naming) -> None:
        from fastsr.cli.cluster_images import ClusterImages

        if not tasks:
            return
        self._check_output(naming)
        made = ClusterImages(self._arguments, self._models, self._existing.request, self._report)
        with made, self._noting(), contextlib.closing(made.make(tasks, self._check)) as results:
            for task, work in results:
                self._try(task, work)

    def _check_output(self, naming: Naming) -> None:
        if naming.output == PIPE:
            check_standard_output()
        elif naming.output is not None and not self._arguments.dry_run:
            check_folder(Path(naming.output).parent if names_file(naming.output) else Path(naming.output))

    def _try(self, task: Task, work: Callable[[], None]) -> None:
        """Do some of the work for an image, and report what goes wrong, in the order of the images."""
        source, target = _source(task), _target(task)
        try:
            work()
            return
        except StopError:
            raise
        except FastsrError as error:
            text = str(error)
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StopError(text) from None
            named = text.startswith((f"{source}:", f"{target}:"))
            fault = text if named else f"{source}: {text}"
        except MemoryError:
            fault = f"{source}: not enough memory; try a smaller --tile or --scale"
        except Exception as error:  # whatever one image causes, the others are made
            fault = f"{source}: failed ({type(error).__name__}: {error}); try another --engine, and report it"
        self._writer.settle()
        self._report.failed(fault, source, target)

    def _reads_ahead(self, task: Task) -> bool:
        """Whether an image may be read in another thread: no pipes, and no TIFF, whose library prints messages itself,
        which are kept from standard error only while nobody else prints.
        """
        if self._arguments.dry_run or task.from_pipe or not is_file(task.source):
            return False
        try:
            with task.source.open("rb") as file:
                found = format_of(file.read(HEAD_BYTES), task.source.name)
        except OSError:
            return False
        return found is not None and found.name != "TIFF"

    def _read(self, task: Task) -> DecodedImage | None:
        """What is to be enlarged; None in a dry run, where sizes will do."""
        a = self._arguments
        self._check(task)
        if a.dry_run and not task.from_pipe:
            return None
        in_thread = threading.current_thread() is not threading.main_thread()
        with contextlib.nullcontext() if in_thread else libraries_silenced():
            return images.read(StandardInput() if task.from_pipe else task.source, allow_huge=a.allow_huge)

    def _one(self, task: Task, reading: Callable[[], Timed[DecodedImage | None]]) -> None:
        read = reading()
        image = read.value
        size = size_of(task.source, allow_huge=self._arguments.allow_huge) if image is None else image.size
        upscaler = self._models.fitting(*size)
        facts = self._facts(size, upscaler)
        if image is None or self._arguments.dry_run:
            self._report.made(_source(task), _target(task), **facts)
            return
        self._tell_cost(task, upscaler, *size)
        begun = time.monotonic()
        write = self._enlarged(task, image, upscaler)
        seconds = read.seconds + time.monotonic() - begun

        def tell(writing: Callable[[], Timed[None]]) -> None:
            def made() -> None:
                facts["seconds"] = round(seconds + writing().seconds, 3)
                self._report.made(_source(task), _target(task), **facts)
                if (advice := self._models.advice(upscaler)) is not None:
                    self._report.note(advice)

            self._try(task, made)

        self._writer.submit(write, tell)
        if math.prod(facts["size"]) > _LARGE:
            self._writer.settle()

    def _check(self, task: Task) -> None:
        """Raise what would be raised when the result is written: before the work, not after it."""
        if task.to_pipe:
            return
        target = task.target
        images.output_format(target)
        if mode(target) and not is_file(target):
            raise ImageError(f"{target}: is not a plain file; remove it or choose another output")
        check_folder(target.parent)
        self._existing.check_replacing(task)

    def _facts(self, size: tuple[int, int], upscaler: Upscaler) -> dict[str, Any]:
        a = self._arguments
        made = output_size(*size, a.scale, a.size, upscaler.scale)
        if a.region is not None:
            made = region_size(a.region, made)
        used = {"model": upscaler.name, "engine": upscaler.engine, "precision": upscaler.precision}
        return {"source_size": size, "size": made, **used}

    def _enlarged(self, task: Task, image: DecodedImage, upscaler: Upscaler) -> Callable[[], None]:
        """Enlarge an image; returns what is left to do: to write it, where that is not done as its rows are made."""
        a, request = self._arguments, self._existing.request
        name = printable(Path(_source(task)).name)
        with progress_bar(name, "tile", self._report.shows_progress) as progress:
            if task.to_pipe:
                kind = images.output_format(f"x.{a.format or 'png'}")
                image = provenance.marked(image, request.mark(upscaler), kind)
                frames = upscaler.enlarge(image, a.scale, a.size, progress, a.region)
                return lambda: write_standard_output(image, frames, kind, a.quality, a.compress)
            made = enlargement(image, upscaler, task.target, request, progress)

            def write() -> None:
                with made_folder(task.target.parent):
                    made.write()

            if not made.streams:
                return write
            self._writer.settle()  # the order is kept, and folders are made by one thread at a time
            write()
            return lambda: None

    def _tell_cost(self, task: Task, upscaler: Upscaler, width: int, height: int) -> None:
        """Say how much work is done twice, where `--memory` or `--overlap` causes it."""
        a = self._arguments
        if a.overlap is None and a.memory is None:
            return
        estimate = upscaler.estimate(width, height, a.scale, a.size, a.region)
        if estimate is not None and estimate.twice >= 0.005:
            self._report.say(f"{_source(task)}: {estimate}")

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Collect warnings, which are printed when no progress is shown any more."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", RuntimeWarning)
            try:
                yield
            finally:
                for warning in caught:
                    self._report.note(str(warning.message))


def _source(task: Task) -> str:
    return STANDARD_INPUT if task.from_pipe else str(task.source)


def _target(task: Task) -> str:
    return STANDARD_OUTPUT if task.to_pipe else str(task.target)
