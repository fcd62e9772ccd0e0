"""The command's part for videos: which inputs are videos, their options, one after the other with progress."""

from __future__ import annotations

import argparse
import dataclasses
import glob
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsr.cli import globs
from fastsr.cli.console import abandon, printable
from fastsr.cli.durations import duration
from fastsr.cli.existing import ExistingResults, changed
from fastsr.cli.folder_search import FolderSearch
from fastsr.cli.folders import check_folder, made_folder
from fastsr.cli.inputs import Naming, folder_beside, is_file, is_folder, mode
from fastsr.cli.models import Models, StopError
from fastsr.cli.naming import FALLBACK_VIDEO, beside, names_file, video_suffix
from fastsr.cli.pipes import STANDARD_INPUT, STANDARD_OUTPUT, standard_input_is_image
from fastsr.cli.report import Report
from fastsr.cli.sizes import size_argument
from fastsr.cli.wrong_call import WrongCallError
from fastsr.errors import FastsrError, VideoError
from fastsr.output_size import output_size
from fastsr.progress_bar import terminal_bar
from fastsr.upscaler import Upscaler
from fastsr.video_formats import CODECS, CONTAINERS, PIPE, is_image_sequence, is_url, is_video_name, without_password

if TYPE_CHECKING:
    from fastsr.video.pipeline.pace import Pace
    from fastsr.video.pipeline.progress import Progress

# options that only videos have, as `upscale_video` calls them
_OPTIONS = (
    *("codec", "crf", "preset", "pix_fmt", "lossless", "start", "end", "fps_limit", "deinterlace", "fps"),
    *("raw_size", "raw", "preview", "realtime"),
)


