"""The command `fastsr export`: a model as ONNX in the types of a precision, or as a TensorRT engine."""

from __future__ import annotations

import argparse
import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastsr import files
from fastsr.cli.sizes import size_of_option
from fastsr.errors import FastsrError, ModelError
from fastsr.importing import lookup
from fastsr.network import catalog
from fastsr.progress_bar import progress_bar

if TYPE_CHECKING:
    from fastsr.engines.gpu.discovery import Gpu
    from fastsr.engines.tensorrt.distributions import Distribution
    from fastsr.network.graph import Graph

PRECISIONS = ("fp32", "fp16", "bf16", "int8", "fp8")  # as strong_typing.PRECISIONS, without its imports


def add_parser(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "export",
        help="write a model as ONNX or as a TensorRT engine",
        description="Write a model as ONNX, or build a TensorRT engine ahead of time: with --target-sm on any "
        "machine, for any card that TensorRT-RTX lists.",
    )
    parser.add_argument("model", metavar="MODEL", help="model name or file")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--onnx", action="store_true", help="as ONNX")
    kind.add_argument("--tensorrt", action="store_true", help="as a TensorRT engine")
    parser.add_argument("--precision", choices=PRECISIONS, help="(default: fp16; with --onnx the file as it is)")
    parser.add_argument("--target-sm", metavar="SM,...", help="compute capabilities to build for, as 8.6,8.9,12.0")
    parser.add_argument("--max-size", metavar="WxH", help="largest image the engine takes at once (default 1920x1088)")
    parser.add_argument("--max-batch", type=int, help="most images it takes at once (default 4)")
    parser.add_argument("-o", "--output", metavar="OUT", help="file (default: MODEL-PRECISION.onnx or .engine here)")


def export(arguments: argparse.Namespace) -> str:
    """Do as the command line says; returns a line that tells what was written. Raises FastsrError."""
    only_engines = {"--target-sm": arguments.target_sm, "--max-size": arguments.max_size}
    for option, value in {**only_engines, "--max-batch": arguments.max_batch}.items():
        if value is not None and arguments.onnx:
            raise FastsrError(f"{option} is for engines; leave it out, or use --tensorrt")
    if arguments.model in catalog.INTERPOLATIONS:
        raise ModelError(f"{arguments.model!r} is a filter without weights; export a model: fastsr models lists them")
    path = lookup.find(arguments.model)
    from fastsr.network import onnx_reader

    network = onnx_reader.read(path, as_stored=arguments.onnx and arguments.precision is None)
    precision = arguments.precision or (None if arguments.onnx else "fp16")
    name = re.sub(r"[^\w .()+-]", "_", network.name)[:100]  # a file may call itself anything
    name = name if precision is None else f"{name}-{precision}"
    target = Path(arguments.output or f"{name}.{'onnx' if arguments.onnx else 'engine'}")
    _check_target(target, path)
    if arguments.onnx:
        from fastsr.network import exported_onnx

        data = network.serialized if precision is None else exported_onnx.form(network, precision).SerializeToString()
        _write(target, data)
        return f"{target}: {_size(data)}, {precision or 'as it is'}"
    data, what = _engine(network, precision or "fp16", arguments)
    _write(target, data)
    return f"{target}: {_size(data)}, {what}"


def _engine(network: Graph, precision: str, arguments: argparse.Namespace) -> tuple[bytes, str]:
    """The content of an engine file, and what is in it."""
    from fastsr.engines.tensorrt import engine_file, exported_engine
    from fastsr.engines.tensorrt.builder import MOST, build, default_profile, for_windows
    from fastsr.engines.tensorrt.network import describe
    from fastsr.network.output_head import without_output_head

    height, width = MOST[1:] if arguments.max_size is None else _sides(arguments.max_size)
    batch = MOST[0] if arguments.max_batch is None else arguments.max_batch
    if batch < 1:
        raise FastsrError(f"--max-batch {batch} is not a number of images; use 1 or more")
    profile = for_windows(network, default_profile(network, batch, height, width))
    headless = without_output_head(network)  # what it takes off, the store does when the engine is loaded
    distribution, targets, gpu = _builder(arguments.target_sm)
    with progress_bar(network.name, "step") as report:
        engine = build(distribution, headless.body, precision, profile, targets, report)
    description = describe(headless.body, precision, profile, distribution, targets, gpu)
    description |= exported_engine.described(network, headless)
    where = f"SM {', '.join(targets)}" if gpu is None else gpu.name
    most = f"{profile.most[0]} x {profile.most[2]}x{profile.most[1]}"
    return engine_file.pack(description, engine), f"{precision}, up to {most}, by {distribution.title} for {where}"


def _builder(target_sm: str | None) -> tuple[Distribution, tuple[str, ...], Gpu | None]:
    """Who builds the engine, for which compute capabilities, or for which GPU."""
    from fastsr.engines.gpu import discovery
    from fastsr.engines.tensorrt import distributions

    if target_sm is not None:
        targets = tuple(dict.fromkeys(sm.strip() for sm in target_sm.split(",")))
        odd = [sm for sm in targets if not re.fullmatch(r"\d{1,2}\.\d", sm)]
        if odd:
            raise FastsrError(f"--target-sm {odd[0]!r} is no compute capability; write them as 8.6,8.9,12.0")
        distribution = distributions.find("tensorrt_rtx")
        for sm in targets:
            distribution.target(sm)
        return distribution, targets, None
    try:
        gpu = discovery.find()
    except FastsrError as error:
        raise FastsrError(f"{error}; to build for GPUs elsewhere, name them: --target-sm 8.6,8.9,12.0") from None
    distribution = distributions.choose(gpu)
    return (distribution, (gpu.sm,), None) if distribution.targets else (distribution, (), gpu)


def _sides(text: str) -> tuple[int, int]:
    """Height and width."""
    width, height = size_of_option("--max-size", text)
    if not width or not height:
        raise FastsrError(f"--max-size {text!r} is not a size of at least 1 pixel; write it as 1920x1080")
    return height, width


def _check_target(target: Path, model: Path) -> None:
    """Raise FastsrError, before the work rather than after it, where the result could not be written."""
    try:
        same = target.exists() and target.samefile(model)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise FastsrError(files.write_failure(target, error)) from None
    if same:
        raise FastsrError(f"{target}: is the model itself; choose another name with -o")
    fault = None
    if target.is_dir():
        fault = errno.EISDIR
    elif not target.parent.is_dir():
        fault = errno.ENOENT
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        fault = errno.EACCES
    if fault is not None:
        raise FastsrError(files.write_failure(target, OSError(fault, os.strerror(fault))))


def _write(target: Path, data: bytes) -> None:
    try:
        files.replace(target, data)
    except OSError as error:
        raise FastsrError(files.write_failure(target, error)) from error


def _size(data: bytes) -> str:
    return f"{len(data) / 1e6:.1f} MB" if len(data) >= 1e6 else f"{len(data) / 1e3:.0f} kB"
