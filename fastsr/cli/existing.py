"""Whether a result that is there already is the one that is asked for, or is to be made again."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from fastsr.cli.inputs import Task, is_file
from fastsr.cli.models import Models
from fastsr.cli.sizes import region_size
from fastsr.errors import FastsrError, ImageError
from fastsr.image_file import ImageRequest
from fastsr.images import provenance
from fastsr.images.formats import output_format
from fastsr.images.probing import size_of
from fastsr.output_size import output_size
from fastsr.video_formats import PIPE

_ROUNDED = 4  # pixels: sides of videos are rounded up to what their format of pixels holds


class ExistingResults:
    """Tells results that are there already from those to be made again, by what one call asks for."""

    def __init__(self, arguments: argparse.Namespace, models: Models) -> None:
        self._arguments, self._models = arguments, models
        self.request = request_of(arguments)
        self._model_changed = changed(arguments.model) if arguments.model is not None else 0

    def keep(self, task: Task) -> bool:
        """Whether the result of a task is there, newer than its source, and by its own account what is asked for.

        One that does not say how it was made counts if its size is right. Raises ImageError for a source whose size
        would have to be known, and StopError for such a model.
        """
        a = self._arguments
        if a.force or task.to_pipe or not is_file(task.target):
            return False
        if a.keep:
            return True
        made = changed(task.target)
        if task.from_pipe or changed(task.source) > made or self._model_changed > made:
            return False
        mark = provenance.mark_of(task.target)
        if mark is not None:
            return bool(_request_in(mark) == self.request.identity())
        return self._has_size(task)

    def keep_video(self, source: str, target: str) -> bool:
        """Whether a video is there, newer than its source, and of the size that is asked for."""
        a = self._arguments
        if a.force or target == PIPE or not is_file(Path(target)):
            return False
        if a.keep:
            return True
        made = changed(target)
        if source == PIPE or changed(source) > made or self._model_changed > made:
            return False
        # a preview has another size
        return bool(a.preview) or self._video_has_size(source, target)

    def check_replacing(self, task: Task) -> None:
        """Raise ImageError for a file that was not made by fastsr where only fastsr chose its name."""
        if self._arguments.output is not None or self._arguments.force or not is_file(task.target):
            return
        if output_format(task.target) in provenance.KINDS and provenance.mark_of(task.target) is None:
            raise ImageError(
                f"{task.target}: is there already and was not made by fastsr; name another output with -o, or --force"
            )

    def _has_size(self, task: Task) -> bool:
        a = self._arguments
        size = size_of(task.source, allow_huge=a.allow_huge)
        try:
            there = size_of(task.target, allow_huge=True)
        except ImageError:  # a damaged result
            return False
        wanted = self._wanted_size(*size)
        return there == (wanted if a.region is None else region_size(a.region, wanted))

    def _video_has_size(self, source: str, target: str) -> bool:
        from fastsr.video.video_size import size_of as video_size

        try:
            before, after = video_size(source), video_size(target)
        except FastsrError:  # damage of the one is told when it is read, the other is replaced
            return False
        wanted = self._wanted_size(*before)
        return all(0 <= there - side < _ROUNDED for there, side in zip(after, wanted, strict=True))

    def _wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """The size asked for of an image of this size; the model is loaded only where that depends on it."""
        a = self._arguments
        own = self._models.own_scale(width, height) if a.scale is None and a.size is None else 1.0
        return output_size(width, height, a.scale, a.size, own)


def request_of(arguments: argparse.Namespace) -> ImageRequest:
    """What a call asks for of images."""
    return ImageRequest(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(ImageRequest)})


def _request_in(mark: str) -> Any:
    try:
        told = json.loads(mark)
    except ValueError:
        return None
    return told.get("request") if isinstance(told, dict) else None


def changed(path: str | Path) -> int:
    """When a file was changed last, ns; 0 for none."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - 100 000 times
    except (OSError, ValueError):
        return 0
