"""The command's part for videos: which inputs are videos, their options, one after the other with progress."""

from __future__ import annotations

import argparse
import dataclasses
import glob
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from fastsr import images
from fastsr.cli.console import abandon, printable, say
from fastsr.cli.folders import check_folder, made_folder
from fastsr.cli.inputs import is_file, is_folder, mode, names_file
from fastsr.cli.models import Models, StopError
from fastsr.cli.sizes import size_argument
from fastsr.errors import FastsrError, VideoError
from fastsr.video_formats import CODECS, CONTAINERS, PIPE, is_image_sequence

if TYPE_CHECKING:
    from fastsr.video.codecs.encoder_request import EncoderRequest
    from fastsr.video.pipeline.progress import Progress

INPUTS = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob", ".wmv"),
        *(".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf", ".y4m", ".h264", ".hevc", ".ivf", ".nut", ".dv"),
    )
)
"""Suffixes that inputs are taken for videos by."""
_FALLBACK = ".mkv"  # holds nearly all streams; for results of inputs whose own container cannot be written

# options that only videos have, as `upscale_video` calls them
_OPTIONS = (
    *("codec", "crf", "preset", "pix_fmt", "lossless", "start", "end", "fps_limit", "deinterlace", "fps"),
    *("raw_size", "raw", "preview"),
)


@dataclasses.dataclass(frozen=True)
class VideoTask:
    """One video to make."""

    source: str
    target: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only videos have."""
    group = parser.add_argument_group("videos (mp4, mkv, ..., folders or frames/%%05d.png as sequences, - for a pipe)")
    group.add_argument("--codec", choices=CODECS, help="default: h264 (.webm: vp9)")
    group.add_argument("--crf", type=float, help="constant quality, smaller is better (default: 20 to 25, by codec)")
    group.add_argument("--preset", help="speed against size, as the encoder has it: ultrafast, medium, ...; 0, 1, ...")
    group.add_argument("--pix-fmt", help="such as yuv420p10le (default: subsampling and depth of the source)")
    group.add_argument("--lossless", action="store_true", help="encode without loss")
    group.add_argument("--start", type=_seconds, metavar="TIME", help="seconds or 1:02:03.5; leave out what is before")
    group.add_argument("--end", type=_seconds, metavar="TIME", help="leave out what is from there on")
    group.add_argument("--fps-limit", type=float, metavar="N", help="at most so many frames a second")
    group.add_argument("--deinterlace", action="store_true", help="make whole frames of interlaced ones")
    group.add_argument("--fps", type=float, metavar="N", help="of image sequences and rgb24 (default: 25)")
    group.add_argument(
        "--raw-size", type=size_argument, metavar="WxH", help="standard input is rgb24 of that size, not y4m"
    )
    group.add_argument("--raw", action="store_true", help="write rgb24 to standard output, not y4m")
    group.add_argument("--preview", action="store_true", help="OUT shows bicubic | ours: a clip of 5 s, or a PNG")


def split(arguments: argparse.Namespace) -> tuple[list[VideoTask], list[str]]:
    """The videos among the inputs, each with its output, and the other inputs.

    Raises VideoError for an output that cannot be that of all of them.
    """
    output, tasks, others = arguments.output, [], []
    single = _names_video(output) or (arguments.preview and not is_folder(Path(output)))
    for text in arguments.inputs:
        found = list(_videos(text, single))
        if found and single:
            tasks += [VideoTask(source, output) for source, _ in found]
        else:
            tasks += [VideoTask(source, str(Path(output) / _renamed(name, arguments))) for source, name in found]
        if not found or (not single and is_folder(Path(text)) and _has_images(Path(text))):
            others.append(text)
    if not tasks:
        given = [name for name in _OPTIONS if getattr(arguments, name) not in (None, False)]
        if given:
            raise VideoError(f"--{given[0].replace('_', '-')} is for videos, but no input is one")
    if tasks and not single and names_file(output):
        raise VideoError(
            f"{output}: a video cannot be written as {Path(output).suffix}; use one of {' '.join(CONTAINERS)}"
        )
    if single and tasks:
        if len(tasks) > 1 or others:
            raise VideoError(f"{output}: names one video, but the input is several; name a folder with -o")
        return tasks, []
    _check_clashes(tasks)
    return tasks, others


class VideoRun:
    """Makes videos one after the other; counts, and collects what fails."""

    def __init__(self, arguments: argparse.Namespace, models: Models) -> None:
        self.made = self.there = 0
        self.faults: list[str] = []
        self._arguments, self._models = arguments, models

    def make(self, tasks: Sequence[VideoTask]) -> None:
        """Make all; raises StopError for what concerns them all."""
        for task in tasks:
            if is_file(Path(task.target)) and not self._arguments.force:
                self.there += 1
                continue
            try:
                self._one(task)
                self.made += 1
            except StopError:
                raise
            except KeyboardInterrupt:
                if task.target != PIPE and task.source != PIPE:
                    say(f"fastsr: {task.target}: the same command resumes where it was stopped", sys.stderr)
                raise
            except FastsrError as error:
                if task.target == PIPE:
                    abandon(sys.stdout)  # half a frame may wait in its buffer, and nobody for it
                text = str(error)
                named = text.startswith((f"{task.source}:", f"{task.target}:"))
                self.faults.append(text if named else f"{task.source}: {text}")
            except MemoryError:
                self.faults.append(f"{task.source}: not enough memory; try a smaller --tile or --scale")
            except Exception as error:  # whatever one video causes, the others are made
                self.faults.append(f"{task.source}: failed ({type(error).__name__}: {error}); report it")

    def _one(self, task: VideoTask) -> None:
        from fastsr.video.upscale_video import upscale_video

        a = self._arguments
        folder = Path(task.target).parent
        if task.target != PIPE:
            if mode(Path(task.target)) and not is_file(Path(task.target)):
                raise VideoError(f"{task.target}: is not a plain file; remove it or choose another output")
            check_folder(folder)
        options = {name: getattr(a, name) for name in _OPTIONS}
        with made_folder(folder), _Bar(task.source) as bar, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RuntimeWarning)
            upscale_video(
                task.source,
                task.target,
                model=self._models.fitting_video,
                scale=a.scale,
                size=a.size,
                progress=bar.show,
                **options,
            )
        for warning in caught:
            if warning.category is RuntimeWarning:
                say(f"fastsr: {warning.message}", sys.stderr)


class _Bar:
    """Progress on a terminal: frames, frames a second, time left, real-time factor."""

    def __init__(self, name: str) -> None:
        self._bar: tqdm[Any] = tqdm(unit="frame", desc=printable(Path(name).name), leave=False, disable=None)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, progress: Progress) -> None:
        """Called after every frame."""
        if self._bar.total is None and progress.total is not None:
            self._bar.total = progress.total
            self._bar.initial = progress.frames - 1
            self._bar.n = self._bar.initial
        self._bar.set_postfix_str(f"{progress.real_time_factor:.2f}x real time", refresh=False)
        self._bar.update(progress.frames - self._bar.n)


def _seconds(text: str) -> float:
    """Seconds, or hours:minutes:seconds."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 62.5 or 1:02.5")
    value = 0.0
    for part in text.split(":"):
        value = value * 60 + float(part)
    return round(value, 9)