@dataclasses.dataclass(frozen=True)
class VideoTask:
    """One video to make."""

    source: str
    target: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only videos have."""
    group = parser.add_argument_group("videos (mp4, mkv, ..., folders or frames/%05d.png as sequences, - for a pipe)")
    group.add_argument("--codec", choices=CODECS, help="default: h264 (.webm: vp9)")
    group.add_argument("--crf", type=float, help="constant quality, smaller is better (default: 20 to 25, by codec)")
    group.add_argument("--preset", help="speed against size, as the encoder has it: ultrafast, medium, ...; 0, 1, ...")
    group.add_argument("--pix-fmt", help="such as yuv420p10le (default: subsampling and depth of the source)")
    group.add_argument("--lossless", action="store_true", help="encode without loss")
    group.add_argument("--start", type=_seconds, metavar="TIME", help="seconds or 1:02:03.5; leave out what is before")
    group.add_argument("--end", type=_seconds, metavar="TIME", help="leave out what is from there on")
    group.add_argument("--fps-limit", type=float, metavar="N", help="at most so many frames a second")
    group.add_argument("--deinterlace", action="store_true", help="make whole frames of interlaced ones")
    group.add_argument(
        "--fps", type=float, metavar="N", help="of image sequences and rgb24 (default: 25); what a camera is asked for"
    )
    group.add_argument(
        "--raw-size",
        type=size_argument,
        metavar="WxH",
        help="standard input is rgb24 of that size, not y4m; what a camera is asked for",
    )
    group.add_argument("--raw", action="store_true", help="write rgb24 to standard output, not y4m")
    group.add_argument("--preview", action="store_true", help="OUT shows bicubic | ours: a clip of 5 s, or a PNG")
    group.add_argument(
        "--realtime",
        action="store_true",
        help="keep time, for a player behind -o -: frames that would be late are made by lighter models or bicubic; IN "
        "may be a camera (/dev/video0), an address (rtsp://...) or a named pipe too",
    )


def split(arguments: argparse.Namespace, naming: Naming, folders: FolderSearch) -> tuple[list[VideoTask], list[str]]:
    """The videos among the inputs, each with its output, and the other inputs.

    Raises WrongCallError for an output that cannot be that of all of them.
    """
    output = naming.output
    single = output is not None and (_names_video(output) or (arguments.preview and not is_folder(Path(output))))
    tasks, others = [], []
    for text in arguments.inputs:
        found = list(_videos(text, arguments, single, folders))
        tasks += [VideoTask(video.path, output if single and output else _target(video, naming)) for video in found]
        both = not single and (is_folder(Path(text)) or (glob.has_magic(text) and not is_video_name(text)))
        if not found or both:
            others.append(text)
    if not tasks:
        given = [name for name in _OPTIONS if getattr(arguments, name) not in (None, False)]
        if given:
            raise WrongCallError(f"--{given[0].replace('_', '-')} is for videos, but no input is one")
    elif arguments.region is not None:
        raise WrongCallError(f"--region is for images, but {tasks[0].source} is a video; leave it out, or the video")
    if tasks and not single and output is not None and names_file(output):
        raise WrongCallError(
            f"{output}: a video cannot be written as {Path(output).suffix}; use one of {' '.join(CONTAINERS)}, or for "
            f"a folder of this name {output}/"
        )
    if single and tasks:
        if len(tasks) > 1 or others:
            raise WrongCallError(f"{output}: names one video, but the input is several; name a folder with -o")
        return tasks, []
    _check_clashes(tasks)
    return tasks, others


class VideoRun:
    """Makes videos one after the other; reports what is made and what fails."""

    def __init__(self, arguments: argparse.Namespace, models: Models, report: Report) -> None:
        self._arguments, self._models, self._report = arguments, models, report
        self._existing = ExistingResults(arguments, models)
        self._facts: dict[str, Any] = {}  # what JSON tells of the video at hand
        # file of what is done, the seconds that it holds, and when it was changed before
        self._part: tuple[Path, float, int] | None = None
        self._pace: Pace | None = None  # of the video at hand, as far as it was made

    def make(self, tasks: Sequence[VideoTask]) -> None:
        """Make all; raises StopError for what concerns them all."""
        for task in tasks:
            if self._existing.keep_video(task.source, task.target):
                self._report.there(_source(task), task.target)
                continue
            fault = self._try(task)
            if fault is not None:
                self._report.failed(fault, _source(task), _target_name(task))

    def _try(self, task: VideoTask) -> str | None:
        """Make one video; returns what went wrong."""
        try:
            self._one(task)
        except StopError:
            raise
        except KeyboardInterrupt:
            if self._pace is not None:
                self._report.say(f"{_source(task)}: {self._pace}")
            if task.target != PIPE:
                self._tell_stopped(task)
            raise
        except FastsrError as error:
            if task.target == PIPE:
                abandon(sys.stdout)  # half a frame may wait in its buffer, and nobody for it
                if self._arguments.realtime and isinstance(error.__cause__, BrokenPipeError):
                    facts = {"frames": 0, **self._facts, **_told(self._pace)}
                    self._report.made(_source(task), _target_name(task), **facts)
                    return None  # the player was closed, which is how watching ends
            text = str(error)
            named = text.startswith((f"{_source(task)}:", f"{task.target}:"))
            return text if named else f"{_source(task)}: {text}"
        except MemoryError:
            return f"{_source(task)}: not enough memory; try a smaller --tile or --scale"
        except Exception as error:  # whatever one video causes, the others are made
            return f"{_source(task)}: failed ({type(error).__name__}: {error}); report it"
        return None

    def _tell_stopped(self, task: VideoTask) -> None:
        """Say what a stopped run has left, and how to go on."""
        if self._part is not None and changed(self._part[0]) != self._part[2]:
            path, seconds, _ = self._part
            self._report.say(f"{path}: the first {duration(seconds)}, which is what is done")
        if task.source != PIPE:
            self._report.say(f"{task.target}: to go on where it was stopped: {self._arguments.call}")

    def _say_warnings(self, caught: Sequence[warnings.WarningMessage]) -> None:
        for warning in caught:
            if warning.category is RuntimeWarning:
                self._report.say(str(warning.message))

    def _one(self, task: VideoTask) -> None:
        a = self._arguments
        folder = Path(task.target).parent
        if task.target != PIPE:
            if mode(Path(task.target)) and not is_file(Path(task.target)):
                raise VideoError(f"{task.target}: is not a plain file; remove it or choose another output")
            check_folder(folder)
        if a.dry_run:
            self._report.made(_source(task), _target_name(task))
            return
        facts = self._made(task, folder)
        self._report.made(_source(task), _target_name(task), **facts)

    def _made(self, task: VideoTask, folder: Path) -> dict[str, Any]:
        """Make one video; returns what JSON tells of it."""
        from fastsr.video.upscale_video import upscale_video
        from fastsr.video.video_size import size_of

        a, begun = self._arguments, time.monotonic()
        facts = self._facts = {}
        self._pace = self._part = None

        def model(width: int, height: int) -> Upscaler:
            chosen = self._models.fitting_video(width, height)
            facts["source_size"] = (width, height)
            facts["size"] = output_size(width, height, a.scale, a.size, chosen.scale)
            facts.update(model=chosen.name, engine=chosen.engine, precision=chosen.precision)
            return chosen

        def progress(now: Progress) -> None:
            bar.show(now)
            if now.pace is not None:
                self._pace = now.pace
                facts["frames"] = now.frames

        def interrupted(part: Path, seconds: float) -> None:
            bar.close()
            self._part = part, seconds, changed(part)
            self._report.say(f"{task.target}: stopped; what is done is put together (Ctrl-C again stops at once)")

        options = {name: getattr(a, name) for name in _OPTIONS}
        bar = _Bar(task.source, self._report.shows_progress)
        caught: list[warnings.WarningMessage] = []
        try:
            with made_folder(folder), bar, warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", RuntimeWarning)
                result = upscale_video(
                    task.source,
                    task.target,
                    model=model,
                    scale=a.scale,
                    size=a.size,
                    progress=progress,
                    interrupted=interrupted,
                    cluster=a.cluster,
                    any_device=a.any_device,
                    **options,
                )
        except KeyboardInterrupt:
            self._say_warnings(caught)
            raise
        self._say_warnings(caught)
        if Path(task.target).suffix.lower() in CONTAINERS:  # what sides were rounded up to
            facts["size"] = size_of(task.target)
        told = _told(result.pace)
        return {**facts, "frames": result.frames, **told, "seconds": round(time.monotonic() - begun, 3)}


def _source(task: VideoTask) -> str:
    return STANDARD_INPUT if task.source == PIPE else without_password(task.source)


def _told(pace: Pace | None) -> dict[str, Any]:
    """What JSON and the last line tell of how frames were made in time."""
    return {} if pace is None else {**dataclasses.asdict(pace), "how": str(pace)}


def _target_name(task: VideoTask) -> str:
    return STANDARD_OUTPUT if task.target == PIPE else task.target


class _Bar:
    """Progress on a terminal: frames, frames a second, time left, real-time factor."""

    def __init__(self, name: str, shown: bool) -> None:
        disabled = None if shown else True
        self._bar = terminal_bar(disabled, unit="frame", desc=printable(Path(name).name), leave=False)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take it away."""
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


