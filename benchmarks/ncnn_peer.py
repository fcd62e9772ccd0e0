"""A generator as an ncnn network, for benchmarks.cpu_engines: its own converter knows fewer operators than we need.

Format: https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure
"""

from __future__ import annotations

import importlib
import struct
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsr.network.graph import Graph, Node

Pixels = npt.NDArray[np.uint8]

MAGIC = "7767517"
BINARY = ("Add", "Sub", "Mul")  # by ncnn's numbers
RAW = struct.pack("<I", 0)  # the weights that follow are float32


def _layer(network: Graph, node: Node) -> tuple[str, str, bytes]:
    """Type, parameters and weights of one operator. Raises ValueError for one that is not known here."""
    weights = [np.asarray(network.weights[name], np.float32) for name in node.inputs if name in network.weights]
    if node.op == "Conv":
        out, _, rows, columns = weights[0].shape
        biased = int(len(weights) > 1)
        sizes = f"0={out} 1={columns} 11={rows} 4={columns // 2} 14={rows // 2} 5={biased} 6={weights[0].size}"
        return "Convolution", sizes, RAW + b"".join(values.tobytes() for values in weights)
    if node.op == "PRelu":
        return "PReLU", f"0={weights[0].size}", weights[0].tobytes()
    if node.op == "DepthToSpace":
        return "PixelShuffle", f"0={node.attributes['blocksize']} 1={int(node.attributes.get('mode') == 'DCR')}", b""
    if node.op in BINARY:
        return _binary(node, weights)
    if node.op == "LeakyRelu":
        return "ReLU", f"0={node.attributes.get('alpha', 0.01):e}", b""
    if node.op == "Sigmoid":
        return "Sigmoid", "", b""
    if node.op == "Concat" and node.attributes["axis"] == 1:
        return "Concat", "0=0", b""
    if node.op == "Resize":
        factor = weights[-1][-1]
        return "Interp", f"0={3 if node.attributes.get('mode') == 'cubic' else 1} 1={factor} 2={factor}", b""
    if node.op == "SpaceToDepth":
        return "Reorg", f"0={node.attributes['blocksize']} 1=1", b""
    raise ValueError(f"operator {node.op}")


def _binary(node: Node, weights: list[npt.NDArray[np.float32]]) -> tuple[str, str, bytes]:
    """Two tensors, a tensor and a number, or a number for each channel added to it."""
    kind = BINARY.index(node.op)
    if not weights:
        return "BinaryOp", f"0={kind}", b""
    (values,) = weights
    if values.size == 1:
        return "BinaryOp", f"0={kind} 1=1 2={float(values.reshape(-1)[0]):e}", b""
    if node.op == "Mul":
        return "Scale", f"0={values.size}", values.tobytes()
    offsets = -values if node.op == "Sub" else values
    return "Scale", f"0={values.size} 1=1", np.ones(values.size, np.float32).tobytes() + offsets.tobytes()


def write(network: Graph, folder: Path) -> tuple[Path, Path]:
    """Its .param and .bin file; a tensor that several read goes through a Split, as ncnn wants it."""
    readers = Counter(name for node in network.nodes for name in node.inputs if name and name not in network.weights)
    lines, model, blobs = [f"Input {network.input} 0 1 {network.input}"], b"", 1
    handed: Counter[str] = Counter()

    def split(name: str) -> None:
        nonlocal blobs
        if readers[name] > 1:
            copies = [f"{name}_{i}" for i in range(readers[name])]
            lines.append(f"Split split_{name} 1 {len(copies)} {name} {' '.join(copies)}")
            blobs += len(copies)

    def read(name: str) -> str:
        if readers[name] == 1:
            return name
        handed[name] += 1
        return f"{name}_{handed[name] - 1}"

    split(network.input)
    for i, node in enumerate(node for node in network.nodes if node.op != "Constant"):
        kind, parameters, weights = _layer(network, node)
        sources = [read(name) for name in node.inputs if name and name not in network.weights]
        lines.append(f"{kind} layer{i} {len(sources)} 1 {' '.join(sources)} {node.outputs[0]} {parameters}")
        model, blobs = model + weights, blobs + 1
        split(node.outputs[0])
    param, binary = folder / "m.param", folder / "m.bin"
    param.write_text("\n".join([MAGIC, f"{len(lines)} {blobs}", *lines]) + "\n")
    binary.write_bytes(model)
    return param, binary


def way(network: Graph, threads: int) -> Callable[[Pixels], Pixels]:
    """A network as the Python package of ncnn runs it, uint8 image in and out."""
    with tempfile.TemporaryDirectory() as folder:
        return _loaded(*write(network, Path(folder)), threads)


def published(param: bytes, weights: bytes, threads: int) -> Callable[[Pixels], Pixels]:
    """The same for the content of the two files of a network that was published for ncnn."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "m.param"), Path(folder, "m.bin")
        for file, content in zip(files, (param, weights), strict=True):
            file.write_bytes(content)
        return _loaded(*files, threads)


def _loaded(param: Path, binary: Path, threads: int) -> Callable[[Pixels], Pixels]:
    ncnn: Any = importlib.import_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = threads
    if net.load_param(str(param)) or net.load_model(str(binary)):
        raise RuntimeError("ncnn does not load the network")
    (given,), (wanted,) = net.input_names(), net.output_names()

    def run(pixels: Pixels) -> Pixels:
        height, width, _ = pixels.shape
        x = ncnn.Mat.from_pixels(pixels, ncnn.Mat.PixelType.PIXEL_RGB, width, height)
        x.substract_mean_normalize([], [1 / 255] * 3)
        extractor = net.create_extractor()
        extractor.input(given, x)
        _, made = extractor.extract(wanted)
        values = np.array(made)
        return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)  # type: ignore[no-any-return]

    return run