def _names_video(output: str) -> bool:
    """Whether an output is one video: a pipe, numbered images, or a file in a container."""
    if output == PIPE or is_image_sequence(output):
        return True
    return Path(output).suffix.lower() in CONTAINERS and not is_folder(Path(output))


def _videos(text: str, single: bool) -> Iterator[tuple[str, Path]]:
    """The videos that an input stands for, each with where its result lies in an output folder."""
    path = Path(text)
    suffix = path.suffix.lower()
    if text == PIPE or (text and is_image_sequence(text)):
        yield text, Path(f"sequence{_FALLBACK}")
    elif text and is_folder(path):
        if single and not list(_below(path)):
            yield text, Path(path.name + _FALLBACK)
        for found in _below(path):
            yield str(found), found.relative_to(path)
    elif suffix in INPUTS and not mode(path) and glob.has_magic(text):
        for name in sorted(glob.glob(text, recursive=True)):  # noqa: PTH207 - takes absolute patterns too
            yield name, Path(Path(name).name)
    elif suffix in INPUTS or (suffix == ".gif" and single):
        yield text, Path(path.name)


def _below(folder: Path) -> list[Path]:
    """Videos below a folder, sorted, without hidden ones."""
    found = []
    for here, below, names in os.walk(folder):
        below[:] = [name for name in below if name[0] != "."]
        found += [Path(here) / name for name in names if name[0] != "." and Path(name).suffix.lower() in INPUTS]
    return sorted(found)


def _has_images(folder: Path) -> bool:
    return any(
        Path(name).suffix.lower() in images.SUFFIXES for _, _, names in os.walk(folder) for name in names
    ) or not _below(folder)


def _renamed(name: Path, arguments: argparse.Namespace) -> Path:
    if arguments.format is not None and f".{arguments.format}" in CONTAINERS:
        return name.with_suffix(f".{arguments.format}")
    return name if name.suffix.lower() in CONTAINERS else name.with_suffix(_FALLBACK)


def _check_clashes(tasks: Sequence[VideoTask]) -> None:
    taken: dict[str, str] = {}
    for task in tasks:
        place = os.path.realpath(task.target)
        if place in taken:
            raise VideoError(f"{task.source}: its result {task.target} is also that of {taken[place]}; rename one")
        taken[place] = task.source


def bench(arguments: argparse.Namespace, models: Models) -> str:
    """The text that `fastsr bench` prints. Raises FastsrError."""
    from fastsr.video.benchmark import measure

    request = _encoder_request(arguments)
    return measure(arguments.input, models.fitting_video, arguments.frames, request, arguments.scale).table()


def add_bench(commands: Any, shared: Callable[[argparse.ArgumentParser], None]) -> None:
    """The command `fastsr bench`; `shared` adds the options of models and devices."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast a video would be enlarged",
        description="Decode, enlarge and encode frames of a video, each alone and all at once; nothing is written.",
    )
    parser.add_argument("input", metavar="IN", help="a video")
    parser.add_argument("--frames", type=int, default=120, help="how many to measure with (default: 120)")
    parser.add_argument("--codec", choices=CODECS, help="default: h264")
    parser.add_argument("--crf", type=float)
    parser.add_argument("--preset")
    shared(parser)


def _encoder_request(arguments: argparse.Namespace) -> EncoderRequest:
    from fastsr.video.codecs.encoder_request import EncoderRequest

    return EncoderRequest(arguments.codec, arguments.crf, arguments.preset)