@dataclasses.dataclass(frozen=True)
class _Video:
    path: str
    relative: Path  # where its result lies in an output folder
    root: str | None = None  # the folder it was found in


def _videos(text: str, arguments: argparse.Namespace, single: bool, folders: FolderSearch) -> Iterator[_Video]:
    """The videos that an input stands for."""
    path = Path(text)
    if text == PIPE:
        if not standard_input_is_image(arguments):
            yield _Video(text, Path(f"standard-input{FALLBACK_VIDEO}"))
    elif _is_live(text, arguments):
        yield _Video(text, Path(f"live{FALLBACK_VIDEO}"))
    elif text and is_image_sequence(text):
        yield _Video(text, Path(f"sequence{FALLBACK_VIDEO}"))
    elif text and is_folder(path):
        found = folders.contents(text.rstrip("/") or "/").videos
        if single and not found:
            yield _Video(text, Path(path.name + FALLBACK_VIDEO))
        for name, relative in found:
            yield _Video(name, Path(relative), text)
    elif text and not mode(path) and glob.has_magic(text):
        root, parts = globs.split(text)
        for match in globs.matches(root, parts) if parts else ():
            if is_video_name(match.name) and is_file(match):
                yield _Video(str(match), Path(match.name))
    elif is_video_name(text) or (path.suffix.lower() == ".gif" and single and _as_video(arguments)):
        yield _Video(text, Path(path.name))


def _is_live(text: str, arguments: argparse.Namespace) -> bool:
    """Whether an input is an address, or with --realtime a camera or a named pipe, which else may hold an image."""
    if is_url(text):
        return bool(arguments.realtime) or not text.lower().startswith("http")
    path = Path(text)
    return bool(arguments.realtime) and bool(mode(path)) and not is_file(path) and not is_folder(path)


def _as_video(arguments: argparse.Namespace) -> bool:
    """Whether a GIF becomes a video: to a pipe it goes as an image, unless an option that only videos have is given."""
    return arguments.output != PIPE or any(getattr(arguments, name) not in (None, False) for name in _OPTIONS)


def _target(video: _Video, naming: Naming) -> str:
    """The file of a result that was not named itself."""
    path = Path(video.path)
    suffix = video_suffix(Path(video.relative), naming.suffix)
    if naming.output is not None:
        return str(Path(naming.output) / video.relative.with_name(f"{video.relative.stem}{naming.mark}{suffix}"))
    if video.root is not None:
        return str(folder_beside(video.root, naming.mark) / video.relative.with_suffix(suffix))
    if video.path == PIPE or is_image_sequence(video.path):
        what = "standard input" if video.path == PIPE else video.path
        raise WrongCallError(f"{what}: is a video without a name; name the output with -o")
    return str(beside(path, naming.mark, suffix))


def _check_clashes(tasks: Sequence[VideoTask]) -> None:
    taken: dict[str, str] = {}
    for task in tasks:
        place = os.path.realpath(task.target)
        if place in taken:
            raise WrongCallError(f"{task.source}: its result {task.target} is also that of {taken[place]}; rename one")
        taken[place] = task.source
