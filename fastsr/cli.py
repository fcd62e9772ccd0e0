"""The command `fastsr`: upscale files and folders, list the models, export one."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import errno
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from tqdm import tqdm

import fastsr
from fastsr import catalog, export, images
from fastsr.batch import Task, is_file, is_folder, mode, names_file, plan
from fastsr.engines.base import DEVICES, PRECISIONS, REGISTRY, Progress
from fastsr.errors import FastsrError, ImageError
from fastsr.upscaler import Upscaler, checked_realism, default_model, output_size

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class StopError(FastsrError):
    """A failure that concerns all images, so that the run ends."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastsr", description="Super-resolution of photos.")
    parser.add_argument("--version", action="version", version=f"fastsr {fastsr.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser(
        "upscale",
        help="enlarge images",
        description="Enlarge images, folders of them, globs. Put -- before names that begin with a dash.",
    )
    up.add_argument("inputs", nargs="+", metavar="IN", help="image, folder (searched through) or glob pattern")
    up.add_argument("-o", "--output", required=True, metavar="OUT", help="file (for one image) or folder")
    up.add_argument("--model", help="model name or .onnx file (default: the shipped one that fits the scale)")
    up.add_argument("--realism", type=float, metavar="0..1", help="of an adversarial model: 0 faithful, 1 most detail")
    up.add_argument("--scale", type=float, help="factor along each axis (default: the model's)")
    up.add_argument("--size", metavar="WxH", help="exact size of the result, in pixels")
    up.add_argument("--device", choices=DEVICES, default="auto")
    up.add_argument("--precision", choices=PRECISIONS, default="auto")
    up.add_argument("--engine", choices=("auto", *REGISTRY), default="auto")
    up.add_argument("--tile", type=int, help="side of the windows large images are cut into (bounds the memory)")
    formats = sorted(suffix[1:] for suffix in images.SUFFIXES)
    up.add_argument("--format", type=str.lower, choices=formats, help="of results in a folder (default: the source's)")
    up.add_argument("--quality", type=int, help="1 to 100, for JPEG, WebP and AVIF")
    up.add_argument("--force", action="store_true", help="make results again that exist already")
    up.add_argument("--allow-huge", action="store_true", help="accept images over Pillow's bomb limit")

    commands.add_parser("models", help="list the models")
    export.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 only when everything was done)."""
    try:
        arguments = _parser().parse_args(argv)
        if arguments.command == "models":
            return 0 if _say(models_table()) else 1
        with _one_interrupt():
            if arguments.command == "export":
                return 0 if _say(export.export(arguments)) else 1
            return _upscale(arguments)
    except FastsrError as error:
        _say(f"fastsr: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("fastsr: interrupted; finished images are kept, no partial one is left", sys.stderr)
        return INTERRUPTED


def _say(text: str, stream: TextIO | None = None) -> bool:
    """Print; False when nobody reads any more, after which nothing else is written there."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError as error:
        # Python flushes once more at its end, which must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            _say(f"fastsr: standard output: cannot be written ({error.strerror}); redirect it elsewhere", sys.stderr)
        return False
    return True


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


def models_table() -> str:
    """The shipped models and the interpolations, one a line."""
    rows = [("model", "scale", "PSNR (Y)", "what it is")]
    for model in catalog.models().values():
        scores = ", ".join(f"{name} {values['psnr']:.2f}" for name, values in model.scores.items())
        rows.append((model.name, f"x{model.scale}", scores, model.summary))
    rows += [(name, "any", "", "interpolation") for name in catalog.INTERPOLATIONS]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]) for row in rows)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text.lower())
    if match is None:
        raise FastsrError(f"--size {text!r} is not a size in pixels; write it as 1920x1080")
    return int(match[1]), int(match[2])


def _check(arguments: argparse.Namespace) -> None:
    """Raise FastsrError for values that no image can be made with; reads `size`."""
    if not arguments.output:
        raise FastsrError("-o is the empty text; name a file or a folder")
    if arguments.quality is not None and not 1 <= arguments.quality <= 100:
        raise FastsrError(f"--quality {arguments.quality} is not between 1 and 100")
    if arguments.tile is not None and arguments.tile < 1:
        raise FastsrError(f"--tile {arguments.tile} is not a number of pixels; use 256 or so")
    arguments.size = None if arguments.size is None else _size(arguments.size)
    output_size(1, 1, arguments.scale, arguments.size, 1)
    checked_realism(arguments.realism)


