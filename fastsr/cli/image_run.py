"""The command's part for images: one after the other enlarged and written, with progress, counted."""

from __future__ import annotations

import argparse
import contextlib
import errno
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from fastsr import images
from fastsr.cli.console import libraries_silenced, printable, say
from fastsr.cli.folders import check_folder, made_folder
from fastsr.cli.inputs import Task, is_file, mode, names_file, plan
from fastsr.cli.models import Models, StopError
from fastsr.errors import FastsrError, ImageError
from fastsr.progress_bar import progress_bar
from fastsr.upscaler import Upscaler


class ImageRun:
    """Enlarges images one after the other; keeps the models, counts, and collects what fails or is worth a note."""

    def __init__(self, arguments: argparse.Namespace, models: Models) -> None:
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.made = self.there = 0
        self._arguments, self._models = arguments, models

    def make_all(self) -> None:
        """Make what the inputs ask for; raises StopError for what concerns them all."""
        a = self._arguments
        batch = plan(a.inputs, a.output, f".{a.format}" if a.format else None)
        for note in batch.notes:
            say(f"fastsr: {note}", sys.stderr)
        self.faults = batch.faults
        waiting = [task for task in batch.tasks if a.force or not is_file(task.target)]
        self.there = len(batch.tasks) - len(waiting)
        self._make(waiting)

    def _make(self, tasks: Sequence[Task]) -> None:
        if tasks:
            output = Path(self._arguments.output)
            check_folder(output.parent if names_file(self._arguments.output) else output)
            if self._arguments.model is not None:
                self._models.load(self._arguments.model)
        with tqdm(total=len(tasks), unit="image", desc="images", disable=None if len(tasks) > 1 else True) as bar:
            for task in tasks:
                fault = self._try(task)
                if fault is None:
                    self.made += 1
                else:
                    self.faults.append(fault)
                bar.update()

    def _try(self, task: Task) -> str | None:
        """Enlarge one image; returns what went wrong."""
        try:
            self._one(task)
        except StopError:
            raise
        except FastsrError as error:
            text = str(error)
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StopError(text) from None
            named = text.startswith((f"{task.source}:", f"{task.target}:"))
            return text if named else f"{task.source}: {text}"
        except MemoryError:
            return f"{task.source}: not enough memory; try a smaller --tile or --scale"
        except Exception as error:  # whatever one image causes, the others are made
            return f"{task.source}: failed ({type(error).__name__}: {error}); try another --engine, and report it"
        return None

    def _one(self, task: Task) -> None:
        a = self._arguments
        images.output_format(task.target)  # told before the work, not after it
        if mode(task.target) and not is_file(task.target):
            raise ImageError(f"{task.target}: is not a plain file; remove it or choose another output")
        check_folder(task.target.parent)
        with libraries_silenced():
            image = images.read(task.source, allow_huge=a.allow_huge)
        height, width = image.frames[0].color.shape[:2]
        upscaler = self._models.fitting(width, height)
        self._tell_cost(task, upscaler, width, height)
        with progress_bar(printable(task.source.name), "tile") as report:
            frames = upscaler.enlarge(image, a.scale, a.size, report)
        with made_folder(task.target.parent), self._noting():
            images.write(image, frames, task.target, quality=a.quality)

    def _tell_cost(self, task: Task, upscaler: Upscaler, width: int, height: int) -> None:
        """Say how much work is done twice, where `--memory` or `--overlap` causes it."""
        a = self._arguments
        if a.overlap is None and a.memory is None:
            return
        estimate = upscaler.estimate(width, height)
        if estimate is not None and estimate.twice >= 0.005:
            say(f"fastsr: {task.source}: {estimate}", sys.stderr)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Collect warnings, which are printed when no progress is shown any more."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", RuntimeWarning)
            yield
        self.notes += [str(warning.message) for warning in caught]
