"""The native CPU engine beside other runtimes, on one frame: `python -m benchmarks.cpu_engines [--models fast-x4 ...]`.

Whole calls are timed, uint8 image in, uint8 image out. Ways whose output differs from fastsr's of the same precision
are named and not timed; the others take turns, each in a process of its own, round after round, so that whatever
disturbs the machine disturbs them all. Writes benchmarks/results/cpu-engines-KIND.json, one file for each kind
of processor (its best instruction set, such as avx2): medians, minima, the ratio to PyTorch, and the share of the rate
at which the machine multiplies and adds in registers at the same precision (above one where Winograd needs fewer
operations). `--dry` only prints. Peers that are not installed, or whose process crashes (out of memory, say), are
named and left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

import fastsr
from benchmarks import machine, ncnn_peer, untrained
from benchmarks.turns import Ended, Frame, Runner, Way, interleaved
from fastsr import _core
from fastsr.engines.native.engine import NativeEngine
from fastsr.engines.torch import executor
from fastsr.network import catalog, onnx_reader, qdq, quantization
from fastsr.network.graph import RANGES, Graph, Node

RESULTS = Path(__file__).parent / "results"
HEIGHT, WIDTH = 270, 480
UNTRAINED = "compact-64x16"  # between fast-x4 and srgan-x4 in size
TOLERANCE = {"fp32": 1, "bf16": 8, "int8": 24}  # levels of 255; sums that are rounded differently drift apart
RATE_ROUNDS = 4_000_000


def results_file(kind: str) -> Path:
    """Where the results for a kind of processor are (see `machine.kind`)."""
    return RESULTS / f"cpu-engines-{kind}.json"


def calibrated(network: Graph) -> Graph:
    """`network` with the ranges in its file; without them with wide ones, so that int8 can still be timed."""
    if network.ranges:
        return network
    ranges = {name: (-2.0, 2.0) for name in quantization.inputs(network)} | {network.input: (0.0, 1.0)}
    return dataclasses.replace(network, metadata={**network.metadata, RANGES: json.dumps(ranges)})


class Module(nn.Module):
    """A generator of PyTorch's own layers and functions, called one after the other, as a user's `nn.Module` does."""

    def __init__(self, network: Graph) -> None:
        super().__init__()
        self.network, self.layers = network, nn.ModuleDict()
        self.nodes = [node for node in network.nodes if node.op != "Constant"]
        self.constants: dict[str, str] = {}  # buffers, which change their type with the layers
        for node in self.nodes:
            layer = self._layer(node)
            if layer is not None:
                self.layers[_plain(node.outputs[0])] = layer
                continue
            for name in set(node.inputs) & set(network.weights):
                self.constants[name] = f"constant_{_plain(name)}"
                self.register_buffer(self.constants[name], torch.from_numpy(np.array(network.weights[name])))
        self.readers = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}  # the last of each

    def _layer(self, node: Node) -> nn.Module | None:
        weights = [
            torch.from_numpy(np.array(self.network.weights[n])) for n in node.inputs if n in self.network.weights
        ]
        if node.op == "Conv":
            out, deep, *size = weights[0].shape
            conv = nn.Conv2d(deep, out, tuple(size), padding="same", bias=len(weights) > 1)  # type: ignore[arg-type]
            conv.weight = nn.Parameter(weights[0])
            conv.bias = nn.Parameter(weights[1]) if len(weights) > 1 else None
            return conv
        if node.op == "PRelu":
            activation = nn.PReLU(weights[0].numel())
            activation.weight = nn.Parameter(weights[0].flatten())
            return activation
        if node.op == "DepthToSpace":
            return nn.PixelShuffle(node.attributes["blocksize"])
        if node.op == "Resize":
            cubic = node.attributes.get("mode") == "cubic"
            return nn.Upsample(scale_factor=float(weights[-1][-1]), mode="bicubic" if cubic else "nearest")
        if node.op not in executor.OPERATORS:
            raise SystemExit(f"{self.network.path}: the PyTorch peer has no {node.op}")
        return None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 3 x H x W in 0..1 to N x 3 x sH x sW."""
        values = {self.network.input: x}
        for i, node in enumerate(self.nodes):
            plain = _plain(node.outputs[0])
            layer = self.layers[plain] if plain in self.layers else None  # noqa: SIM401 - a ModuleDict has no get
            names = node.inputs if layer is None else node.inputs[:1]
            read = [getattr(self, self.constants[n]) if n in self.constants else values[n] for n in names]
            made = layer(read[0]) if layer is not None else executor.OPERATORS[node.op](node, read)
            for name in [n for n in values if self.readers.get(n, i) == i]:  # frees what no later layer reads
                del values[name]
            values.update(zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=True))
        return values[self.network.output]