def _upscale(arguments: argparse.Namespace) -> int:
    _check(arguments)
    batch = plan(arguments.inputs, arguments.output, f".{arguments.format}" if arguments.format else None)
    for note in batch.notes:
        _say(f"fastsr: {note}", sys.stderr)
    waiting = [task for task in batch.tasks if arguments.force or not is_file(task.target)]
    run = _Run(arguments, batch.faults)
    try:
        run.make(waiting)
    finally:
        for fault in run.faults:
            _say(f"fastsr: {fault}", sys.stderr)
    parts = [f"{run.made} made"]
    if len(waiting) < len(batch.tasks):
        parts.append(f"{len(batch.tasks) - len(waiting)} already there (--force makes them again)")
    if run.faults:
        parts.append(f"{len(run.faults)} failed")
    _say(", ".join(parts))
    return 1 if run.faults else 0


class _Run:
    """Makes pictures one after the other; keeps the models, counts, and collects what fails."""

    def __init__(self, arguments: argparse.Namespace, faults: list[str]) -> None:
        self.faults = faults
        self.made = 0
        self._arguments = arguments
        self._loaded: dict[str, Upscaler] = {}

    def make(self, tasks: Sequence[Task]) -> None:
        """Make all; raises StopError for what concerns them all."""
        if tasks:
            output = Path(self._arguments.output)
            _check_folder(output.parent if names_file(self._arguments.output) else output)
            if self._arguments.model is not None:
                self._load(self._arguments.model)
        with tqdm(total=len(tasks), unit="image", desc="images", disable=None if len(tasks) > 1 else True) as bar:
            for task in tasks:
                fault = self._try(task)
                if fault is None:
                    self.made += 1
                else:
                    self.faults.append(fault)
                bar.update()

    def _try(self, task: Task) -> str | None:
        """Make one picture; returns what went wrong."""
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
        _check_folder(task.target.parent)
        picture = images.read(task.source, allow_huge=a.allow_huge)
        height, width = picture.frames[0].color.shape[:2]
        upscaler = self._upscaler(width, height)
        with tqdm(unit="tile", desc=task.source.name, leave=False, disable=None) as bar:
            frames = upscaler.enlarge(picture, a.scale, a.size, _follow(bar))
        with _folder(task.target.parent):
            images.write(picture, frames, task.target, quality=a.quality)

    def _upscaler(self, width: int, height: int) -> Upscaler:
        """The named model, or the shipped one that fits what is asked of an image of this size."""
        a = self._arguments
        if a.model is not None:
            return self._load(a.model)
        try:
            name = default_model(width, height, a.scale, a.size)
        except FastsrError as error:
            raise StopError(str(error)) from None
        return self._load(name)

    def _load(self, name: str) -> Upscaler:
        a = self._arguments
        if name not in self._loaded:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", RuntimeWarning)
                try:
                    self._loaded[name] = fastsr.load(name, a.device, a.precision, a.engine, a.tile, realism=a.realism)
                except FastsrError as error:
                    raise StopError(str(error)) from None
                except OSError as error:
                    raise StopError(f"{name}: cannot be read ({error.strerror}); check --model") from None
            for warning in caught:
                if warning.category is RuntimeWarning:
                    _say(f"fastsr: {warning.message}", sys.stderr)
        return self._loaded[name]


def _check_folder(folder: Path) -> None:
    """Raise ImageError unless a folder is there or can be made, and written into."""
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if mode(path))
    if not is_folder(there):
        raise ImageError(f"{folder}: {there} is not a folder; choose another output")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ImageError(f"{folder}: no permission to write into {there}; change its mode or choose another output")


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder; take away what was made of it when what follows fails."""
    new = [path for path in (folder, *folder.parents) if not mode(path)]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"{folder}: cannot make this folder ({error.strerror}); choose another output") from error
        yield
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def _follow(bar: tqdm[Any]) -> Progress:
    def report(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return report


if __name__ == "__main__":
    sys.exit(main())
