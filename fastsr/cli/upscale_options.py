"""The options of `fastsr upscale`: which there are, whether their values make sense, and what results are called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from fastsr import images
from fastsr.cli import videos
from fastsr.cli.inputs import Naming
from fastsr.cli.models import Models
from fastsr.cli.naming import mark_of, names_file
from fastsr.cli.sizes import wanted_region, wanted_size
from fastsr.cli.wrong_call import WrongCallError
from fastsr.engines.protocol import DEVICES, PRECISIONS
from fastsr.engines.registry import REGISTRY, current_name
from fastsr.errors import FastsrError
from fastsr.loading import checked_blend, checked_realism
from fastsr.output_size import output_size
from fastsr.tiling.bounds import checked as checked_bounds
from fastsr.video_formats import CONTAINERS, PIPE

_EXAMPLES = """examples:
  fastsr upscale photo.jpg                         photo-x4.jpg beside it
  fastsr upscale photo.jpg -o large.png --scale 2
  fastsr upscale photo.jpg -o part.png --region 800x600+1200+400
  fastsr upscale photos/ -o large/ --fit 3840x2160 --format webp
  fastsr upscale video.mp4 -o large.mp4
  curl -s URL | fastsr upscale - > large.png
"""


def add_parser(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    up = commands.add_parser(
        "upscale",
        help="enlarge images and videos",
        usage="%(prog)s IN [IN ...] [-o OUT] [options]",
        description="Enlarge images and videos, folders of them, globs. Put -- before names that begin with a dash.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    up.add_argument(
        "inputs", nargs="+", metavar="IN", help="image, video, folder (searched through), glob, or - for standard input"
    )
    results = up.add_argument_group("results")
    results.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="file (for one input), folder, or - for standard output (default: beside the input, as photo-x4.jpg)",
    )
    results.add_argument("--suffix", metavar="TEXT", help="put behind the names of inputs (default: -x4, or the size)")
    formats = sorted(suffix[1:] for suffix in (*images.WRITTEN_SUFFIXES, *CONTAINERS))
    results.add_argument(
        "--format",
        type=str.lower,
        choices=formats,
        metavar="NAME",
        help="of the results: png, jpg, webp, avif, tif, mp4, ... (default: the source's; to standard output png)",
    )
    results.add_argument("--quality", type=int, metavar="1..100", help="of JPEG, WebP and AVIF")
    results.add_argument(
        "--compress", action="store_true", help="take longer for smaller PNG and TIFF files of the same pixels"
    )
    again = results.add_mutually_exclusive_group()
    again.add_argument("--force", action="store_true", help="make all again, not only those that are missing or stale")
    again.add_argument("--keep", action="store_true", help="keep all that are there, stale ones too")
    told = up.add_argument_group("what is said")
    told.add_argument("--dry-run", action="store_true", help="say what would be made, and make nothing")
    told.add_argument("--quiet", action="store_true", help="print nothing but errors")
    told.add_argument("--json", action="store_true", help="print a line of JSON for each result")
    sizes = add_model_options(up)
    sizes.add_argument("--size", metavar="WxH", help="exact size of the result in pixels; one side alone: 1920x, x1080")
    sizes.add_argument("--fit", metavar="WxH", help="the largest size within a box, in the source's shape")
    sizes.add_argument(
        "--region", metavar="WxH+X+Y", help="make only this part of the result: its size, and what is left and above"
    )
    sizes.add_argument(
        "--allow-huge", action="store_true", help="read images of over 89 megapixels, too large to be trusted blindly"
    )
    cluster = up.add_argument_group("many machines")
    cluster.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="have the work done by a Ray cluster: auto (the one that runs here, or $RAY_ADDRESS), or HOST:6379",
    )
    cluster.add_argument(
        "--any-device",
        action="store_true",
        help="use GPUs of the cluster too, and models that make other bytes on other processors",
    )
    videos.add_arguments(up)


def add_model_options(parser: argparse.ArgumentParser) -> Any:
    """The options that say which model enlarges how much, and on what; returns the group of those on size."""
    sizes = parser.add_argument_group("size")
    sizes.add_argument("--scale", type=float, metavar="N", help="factor along each axis (default: the model's)")
    models = parser.add_argument_group("model")
    models.add_argument(
        "--model", metavar="NAME", help="name or file; fastsr models lists them (default: the one that fits the scale)"
    )
    models.add_argument(
        "--realism", type=float, metavar="0..1", help="of adversarial models: 0 faithful, 1 most detail"
    )
    models.add_argument(
        "--blend", type=float, default=1.0, metavar="0..1", help="share of the model's result; the rest is bicubic's"
    )
    run = parser.add_argument_group("how it is computed")
    run.add_argument("--device", choices=DEVICES, default="auto", help="(default: auto)")
    run.add_argument("--precision", choices=PRECISIONS, default="auto", help="(default: auto, on a CPU fp32)")
    run.add_argument("--engine", type=current_name, choices=("auto", *REGISTRY), default="auto", help="(default: auto)")
    run.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="side in pixels of the windows that large images are cut into (bounds the memory)",
    )
    run.add_argument(
        "--overlap",
        type=int,
        metavar="N",
        help="border of those windows in pixels, if less than the model's reach will do",
    )
    run.add_argument("--memory", metavar="SIZE", help="what a run may take beyond image and result, as 2G")
    return sizes


def with_suffix_joined(argv: Sequence[str]) -> list[str]:
    """Arguments in which `--suffix -big` is one, for argparse takes what begins with a dash for another option."""
    made: list[str] = []
    for text in argv:
        if made and made[-1] == "--suffix":
            made[-1] = f"--suffix={text}"
        else:
            made.append(text)
    return made


def check(arguments: argparse.Namespace) -> None:
    """Raise WrongCallError for values that no image can be made with.

    Makes one size of `size` and `fit`, and a box of `region`.
    """
    a = arguments
    try:
        if a.output is not None and not a.output:
            raise FastsrError("-o is the empty text; name a file or a folder")
        if a.quality is not None and not 1 <= a.quality <= 100:
            raise FastsrError(f"--quality {a.quality} is not between 1 and 100")
        if a.tile is not None and a.tile < 1:
            raise FastsrError(f"--tile {a.tile} is not a number of pixels; use 256 or so")
        if a.realtime and (a.output != PIPE or a.preview):
            raise FastsrError("--realtime is for frames that are shown at once; write them to a player, with -o -")
        if a.json and a.output == PIPE and not a.realtime:
            raise FastsrError("--json and -o - both write to standard output; give one of them")
        if a.preview and a.output is None:
            raise FastsrError("--preview needs a name for what it shows; give it with -o")
        _check_cluster(a)
        checked_bounds(None, a.overlap, a.memory)
        if a.size is not None and a.fit is not None:
            raise FastsrError("--size and --fit were both given; give one of them")
        asked = [("--size", a.size, False), ("--fit", a.fit, True)]
        found = [wanted_size(option, text, fit) for option, text, fit in asked if text is not None]
        a.size = found[0] if found else None
        output_size(1, 1, a.scale, a.size, 1)
        a.region = None if a.region is None else wanted_region(a.region)
        checked_realism(a.realism)
        checked_blend(a.blend)
    except WrongCallError:
        raise
    except FastsrError as error:
        raise WrongCallError(str(error)) from None


def _check_cluster(arguments: argparse.Namespace) -> None:
    """Raise WrongCallError for what a cluster cannot make; without --any-device, it works on processors."""
    a = arguments
    if a.cluster is None:
        if a.any_device:
            raise WrongCallError("--any-device is for --cluster; add that, or leave it out")
        return
    if not a.cluster:
        raise WrongCallError("--cluster is the empty text; name its head as HOST:6379, or auto")
    if PIPE in (*a.inputs, a.output):
        raise WrongCallError("--cluster is for files, not for standard input and output; name files")
    if a.device == "cuda":
        raise WrongCallError("--device cuda is for this machine; --cluster takes GPUs too with --any-device")
    if not a.any_device:
        a.device = "cpu"


def naming_of(arguments: argparse.Namespace, models: Models) -> Naming:
    """Where results go and what they are called. Raises WrongCallError."""
    a = arguments
    suffix = f".{a.format}" if a.format else None
    output = a.output
    if output is None and a.inputs == [PIPE]:
        output = a.output = PIPE
    if output is None:
        return Naming(None, mark_of(a, models.own_scale), suffix)
    if a.suffix is not None and (output == PIPE or names_file(output)):
        raise WrongCallError(f"--suffix is for names that are made, but {output} is named; leave one of them out")
    return Naming(output, mark_of(a, lambda: 0) if a.suffix is not None else "", suffix)
