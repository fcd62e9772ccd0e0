"""A recording of a screen: `python -m benchmarks.screen_recording -o FILE [--size 480x270]`.

A page of text, code and pictures (screen_recording_page.html) is scrolled and typed in by itself, in Chromium under
Xvfb (`apt-get install chromium xvfb`); FFmpeg's x11grab captures it through PyAV, x264 encodes it at crf 18. Blocks
that do not change are skipped by the encoder, so they repeat exactly: what a screen recording is to an upscaler. Two
recordings are never the same, for the page moves in real time.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import itertools
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import PictureType, VideoFrame

from benchmarks.demo import CLIP, PHOTO
from fastsr.files import replacing

PAGE = Path(__file__).parent / "screen_recording_page.html"
SECONDS, RATE, CRF = 26, 25, 18
PATIENCE = 60  # seconds that Chromium may take until it shows the page
LATE = 0.5  # seconds that a recording may take longer than it should


class Server(http.server.ThreadingHTTPServer):
    """Serves the page and its photograph, and learns from the page when it begins to move."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.begun = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    """Three addresses: the page, its photograph, and `begun`."""

    def do_GET(self) -> None:
        """Answer one request."""
        files = {"/": (PAGE, "text/html; charset=utf-8"), "/photo.jpg": (PHOTO, "image/jpeg")}
        path, kind = files.get(self.path, (None, "text/plain"))
        if self.path == "/begun":
            assert isinstance(self.server, Server)
            self.server.begun.set()
        content = b"" if path is None else path.read_bytes()
        self.send_response(200 if path or self.path == "/begun" else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def running(*command: str, **environment: str) -> Iterator[None]:
    """A program that runs meanwhile; its output is dropped."""
    given = os.environ | environment
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=given)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def served() -> Iterator[Server]:
    """A server on a port of its own."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def shown(width: int, height: int, folder: str) -> Iterator[str]:
    """The page on a screen of its own, from where it begins to move; gives the screen's name."""
    screen = next(f":{number}" for number in range(90, 1000) if not Path(f"/tmp/.X11-unix/X{number}").exists())
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(served())
        stack.enter_context(running("Xvfb", screen, "-screen", "0", f"{width}x{height}x24", "-nocursor"))
        _waited_for(lambda: Path(f"/tmp/.X11-unix/X{screen[1:]}").exists(), "Xvfb does not start")
        options = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--kiosk", f"--user-data-dir={folder}/profile"]
        options += [f"--window-size={width},{height}", "--window-position=0,0", "--force-device-scale-factor=1"]
        address = f"http://127.0.0.1:{server.server_port}/"
        stack.enter_context(running("chromium", *options, address, DISPLAY=screen, HOME=folder))
        _waited_for(server.begun.is_set, "Chromium does not show the page")
        yield screen


def _waited_for(condition: Callable[[], bool], fault: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{fault} within {PATIENCE} seconds")
        time.sleep(0.05)


def grabbed(width: int, height: int, count: int) -> list[VideoFrame]:
    """So many frames of the moving page, 4:2:0; raises SystemExit where the machine was too busy to keep time."""
    options = {"video_size": f"{width}x{height}", "framerate": str(RATE), "draw_mouse": "0"}
    frames, times = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        shown(width, height, folder) as screen,
        av.open(screen, format="x11grab", options=options) as grabber,
    ):
        for frame in itertools.islice(grabber.decode(video=0), count):
            frames.append(frame.reformat(format="yuv420p"))
            times.append(frame.time or 0.0)
    late = times[-1] - times[0] - (count - 1) / RATE
    if late > LATE:
        raise SystemExit(f"the machine is too busy: the recording is {late:.1f} seconds behind; try again")
    return frames


def record(target: Path, width: int, height: int, seconds: float) -> int:
    """Write the recording; returns how many frames it has."""
    frames = grabbed(width, height, round(seconds * RATE))
    with replacing(target) as temporary, av.open(str(temporary), "w", format="mp4") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"crf": str(CRF), "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            frame.pict_type = PictureType.NONE  # as grabbed it asks for a key frame
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return len(frames)


def main() -> None:
    """Record, and say what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=CLIP)
    parser.add_argument("--size", default="480x270", help="of the screen, WIDTHxHEIGHT in pixels, both even")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    arguments = parser.parse_args()
    missing = [name for name in ("Xvfb", "chromium") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} not found; run: apt-get install xvfb chromium")
    width, _, height = arguments.size.partition("x")
    frames = record(arguments.output, int(width), int(height), arguments.seconds)
    print(f"{arguments.output}: {arguments.size}, {frames} frames, {arguments.output.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
