"""The command `fastsr`: upscale files and folders, list and import models, measure, export."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import difflib
import json
import logging
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

import fastsr
from fastsr.cli import bench, completion, export, info, model_list, serve, upscale_options, videos
from fastsr.cli.console import printable, say, settle_streams, write
from fastsr.cli.folder_search import FolderSearch
from fastsr.cli.image_run import ImageRun
from fastsr.cli.models import Models
from fastsr.cli.report import Report
from fastsr.cli.wrong_call import WrongCallError
from fastsr.errors import FastsrError
from fastsr.video_formats import PIPE

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class _Parser(argparse.ArgumentParser):
    """Prints as the rest of the command does, and what is wrong with a call last."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"fastsr: {printable(message)}; {self.prog} --help tells more\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        if message and not write(message, file or sys.stderr) and file is sys.stdout:
            raise SystemExit(1)


class _CommandParser(_Parser):
    """Of one of the commands: says itself what it does not know, since only it has options like that."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = next((text.partition("=")[0] for text in unknown if text.startswith("-")), "")
            near = difflib.get_close_matches(name, self._option_string_actions, 1)
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + (f" (did you mean {near[0]}?)" if near else ""))
        return parsed, unknown


def argument_parser() -> argparse.ArgumentParser:
    """What the command understands; the completion scripts and the manual page are made from it."""
    parser = _Parser(prog="fastsr", description="Super-resolution of photos and video.")
    parser.add_argument("--version", action="version", version=f"fastsr {fastsr.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_CommandParser)

    upscale_options.add_parser(commands)
    model_list.add_parsers(commands)
    bench.add_parser(commands, upscale_options.add_model_options)
    export.add_parser(commands)
    serve.add_parser(commands)
    info.add_parser(commands)
    completion.add_parsers(commands)
    return parser


# commands that only print, and need no care when they are interrupted
_PLAIN: dict[str, Callable[[argparse.Namespace], str]] = {
    "models": model_list.models,
    "info": info.info,
    "completion": completion.script,
    "man": completion.man_page,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 only when everything was done)."""
    settle_streams()
    with _only_our_warnings():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    given = sys.argv[1:] if argv is None else argv
    arguments = argument_parser().parse_args(upscale_options.with_suffix_joined(given))
    arguments.call = shlex.join(["fastsr", *given])
    try:
        if arguments.command in _PLAIN:
            return 0 if say(_PLAIN[arguments.command](arguments)) else 1
        with _one_interrupt():
            if arguments.command == "import":
                return 0 if say(model_list.import_models(arguments)) else 1
            if arguments.command == "export":
                return 0 if say(export.export(arguments)) else 1
            if arguments.command == "serve":
                return serve.serve(arguments)
            if arguments.command == "bench":
                arguments.size = None
                return 0 if say(bench.bench(arguments, Models(arguments))) else 1
            return _upscale(arguments)
    except FastsrError as error:
        say(f"fastsr: {error}", sys.stderr)
        if getattr(arguments, "json", False):
            carries_frames = getattr(arguments, "realtime", False)
            say(json.dumps({"status": "failed", "error": str(error)}), sys.stderr if carries_frames else sys.stdout)
        return 2 if isinstance(error, WrongCallError) else 1
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


def _upscale(arguments: argparse.Namespace) -> int:
    upscale_options.check(arguments)
    models = Models(arguments)
    naming = upscale_options.naming_of(arguments, models)
    folders = FolderSearch(naming.output)
    video_tasks, arguments.inputs = videos.split(arguments, naming, folders)
    report = Report(
        quiet=arguments.quiet,
        as_json=arguments.json,
        dry_run=arguments.dry_run,
        data_on_stdout=naming.output == PIPE,
        names_results=naming.output is None,
    )
    try:
        if arguments.inputs:
            ImageRun(arguments, models, report).make_all(naming, folders)
        videos.VideoRun(arguments, models, report).make(video_tasks)
    finally:
        report.close()
    report.count()
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
