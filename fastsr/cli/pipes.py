"""Images through standard input and output."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from fastsr import images, standard_input
from fastsr.cli.console import abandon
from fastsr.cli.wrong_call import WrongCallError
from fastsr.errors import ImageError
from fastsr.images.decoded_image import DecodedImage, Frame
from fastsr.images.detection import HEAD_BYTES, format_of
from fastsr.images.formats import by_name
from fastsr.video_formats import CONTAINERS, is_image_sequence

STANDARD_INPUT, STANDARD_OUTPUT = "standard input", "standard output"

_Y4M = b"YUV4MPEG2"
_LOOKED_AT = 32  # bytes: enough for any format's mark, and fewer than a y4m has before its first frame


def standard_input_is_image(arguments: argparse.Namespace) -> bool:
    """Whether standard input holds an image, not a video: by what else was asked for, then by its first bytes."""
    output = arguments.output
    as_video = output is not None and (is_image_sequence(output) or Path(output).suffix.lower() in CONTAINERS)
    if as_video or arguments.raw_size is not None or arguments.raw or arguments.realtime:
        return False
    head = standard_input.peek(_LOOKED_AT)[:HEAD_BYTES]
    if head.startswith(_Y4M):
        return False
    # what is neither goes to the one that the output asks for: to a pipe it may be a video, to a file an image
    return format_of(head, "standard-input.tga") is not None or (output is not None and output != "-")


class StandardInput:
    """Standard input as a file that `images.read` takes, by a name that messages can use."""

    name = STANDARD_INPUT

    def read(self) -> bytes:
        """All bytes."""
        return standard_input.taken() + sys.stdin.buffer.read()


def check_standard_output() -> None:
    """Raise WrongCallError where the bytes of an image would be shown on a terminal."""
    if sys.stdout.isatty():
        raise WrongCallError(f"{STANDARD_OUTPUT} is a terminal; redirect it, or name a file with -o")


def write_standard_output(
    image: DecodedImage, frames: list[Frame], kind: str, quality: int | None, compress: bool
) -> None:
    """Write an image to standard output, once it is encoded whole. Raises ImageError."""
    with tempfile.TemporaryDirectory(prefix="fastsr-") as folder:
        path = Path(folder, f"image{by_name(kind).suffixes[0]}")
        try:
            images.write(image, frames, path, format=kind, quality=quality, compress=compress)
        except ImageError as error:
            raise ImageError(str(error).replace(str(path), STANDARD_OUTPUT, 1)) from error.__cause__
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
        except OSError as error:
            abandon(sys.stdout)
            raise ImageError(f"{STANDARD_OUTPUT}: cannot be written ({error.strerror}); redirect it") from error
