"""The command `fastsr` in tests: called in this process, as a process of its own, and on a terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path

from fastsr.cli.command import main

ROOT = Path(__file__).parents[2]


def runner(capsys, *defaults):
    """Runs `fastsr upscale` here: exit code, standard output and error; with `defaults` unless a model is named."""

    def run(*arguments):
        chosen = [] if "--model" in arguments else defaults
        code = main(["upscale", *map(str, arguments), *chosen])
        done = capsys.readouterr()
        assert "Traceback" not in done.err
        return code, done.out, done.err

    return run


def tree(folder="."):
    """All files and folders below, as text."""
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*"))


def files(folder="."):
    return [name for name in tree(folder) if (Path(folder) / name).is_file()]


def start(*arguments, **options):
    """The command as its own process, where Ctrl-C works even if the tests run in the background."""
    default = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fastsr", *map(str, arguments)]
    return subprocess.Popen(command, preexec_fn=default, env=environment, text=True, **options)


def finish(*arguments, **options):
    with start(*arguments, stdout=options.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, **options) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def on_terminal(*arguments):
    """What the command shows on a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    shown = b""
    with start(*arguments, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        while select.select([ours], [], [], 60)[0]:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # Linux tells the end of a terminal so
                break
    os.close(ours)
    assert process.returncode == 0
    return shown.decode()
