"""A server of the page, in a process of its own, as `fastsr serve` starts it."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_SECONDS = 120  # a busy machine takes long to import Gradio
PATIENT = {"timeout": 120}  # of clients, whose own 5 seconds are too few for one


@contextlib.contextmanager
def serving(folder, *options, **environment):
    """The address of a server on a free port that keeps its files in `folder`, and its process."""
    command = [sys.executable, "-m", "fastsr", "serve", "--port", "0", "--folder", str(folder), *options]
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
    variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), variables.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        command,
        cwd=folder.parent,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("fastsr is at "):
                break
        watchdog.cancel()
        assert process.poll() is None, "".join(said)
        assert said[-1].startswith("fastsr is at "), "".join(said)
        threading.Thread(target=process.stdout.read, daemon=True).start()  # so that it never waits for a reader
        yield said[-1].split()[3].rstrip("/"), process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
