"""The command's part for images: one after the other enlarged and written, with progress, counted."""

from __future__ import annotations

import argparse
import contextlib
import errno
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fastsr import images
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
from fastsr.errors import FastsrError, ImageError
from fastsr.images import DecodedImage, provenance
from fastsr.images.probing import size_of
from fastsr.output_size import output_size
from fastsr.progress_bar import progress_bar, terminal_bar
from fastsr.upscaler import Upscaler
from fastsr.video_formats import PIPE


class ImageRun:
    """Enlarges images one after the other; keeps the models, and reports what is made, fails or is worth a note."""

    def __init__(self, arguments: argparse.Namespace, models: Models, report: Report) -> None:
        self._arguments, self._models, self._report = arguments, models, report
        self._existing = ExistingResults(arguments, models)

    def make_all(self, naming: Naming, folders: FolderSearch) -> None:
        """Make what the inputs ask for; raises StopError for what concerns them all."""
        batch = plan(self._arguments.inputs, naming, folders)
        for note in batch.notes:
            self._report.say(note)
        for fault in batch.faults:
            self._report.failed(fault)
        self._report.skipped += batch.skipped
        self._make([task for task in batch.tasks if not self._is_there(task)], naming)

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
        several = len(tasks) > 1 and self._report.shows_progress
        with terminal_bar(None if several else True, total=len(tasks), unit="image", desc="images") as bar:
            for task in tasks:
                fault = self._try(task)
                if fault is not None:
                    self._report.failed(fault, _source(task), _target(task))
                bar.update()

    def _check_output(self, naming: Naming) -> None:
        if naming.output == PIPE:
            check_standard_output()
        elif naming.output is not None and not self._arguments.dry_run:
            check_folder(Path(naming.output).parent if names_file(naming.output) else Path(naming.output))

    def _try(self, task: Task) -> str | None:
        """Enlarge one image; returns what went wrong."""
        source, target = _source(task), _target(task)
        try:
            self._one(task)
        except StopError:
            raise
        except FastsrError as error:
            text = str(error)
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StopError(text) from None
            named = text.startswith((f"{source}:", f"{target}:"))
            return text if named else f"{source}: {text}"
        except MemoryError:
            return f"{source}: not enough memory; try a smaller --tile or --scale"
        except Exception as error:  # whatever one image causes, the others are made
            return f"{source}: failed ({type(error).__name__}: {error}); try another --engine, and report it"
        return None

    def _one(self, task: Task) -> None:
        a = self._arguments
        if not task.to_pipe:
            self._check_target(task.target)
            self._existing.check_replacing(task)
        if a.dry_run and not task.from_pipe:
            size = size_of(task.source, allow_huge=a.allow_huge)
            self._report.made(str(task.source), _target(task), **self._facts(size, self._models.fitting(*size)))
            return
        begun = time.monotonic()
        with libraries_silenced():
            image = images.read(StandardInput() if task.from_pipe else task.source, allow_huge=a.allow_huge)
        upscaler = self._models.fitting(*image.size)
        facts = self._facts(image.size, upscaler)
        if not a.dry_run:
            self._tell_cost(task, upscaler, *image.size)
            self._enlarge(task, image, upscaler)
            facts["seconds"] = round(time.monotonic() - begun, 3)
        self._report.made(_source(task), _target(task), **facts)

    def _check_target(self, target: Path) -> None:
        """Raise what would be raised when the result is written: before the work, not after it."""
        images.output_format(target)
        if mode(target) and not is_file(target):
            raise ImageError(f"{target}: is not a plain file; remove it or choose another output")
        check_folder(target.parent)

    def _facts(self, size: tuple[int, int], upscaler: Upscaler) -> dict[str, Any]:
        a = self._arguments
        made = output_size(*size, a.scale, a.size, upscaler.scale)
        used = {"model": upscaler.name, "engine": upscaler.engine, "precision": upscaler.precision}
        return {"source_size": size, "size": made, **used}

    def _enlarge(self, task: Task, image: DecodedImage, upscaler: Upscaler) -> None:
        a = self._arguments
        name = printable(Path(_source(task)).name)
        with progress_bar(name, "tile", self._report.shows_progress) as progress:
            frames = upscaler.enlarge(image, a.scale, a.size, progress)
        kind = images.output_format(f"x.{a.format or 'png'}" if task.to_pipe else task.target)
        image = provenance.marked(image, self._existing.mark(upscaler), kind)
        with self._noting():
            if task.to_pipe:
                write_standard_output(image, frames, kind, a.quality)
                return
            with made_folder(task.target.parent):
                images.write(image, frames, task.target, quality=a.quality)

    def _tell_cost(self, task: Task, upscaler: Upscaler, width: int, height: int) -> None:
        """Say how much work is done twice, where `--memory` or `--overlap` causes it."""
        a = self._arguments
        if a.overlap is None and a.memory is None:
            return
        estimate = upscaler.estimate(width, height)
        if estimate is not None and estimate.twice >= 0.005:
            self._report.say(f"{_source(task)}: {estimate}")

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Collect warnings, which are printed when no progress is shown any more."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", RuntimeWarning)
            yield
        for warning in caught:
            self._report.note(str(warning.message))


def _source(task: Task) -> str:
    return STANDARD_INPUT if task.from_pipe else str(task.source)


def _target(task: Task) -> str:
    return STANDARD_OUTPUT if task.to_pipe else str(task.target)
