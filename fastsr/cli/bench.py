"""The command `fastsr bench`: how fast a video would be enlarged here, and three commands that do it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsr.cli.durations import duration
from fastsr.cli.models import Models
from fastsr.upscaler import Upscaler
from fastsr.video_formats import CODECS, CONTAINERS

if TYPE_CHECKING:
    from fastsr.video.ways import Way, Ways

# options that the commands take over, and what stands for none
_SHARED = {"scale": None, "blend": 1.0, "device": "auto", "precision": "auto", "engine": "auto"}
_SHARED |= {"tile": None, "overlap": None, "memory": None}
_OF_FILES = {"codec": None, "crf": None, "preset": None}


def add_parser(commands: Any, shared: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to a parser's subcommands; `shared` adds the options of models and devices."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast a video would be enlarged",
        usage="%(prog)s IN [options]",
        description="Decode, enlarge and encode frames of a video, each alone and all at once; then say how to make "
        "the whole video in real time, fast and as well as can be, and how long each takes. Nothing is written.",
    )
    parser.add_argument("input", metavar="IN", help="a video")
    parser.add_argument("--frames", type=int, default=120, help="how many to measure with (default: 120)")
    parser.add_argument("--codec", choices=CODECS, help="default: h264")
    parser.add_argument("--crf", type=float)
    parser.add_argument("--preset")
    shared(parser)


def bench(arguments: argparse.Namespace, models: Models) -> str:
    """The text that `fastsr bench` prints. Raises FastsrError."""
    from fastsr.video.benchmark import measure
    from fastsr.video.codecs.encoder_request import EncoderRequest
    from fastsr.video.ways import measured

    a = arguments
    used: list[Upscaler] = []

    def chosen(width: int, height: int) -> Upscaler:
        used.append(models.fitting_video(width, height))
        return used[-1]

    request = EncoderRequest(a.codec, a.crf, a.preset)
    rates = measure(a.input, chosen, a.frames, request, a.scale)
    load = None if a.model is not None else lambda name: models.load(name, video=True)
    ways = measured(a.input, rates, used[-1], load, a.frames, request, a.scale)
    return f"{rates.table()}\n\n{_advice(ways, arguments)}"


def _advice(ways: Ways, arguments: argparse.Namespace) -> str:
    """Three commands, each with how long it takes."""
    whole = "the whole video" if ways.frames is not None else "each minute of the video"
    played = (60 * ways.rate if ways.frames is None else ways.frames) / ways.rate
    rows = [
        ("real time", ways.in_real_time, _command(arguments, None, "-o - --realtime") + " | mpv -"),
        ("fast", ways.fast, _command(arguments, ways.fast)),
        ("best", ways.best, _command(arguments, ways.best)),
    ]
    lines = [f"{whole}, which plays for {duration(played)}, would take:"]
    for name, way, command in rows:
        seconds = ways.seconds(way)
        lines.append(f"{name:<9} {duration(seconds):>9}  {played / seconds:6.2g}x real time  {command}")
    lines.append(_kept_time(ways))
    return "\n".join(lines)


def _kept_time(ways: Ways) -> str:
    """What real time costs here, or that it is out of reach."""
    pace = ways.in_real_time.pace
    assert pace is not None
    made = sum(pace.made_by.values()) or 1
    shares = ", ".join(f"{count / made:.0%} by {name}" for name, count in pace.made_by.items() if count)
    if ways.keeps_time:
        return f"in real time, frames would be made {shares}"
    reached = 1 / ways.in_real_time.frame_seconds
    return f"real time is out of reach here: {reached:.1f} frames/s of {ways.rate:.3g}, made {shares}"


def _command(arguments: argparse.Namespace, way: Way | None, more: str = "") -> str:
    """A call of `fastsr upscale` for a way to make a file; None = for none."""
    a = arguments
    options = {name: getattr(a, name) for name in _SHARED if getattr(a, name) != _SHARED[name]}
    named = a.model if way is None or way.model == Path(a.model or "").stem else way.model
    if named is not None:
        options["model"] = named
        if named == a.model and a.realism is not None:
            options["realism"] = a.realism
    if way is not None:
        options |= {name: getattr(a, name) for name in _OF_FILES if getattr(a, name) != _OF_FILES[name]}
        options |= {} if way.preset is None else {"preset": way.preset}
        if a.codec is None and CONTAINERS.get(Path(a.input).suffix.lower(), ("", "h264"))[1] != "h264":
            options["format"] = "mkv"  # what was measured is H.264
    words = ["fastsr", "upscale", a.input, *more.split()]
    for name, value in options.items():
        words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)
