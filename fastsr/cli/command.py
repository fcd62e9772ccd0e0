"""The command `fastsr`: upscale files and folders, list and import models, measure, export."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import errno
import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tqdm import tqdm

import fastsr
from fastsr import images
from fastsr.cli import export, model_list, videos
from fastsr.cli.console import libraries_silenced, printable, say, settle_streams, write
from fastsr.cli.folders import check_folder, made_folder
from fastsr.cli.inputs import Task, is_file, mode, names_file, plan
from fastsr.cli.models import Models, StopError
from fastsr.cli.sizes import size_of_option
from fastsr.engines.protocol import DEVICES, PRECISIONS
from fastsr.engines.registry import REGISTRY, current_name
from fastsr.errors import FastsrError, ImageError
from fastsr.loading import checked_realism
from fastsr.output_size import output_size
from fastsr.progress_bar import progress_bar
from fastsr.tiling.bounds import checked as checked_bounds
from fastsr.upscaler import Upscaler
from fastsr.video_formats import CONTAINERS, PIPE

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class _Parser(argparse.ArgumentParser):
    """Prints as the rest of the command does."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        if message and not write(message, file or sys.stderr) and file is sys.stdout:
            raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fastsr", description="Super-resolution of photos and video.")
    parser.add_argument("--version", action="version", version=f"fastsr {fastsr.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser(
        "upscale",
        help="enlarge images and videos",
        description="Enlarge images and videos, folders of them, globs. Put -- before names that begin with a dash.",
    )
    up.add_argument("inputs", nargs="+", metavar="IN", help="image, video, folder (searched through) or glob")
    up.add_argument("-o", "--output", required=True, metavar="OUT", help="file (for one input) or folder")
    _add_model(up)
    up.add_argument("--size", metavar="WxH", help="exact size of the result, in pixels")
    formats = sorted(suffix[1:] for suffix in (*images.SUFFIXES, *CONTAINERS))
    up.add_argument("--format", type=str.lower, choices=formats, help="of results in a folder (default: the source's)")
    up.add_argument("--quality", type=int, help="1 to 100, for JPEG, WebP and AVIF")
    up.add_argument("--force", action="store_true", help="make results again that exist already")
    up.add_argument("--allow-huge", action="store_true", help="accept images over Pillow's bomb limit")

    videos.add_arguments(up)

    model_list.add_parsers(commands)
    videos.add_bench(commands, _add_model)
    export.add_parser(commands)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    """The options that say which model enlarges how much, and on what."""
    parser.add_argument("--model", help="model name or file (default: the shipped one that fits the scale)")
    parser.add_argument(
        "--realism", type=float, metavar="0..1", help="of adversarial models: 0 faithful, 1 most detail"
    )
    parser.add_argument("--scale", type=float, help="factor along each axis (default: the model's)")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--engine", type=current_name, choices=("auto", *REGISTRY), default="auto")
    parser.add_argument("--tile", type=int, help="side of the windows large images are cut into (bounds the memory)")
    parser.add_argument(
        "--overlap", type=int, metavar="N", help="border of windows where less than what a pixel depends on will do"
    )
    parser.add_argument("--memory", metavar="SIZE", help="what a run may take beyond image and result, as 2G")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 only when everything was done)."""
    settle_streams()
    with _only_our_warnings():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parser().parse_args(argv)
        if arguments.command == "models":
            return 0 if say(model_list.models(arguments)) else 1
        with _one_interrupt():
            if arguments.command == "import":
                return 0 if say(model_list.import_models(arguments)) else 1
            if arguments.command == "export":
                return 0 if say(export.export(arguments)) else 1
            if arguments.command == "bench":
                arguments.size = None
                return 0 if say(videos.bench(arguments, Models(arguments))) else 1
            return _upscale(arguments)
    except FastsrError as error:
        say(f"fastsr: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("fastsr: interrupted; finished images are kept, no partial one is left", sys.stderr)
        return INTERRUPTED


@contextlib.contextmanager
def _only_our_warnings() -> Iterator[None]:
    """Say what fastsr warns of in our form, and leave out what other libraries do, unless Python was told otherwise."""
    if sys.warnoptions:
        yield
        return
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # without any, Python prints what is logged
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = _say_warning
        yield


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"fastsr: {message}", sys.stderr)


@contextlib.contextmanager
def _one_interrupt() -> Iterator[None]:
    """Take Ctrl-C pressed several times in a second as one, so that it does not stop the cleaning up."""
    last = -1.0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if last < 0 or time.monotonic() - last > 1:
            last = time.monotonic()
            raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if last < 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        else:  # stays, for the process is ending, and Python would let a late press kill it
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _check(arguments: argparse.Namespace) -> None:
    """Raise FastsrError for values that no image can be made with; reads `size`."""
    if not arguments.output:
        raise FastsrError("-o is the empty text; name a file or a folder")
    if arguments.quality is not None and not 1 <= arguments.quality <= 100:
        raise FastsrError(f"--quality {arguments.quality} is not between 1 and 100")
    if arguments.tile is not None and arguments.tile < 1:
        raise FastsrError(f"--tile {arguments.tile} is not a number of pixels; use 256 or so")
    checked_bounds(None, arguments.overlap, arguments.memory)
    arguments.size = None if arguments.size is None else size_of_option("--size", arguments.size)
    output_size(1, 1, arguments.scale, arguments.size, 1)
    checked_realism(arguments.realism)


def _upscale(arguments: argparse.Namespace) -> int:
    _check(arguments)
    models = Models(arguments)
    video_tasks, arguments.inputs = videos.split(arguments)
    image_run, video_run = _ImageRun(arguments, models), videos.VideoRun(arguments, models)
    try:
        if arguments.inputs:
            image_run.make_all()
        video_run.make(video_tasks)
    finally:
        faults = image_run.faults + video_run.faults
        for fault in [*dict.fromkeys(image_run.notes), *faults]:
            say(f"fastsr: {fault}", sys.stderr)
    parts = [f"{image_run.made + video_run.made} made"]
    if image_run.there + video_run.there:
        parts.append(f"{image_run.there + video_run.there} already there (--force makes them again)")
    if faults:
        parts.append(f"{len(faults)} failed")
    # standard output may carry the frames
    say(", ".join(parts), sys.stderr if arguments.output == PIPE else None)
    return 1 if faults else 0


class _ImageRun:
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


if __name__ == "__main__":
    sys.exit(main())
