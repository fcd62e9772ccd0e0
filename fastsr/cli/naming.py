"""What results are called: whether an output is a file or a folder, and names where none was given."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

from fastsr import images
from fastsr.cli.wrong_call import WrongCallError
from fastsr.images.detection import HEAD_BYTES, format_of
from fastsr.output_size import region_text, size_text
from fastsr.video_formats import CONTAINERS, INPUT_SUFFIXES

FALLBACK_VIDEO = ".mkv"  # holds nearly all streams; for results of inputs whose own container cannot be written
_FALLBACK_IMAGE = ".png"

_EXTENSION = re.compile(r"\.[a-z][a-z0-9]{1,4}")  # looks like one, where "v1.5" does not


def names_file(output: str) -> bool:
    """Whether an output is meant as a file: it ends as files do, in no slash, and is no folder that is there."""
    if output.endswith(os.sep) or os.path.isdir(output):  # noqa: PTH112 - no error for a name of any length
        return False
    suffix = Path(output).suffix.lower()
    if suffix in images.SUFFIXES or suffix in INPUT_SUFFIXES or _EXTENSION.fullmatch(suffix):
        return True
    import mimetypes  # reads the system's tables, which takes a while

    return (mimetypes.guess_type(output)[0] or "").startswith(("image/", "video/"))


def mark_of(arguments: argparse.Namespace, scale_of_model: Callable[[], float]) -> str:
    """What is put behind the names of inputs where results lie beside them: --suffix, or what was asked for."""
    if arguments.suffix is not None:
        if "/" in arguments.suffix or "\0" in arguments.suffix:
            raise WrongCallError(f"--suffix {arguments.suffix!r} holds a slash; name a folder with -o")
        return str(arguments.suffix)
    part = "" if arguments.region is None else f"-{region_text(arguments.region)}"
    if arguments.size is not None:
        return f"-{size_text(arguments.size)}{part}"
    scale = scale_of_model() if arguments.scale is None else arguments.scale
    return f"-x{scale:g}{part}"


def beside(path: Path, mark: str, suffix: str) -> Path:
    """The result of a file where nothing says where it shall lie."""
    return path.with_name(f"{path.stem if path.suffix.lower() in _KNOWN else path.name}{mark}{suffix}")


def image_suffix(path: str, asked: str | None) -> str:
    """The suffix of an image's result: the one asked for, the source's own, or what its content can be written as."""
    own = os.path.splitext(path)[1]  # noqa: PTH122 - 100 000 times
    if asked is not None:
        return asked
    if own.lower() in images.WRITTEN_SUFFIXES:
        return own
    try:
        with open(path, "rb") as file:
            known = format_of(file.read(HEAD_BYTES), path)
    except OSError:  # it fails as it is read
        return _FALLBACK_IMAGE
    return known.suffixes[0] if known is not None and known.written else _FALLBACK_IMAGE


def video_suffix(path: Path, asked: str | None) -> str:
    """The suffix of a video's result: the one asked for, or the source's own if it can be written."""
    if asked is not None and asked in CONTAINERS:
        return asked
    return path.suffix if path.suffix.lower() in CONTAINERS else FALLBACK_VIDEO


_KNOWN = images.SUFFIXES | INPUT_SUFFIXES