def _plain(name: str) -> str:
    """A tensor's name as that of a module, which has no dots."""
    return name.replace(".", "_")


def eager(network: Graph, last: bool, compiled: bool = False, dtype: torch.dtype = torch.float32) -> Way:
    """The generator as users run it in PyTorch: eager or by `torch.compile`, NHWC if `last`."""
    order = torch.channels_last if last else torch.contiguous_format
    plain: Callable[[torch.Tensor], torch.Tensor] = Module(network).eval().to(dtype, memory_format=order)  # type: ignore[call-overload]
    if compiled:
        plain = torch.compile(plain)

    @torch.inference_mode()
    def run(pixels: Frame) -> Frame:
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(dtype).div(255).contiguous(memory_format=order)
        made = plain(x).clamp(0, 1).mul(255).round().to(torch.uint8)
        return made[0].permute(1, 2, 0).contiguous().numpy()  # type: ignore[no-any-return]

    return run


def session(model: bytes, name: str) -> Way:
    """ONNX Runtime as it comes, with the conversions that a user writes around it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _core.thread_count()
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])

    def run(pixels: Frame) -> Frame:
        x = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
        values = made.run(None, {name: x})[0][0]
        return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)  # type: ignore[no-any-return]

    return run


def openvino(model: bytes, precision: str = "f32", prepare: Callable[[Any], Any] | None = None) -> Way:
    """OpenVINO, asked for latency; `prepare` may change the model as it was read."""
    ov = importlib.import_module("openvino")

    core = ov.Core()
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model)
        file.flush()
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": _core.thread_count()}
        read = core.read_model(file.name)
        read = read if prepare is None else prepare(read)
        compiled = core.compile_model(read, "CPU", {**hints, "INFERENCE_PRECISION_HINT": precision})

    def run(pixels: Frame) -> Frame:
        x = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
        values = compiled([x])[0][0]
        return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)  # type: ignore[no-any-return]

    return run


def ways(network: Graph) -> dict[str, tuple[str, Callable[[], Way]]]:
    """Name -> (precision, what makes it), of all that this machine has."""
    ranged = calibrated(network)

    def integer() -> bytes:
        return bytes(qdq.to_qdq(ranged).SerializeToString())

    made: dict[str, tuple[str, Callable[[], Way]]] = {
        f"fastsr {p}": (p, lambda p=p: NativeEngine(ranged, p, None).run)  # type: ignore[misc]
        for p in ("fp32", "bf16", "int8")
        if p in _core.precisions()
    }
    made["PyTorch eager fp32, NCHW"] = "fp32", lambda: eager(network, last=False)
    made["PyTorch eager fp32, NHWC"] = "fp32", lambda: eager(network, last=True)
    made["PyTorch compiled fp32, NHWC"] = "fp32", lambda: eager(network, last=True, compiled=True)
    if "bf16" in _core.precisions():  # elsewhere runtimes emulate it, which nobody would choose
        made["PyTorch eager bf16, NHWC"] = "bf16", lambda: eager(network, last=True, dtype=torch.bfloat16)
    made["ONNX Runtime fp32"] = "fp32", lambda: session(network.serialized, network.input)
    made["ONNX Runtime int8 QDQ"] = "int8", lambda: session(integer(), network.input)
    if importlib.util.find_spec("openvino"):
        made["OpenVINO fp32"] = "fp32", lambda: openvino(network.serialized)
        if "bf16" in _core.precisions():
            made["OpenVINO bf16"] = "bf16", lambda: openvino(network.serialized, "bf16")
        made["OpenVINO int8 QDQ"] = "int8", lambda: openvino(integer())
    if importlib.util.find_spec("ncnn"):
        made["ncnn fp32"] = "fp32", lambda: ncnn_peer.way(network, _core.thread_count())
    return made


def way(model: str, name: str) -> Way:
    """One of the `ways` of a shipped model or an ONNX file, with as many threads as fastsr takes."""
    torch.set_num_threads(_core.thread_count())
    return ways(onnx_reader.read(catalog.find(model)))[name][1]()


def operations(network: Graph) -> float:
    """Multiplications and additions of the convolutions for one frame, times 1e-9."""
    factor, total = {network.input: 1}, 0
    for node in network.nodes:
        mine = factor.get(node.inputs[0] if node.inputs else "", 1)
        if node.op == "Conv":
            total += 2 * network.weights[node.inputs[1]].size * mine**2
        elif node.op == "DepthToSpace":
            mine *= node.attributes["blocksize"]
        factor[node.outputs[0]] = mine
    return total * HEIGHT * WIDTH * 1e-9


def precision_of(way: str) -> str:
    """The precision that a way computes in, by its name."""
    return next((p for p in TOLERANCE if p in way), "fp32")


def differing(outputs: dict[str, npt.NDArray[np.int64]]) -> dict[str, int]:
    """The ways that differ from fastsr's of their precision by more than TOLERANCE, with the largest difference."""
    found = {}
    for name, output in outputs.items():
        precision = precision_of(name)
        difference = int(np.abs(output - outputs[f"fastsr {precision}"]).max())
        if difference > TOLERANCE[precision]:
            found[name] = difference
    return found


