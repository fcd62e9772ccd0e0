"""A converted model compared with its source, on drawn images of odd sizes, before it is kept."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.errors import ModelError
from fastsr.importing.ncnn_to_onnx import Converted
from fastsr.importing.source import NcnnSource
from fastsr.network.graph import Graph

PATCH = 4  # pixels along a side
ODD = ((9, 13), (15, 7))  # height and width
TOLERANCE = 1e-4  # of the largest value, at least 1: floats are summed in another order, and some networks overshoot

Sizes = list[tuple[int, int]]
Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]  # 1 x C x H x W to 1 x C x sH x sW


def compared(graph: Graph, reference: Run, what: str, sizes: Sizes | None = None) -> str:
    """How far a converted model is off from what it was made of, for its card; on `sizes`, or odd ones.

    Raises ModelError where that is more than TOLERANCE.
    """
    run, random = runner(graph), np.random.default_rng(0)
    worst = 0.0
    for sides in odd_sizes(graph) if sizes is None else sizes:
        image = _drawn(random, (1, graph.channels, *sides))
        made, expected = run(image), reference(image)
        if made.shape != expected.shape:
            raise ModelError(f"{graph.path}: makes {made.shape} where {what} makes {expected.shape}; it is not kept")
        worst = max(worst, float(np.abs(made - expected).max() / max(1.0, np.abs(expected).max())))
    if not worst <= TOLERANCE:
        raise ModelError(
            f"{graph.path}: once converted it is {worst:.2g} off from {what}, where {TOLERANCE:g} is allowed; it is "
            "not kept; please report it"
        )
    return f"compared with {what}: at most {worst:.1g} off"


def odd_sizes(graph: Graph, smallest: int = 0) -> Sizes:
    """Heights and widths above `smallest`, in odd multiples of what a network's sides must be multiples of."""
    low = -(-smallest // graph.alignment)
    low += low % 2
    return [((low + height) * graph.alignment, (low + width) * graph.alignment) for height, width in ODD]


def _drawn(random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Patches of random colours with some noise: on noise alone, some networks overshoot without bounds."""
    height, width = shape[2:]
    patches = random.random((*shape[:2], -(-height // PATCH), -(-width // PATCH)), np.float32)
    image = patches.repeat(PATCH, 2).repeat(PATCH, 3)[:, :, :height, :width]
    return np.asarray(image * 0.9 + random.random(shape, np.float32) * 0.1, np.float32)


def runner(graph: Graph) -> Run:
    """ONNX Runtime where it is installed, else onnx's own evaluator, which is slow but always there."""
    with _named(graph):
        evaluator = _evaluator(graph)

    def run(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with _named(graph):
            return np.asarray(evaluator.run(None, {graph.input: image})[0], np.float32)

    return run


def _evaluator(graph: Graph) -> Any:
    if importlib.util.find_spec("onnxruntime") is None:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(graph.serialized)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.serialized, options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _named(graph: Graph) -> Iterator[None]:
    """Turn the runtimes' exceptions, which share no base, into a ModelError."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{graph.path}: the converted model does not run ({reason[:300]}); please report it") from None


def compared_with_ncnn(graph: Graph, source: NcnnSource, converted: Converted, plus_nearest: bool) -> str:
    """`compared` with the package `ncnn`, where it is installed."""
    if importlib.util.find_spec("ncnn") is None:
        return "not compared with its source: the package ncnn is not installed"
    with tempfile.TemporaryDirectory() as folder:
        network = _ncnn_network(source, Path(folder))

    def reference(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        import ncnn

        border = ((0, 0), *[(converted.border, converted.border)] * 2)
        with network.create_extractor() as extractor:
            padded = np.ascontiguousarray(np.pad(image[0], border, "edge"))
            extractor.input(converted.source_input, ncnn.Mat(padded))
            made = np.array(extractor.extract(converted.source_output)[1], np.float32)
        if plus_nearest:
            made += image[0].repeat(graph.scale, 1).repeat(graph.scale, 2)
        return made[None]

    return compared(graph, reference, f"ncnn {importlib.metadata.version('ncnn')}")


def _ncnn_network(source: NcnnSource, folder: Path) -> Any:
    import ncnn

    network = ncnn.Net()
    options = network.opt
    options.use_vulkan_compute = False
    options.num_threads = 1  # the images are small, and waiting threads would disturb each other
    for name in dir(options):  # plain arithmetic in float32
        if _is_reduced(name):
            setattr(options, name, False)
    for suffix, content in ((".param", source.param), (".bin", source.weights)):
        (folder / f"model{suffix}").write_bytes(content)
    if network.load_param(str(folder / "model.param")) or network.load_model(str(folder / "model.bin")):
        raise ModelError(f"{source.origin}: ncnn does not read it; the file is damaged")
    return network


def _is_reduced(option: str) -> bool:
    """Whether an option of ncnn lets it compute with less precision."""
    return option.startswith("use_") and any(kind in option for kind in ("fp16", "bf16", "int8", "winograd"))
