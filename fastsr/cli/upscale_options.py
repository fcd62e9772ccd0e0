"""The options of `fastsr upscale`: which there are, and whether their values make sense."""

from __future__ import annotations

import argparse
from typing import Any

from fastsr import images
from fastsr.cli import videos
from fastsr.cli.sizes import size_of_option
from fastsr.engines.protocol import DEVICES, PRECISIONS
from fastsr.engines.registry import REGISTRY, current_name
from fastsr.errors import FastsrError
from fastsr.loading import checked_blend, checked_realism
from fastsr.output_size import output_size
from fastsr.tiling.bounds import checked as checked_bounds
from fastsr.video_formats import CONTAINERS


def add_parser(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    up = commands.add_parser(
        "upscale",
        help="enlarge images and videos",
        description="Enlarge images and videos, folders of them, globs. Put -- before names that begin with a dash.",
    )
    up.add_argument("inputs", nargs="+", metavar="IN", help="image, video, folder (searched through) or glob")
    up.add_argument("-o", "--output", required=True, metavar="OUT", help="file (for one input) or folder")
    add_model_options(up)
    up.add_argument("--size", metavar="WxH", help="exact size of the result, in pixels")
    formats = sorted(suffix[1:] for suffix in (*images.WRITTEN_SUFFIXES, *CONTAINERS))
    up.add_argument("--format", type=str.lower, choices=formats, help="of results in a folder (default: the source's)")
    up.add_argument("--quality", type=int, help="1 to 100, for JPEG, WebP and AVIF")
    up.add_argument("--force", action="store_true", help="make results again that exist already")
    up.add_argument("--allow-huge", action="store_true", help="accept images over Pillow's bomb limit")

    videos.add_arguments(up)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which model enlarges how much, and on what."""
    parser.add_argument("--model", help="model name or file (default: the shipped one that fits the scale)")
    parser.add_argument(
        "--realism", type=float, metavar="0..1", help="of adversarial models: 0 faithful, 1 most detail"
    )
    parser.add_argument(
        "--blend",
        type=float,
        default=1.0,
        metavar="0..1",
        help="share of the model's result; the rest is bicubic's",
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


def check(arguments: argparse.Namespace) -> None:
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
    checked_blend(arguments.blend)