def first_outputs(runners: dict[str, Runner]) -> tuple[dict[str, npt.NDArray[np.int64]], dict[str, str]]:
    """What each way makes of its input, and why some crashed, which are taken out of `runners`."""
    outputs: dict[str, npt.NDArray[np.int64]] = {}
    ended: dict[str, str] = {}
    for name, runner in list(runners.items()):
        try:
            outputs[name] = runner.output()
        except Ended as error:
            ended[name] = str(error)
            print(f"{name}: {error}; not timed")
            del runners[name]
    return outputs, ended


def measure(model: str, rounds: int, patience: float) -> dict[str, Any]:
    """Times of every way, in milliseconds, and what follows from them; after `patience` seconds, 3 rounds suffice.

    `model` is a shipped name, a file, or such as compact-64x16, which has random weights (see `benchmarks.untrained`).
    """
    if untrained.NAME.fullmatch(model):
        with tempfile.TemporaryDirectory() as folder:
            return measure(str(untrained.write(model, Path(folder))), rounds, patience)
    network = onnx_reader.read(catalog.find(model))
    runners = {name: Runner(way, model, name) for name in ways(network)}
    outputs, ended = first_outputs(runners)
    excluded = differing(outputs)
    for name, levels in excluded.items():
        print(f"{name}: differs from fastsr by up to {levels} levels; not timed")
        runners.pop(name).close()
    rates: dict[str, list[float]] = {p: [] for p in _core.precisions()}

    def rate() -> None:
        for precision, values in rates.items():
            values.append(_core.multiply_add_rate(RATE_ROUNDS, precision))

    times = interleaved(runners, rounds, patience, rate)
    work, peaks = operations(network), {precision: max(values) for precision, values in rates.items()}
    reference = "PyTorch eager fp32, NHWC"
    rows = {
        name: {
            "median_ms": round(statistics.median(values), 2),
            "min_ms": round(min(values), 2),
            # Each round's own ratio: what slows one round down slows both.
            "times_as_fast_as_pytorch": round(
                statistics.median(t / own for t, own in zip(times[reference], values, strict=True)), 2
            ),
            "share_of_peak": round(work / min(values) * 1e3 / peaks[precision_of(name)], 3),
        }
        for name, values in times.items()
    }
    calibration = "from the file" if network.ranges else "wide, for timing alone"
    shipped = network.name in fastsr.models()
    return {
        "model": network.name if shipped else f"{network.name} (weights not shipped)",
        "rounds": len(rates["fp32"]),
        "gflop": round(work, 2),
        "peak_gops": {precision: round(value) for precision, value in peaks.items()},
        "int8_ranges": calibration,
        "excluded": excluded,
        "ended": ended,
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    """Markdown."""
    peaks = ", ".join(f"{value} ({precision})" for precision, value in result["peak_gops"].items())
    lines = [
        f"`{result['model']}`, {WIDTH}x{HEIGHT}, {result['gflop']} GFLOP; peak rate in GFLOP/s: {peaks}",
        "",
        "| | median, ms | minimum, ms | faster than PyTorch NHWC by | of peak rate |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["rows"].items():
        cells = [f"{row['median_ms']:.1f}", f"{row['min_ms']:.1f}", f"{row['times_as_fast_as_pytorch']:.2f}x"]
        lines.append("| " + " | ".join([name, *cells, f"{row['share_of_peak']:.0%}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", help="measure only these; results of the others stay")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--patience", type=float, default=120, help="seconds of a model after which 3 rounds suffice")
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    if os.environ.get("FASTSR_ISA") and not arguments.dry:
        parser.error("FASTSR_ISA is set: results are for the processor's best instruction set; unset it or add --dry")
    file = results_file(machine.kind())
    absent = [name for name in ("openvino", "ncnn") if importlib.util.find_spec(name) is None]
    if absent:
        print(f"not installed, left out: {', '.join(absent)}")
    kept = json.loads(file.read_text())["results"] if arguments.models and file.exists() else []
    results = {result["model"]: result for result in kept}
    for model in arguments.models or [*fastsr.models(), UNTRAINED]:
        made = measure(model, arguments.rounds, arguments.patience)
        print(table(made) + "\n", flush=True)
        results[made["model"]] = made
    if not arguments.dry:
        content = {"machine": machine.describe(), "absent": absent, "results": list(results.values())}
        file.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
