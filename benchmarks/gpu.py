"""Frames through a GPU, by fastsr and by PyTorch as users write it: `python -m benchmarks.gpu`.

Latency (p50, p99) and frames per second for 270p -> 1080p, 540p -> 4K (x4) and 1080p -> 4K (x2): from host to host (a
NumPy frame in, one out) and on the device (a tensor in, one out). All ways take their turn in every round; outputs are
compared before anything is timed. Also what our kernels reach of a device copy's bandwidth.
Writes gpu-NAME.json into benchmarks/results, or into $OUT where that is set.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fastsr
from benchmarks import machine
from fastsr import ops
from fastsr.engines.gpu import discovery
from training.learning import initial_weights
from training.networks import generators
from training.networks.generators import GeneratorShape

RESULTS = Path(__file__).parent / "results"
SIZES = {"270p -> 1080p": (270, 480, 4), "540p -> 4K": (540, 960, 4), "1080p -> 4K": (1080, 1920, 2)}
MODELS = ("fast-x4", "fast-x2", "srgan-x4")
BATCHES = (1, 2, 4, 8)  # of which the best is reported beside 1
TOLERANCE = 3.0  # mean difference to our CPU's fp32, levels of 255

Frame = npt.NDArray[np.uint8]


@dataclasses.dataclass
class Way:
    """One way to enlarge a frame. Each function works on a batch of equal frames."""

    name: str
    host: Callable[[Frame], Frame]  # H x W x 3 in, enlarged out
    device: Callable[[Tensor], Tensor]  # N x 3 x H x W uint8 on the GPU in, the same enlarged out
    batches: tuple[int, ...] = (1,)


def _module(model: str) -> nn.Module:
    """The shipped generator as an ordinary PyTorch module."""
    path = fastsr.models()[model].path
    shape = GeneratorShape(**initial_weights.describe(path)["recipe"]["generator"])
    network = generators.build(dataclasses.replace(shape, expansion=0))
    initial_weights.initialise(network, path)
    return generators.plain(network).cuda().eval()  # type: ignore[no-any-return]


def _eager(name: str, network: Any, dtype: torch.dtype, last: bool) -> Way:
    """A generator with the usual pre- and post-processing around it, all in PyTorch."""
    order = torch.channels_last if last else torch.contiguous_format
    network = network.to(dtype=dtype, memory_format=order)

    @torch.inference_mode()
    def device(frames: Tensor) -> Tensor:
        x = frames.to(dtype).div(255).contiguous(memory_format=order)
        return network(x).clamp(0, 1).mul(255).round().to(torch.uint8)  # type: ignore[no-any-return]

    def host(frame: Frame) -> Frame:
        made = device(torch.from_numpy(frame).cuda().permute(2, 0, 1)[None])
        return made[0].permute(1, 2, 0).cpu().numpy()

    return Way(name, host, device, BATCHES)


def _ours(name: str, up: fastsr.Upscaler) -> Way:
    return Way(name, up.upscale, up.upscale)


def ways(model: str, compile_too: bool) -> dict[str, Way]:
    """Every way that this machine has; what is missing is said."""
    plain = _module(model)
    made = [
        _eager("PyTorch eager fp32", copy.deepcopy(plain), torch.float32, last=False),
        _eager("PyTorch eager fp16, NCHW", copy.deepcopy(plain), torch.float16, last=False),
        _eager("PyTorch eager fp16, NHWC", copy.deepcopy(plain), torch.float16, last=True),
    ]
    if compile_too:
        half = copy.deepcopy(plain).to(dtype=torch.float16, memory_format=torch.channels_last)  # type: ignore[call-overload]
        made.append(_eager("torch.compile fp16", torch.compile(half, mode="max-autotune"), torch.float16, last=True))
    for engine in ("torch", "tensorrt"):
        for precision in ("fp16", "int8") if engine == "tensorrt" else ("fp16",):
            try:
                up = fastsr.load(model, device="cuda", engine=engine, precision=precision)
            except ValueError as error:
                print(f"not measured: fastsr {engine} {precision}: {error}")
                continue
            made.append(_ours(f"fastsr {engine} {precision}", up))
    return {way.name: way for way in made}


def _stream_rate(up: fastsr.Upscaler, frame: Frame, seconds: float) -> float:
    """Frames per second of `Upscaler.stream` from host to host."""

    def source() -> Any:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            yield frame

    for _ in up.stream([frame] * 8):
        pass
    began, count = time.perf_counter(), 0
    for _ in up.stream(source()):
        count += 1
    return count / (time.perf_counter() - began)


def _milliseconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) * 1e3


def _summary(times: list[float], frames: int) -> dict[str, float]:
    p50, p99 = np.percentile(times, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "fps": round(1e3 * frames / float(p50), 1)}


def measure(model: str, case: str, rounds: int, compile_too: bool) -> list[dict[str, Any]]:
    """One row per way, place and batch."""
    height, width, scale = SIZES[case]
    frame = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    frame = np.asarray(fastsr.upscale(frame, size=(width, height), model="bicubic"))
    expected = fastsr.load(model, device="cpu", precision="fp32").upscale(frame[:96, :96]).astype(float)
    candidates = ways(model, compile_too)
    for way in list(candidates.values()):
        far = np.abs(way.host(frame)[: 64 * scale, : 64 * scale] - expected[: 64 * scale, : 64 * scale]).mean()
        if far > TOLERANCE:
            print(f"left out: {way.name} is {far:.1f} levels away from the CPU's fp32")
            del candidates[way.name]
    low = torch.from_numpy(frame).cuda().permute(2, 0, 1).contiguous()
    jobs: dict[tuple[str, str, int], tuple[Callable[[], object], int]] = {}
    for way in candidates.values():
        jobs[way.name, "host", 1] = (lambda way=way: way.host(frame), 1)  # type: ignore[misc]
        for batch in way.batches:
            frames = low[None].expand(batch, -1, -1, -1).contiguous()
            jobs[way.name, "device", batch] = (lambda way=way, x=frames: way.device(x), batch)  # type: ignore[misc]
    times: dict[tuple[str, str, int], list[float]] = {key: [] for key in jobs}
    for work, _ in jobs.values():
        for _ in range(5):
            work()
    for _ in range(rounds):
        for key, (work, _) in jobs.items():
            times[key].append(_milliseconds(work))
    rows = []
    for key, values in times.items():
        name, place, batch = key
        row = {"model": model, "case": case, "way": name, "place": place, "batch": batch}
        rows.append(row | _summary(values, batch))
    for engine in ("torch", "tensorrt"):
        for way_name in [n for n in candidates if n.startswith(f"fastsr {engine}")]:
            up = fastsr.load(model, device="cuda", engine=engine, precision=way_name.split()[-1])  # type: ignore[call-overload,arg-type]
            rate = round(_stream_rate(up, frame, 3.0), 1)
            rows.append(
                {"model": model, "case": case, "way": way_name, "place": "host, stream", "batch": 1, "fps": rate}
            )
    for row in rows:
        print(row, flush=True)
    return rows


def kernels(rounds: int) -> list[dict[str, Any]]:
    """Bandwidth of each kernel at 4K beside a device copy of as many bytes: read once, written once."""
    height, width = 2160, 3840
    frame = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, device="cuda")
    half = torch.empty((1, 3, height, width), dtype=torch.float16, device="cuda")
    deep = torch.rand((1, 48, height // 4, width // 4), device="cuda").half()
    low = torch.randint(0, 256, (height // 4, width // 4, 3), dtype=torch.uint8, device="cuda")
    shuffled = torch.empty((1, 3, height, width), dtype=torch.float16, device="cuda")
    whole = np.array([[0, 0, 0, 0, height // 4, width // 4]])
    moved = {
        "tile_gather": (
            lambda: ops.tile_gather(frame, [[0, 0]], (height, width), dtype=np.float16, out=half),
            frame.nbytes + half.nbytes,
        ),
        "tile_scatter": (lambda: ops.tile_scatter(deep, whole, frame, 4), deep.nbytes + frame.nbytes),
        "tile_scatter + nearest": (
            lambda: ops.tile_scatter(deep, whole, frame, 4, "nearest", low),
            deep.nbytes + frame.nbytes + low.nbytes,
        ),
        "pixel_shuffle": (lambda: ops.pixel_shuffle(deep, 4, out=shuffled), deep.nbytes + shuffled.nbytes),
        "pixel_shuffle, PyTorch": (lambda: F.pixel_shuffle(deep, 4), deep.nbytes + shuffled.nbytes),
    }
    rows = []
    for name, (work, size) in moved.items():
        source = torch.empty(size // 2, dtype=torch.uint8, device="cuda")
        target = torch.empty_like(source)
        ours, copy = _event_times(work, lambda t=target, s=source: t.copy_(s), rounds)  # type: ignore[misc]
        speeds = size / ours / 1e6, size / copy / 1e6
        rows.append({"kernel": name, "gb_per_s": round(speeds[0], 1), "copy_gb_per_s": round(speeds[1], 1)})
        rows[-1]["share"] = round(speeds[0] / speeds[1], 3)
        print(rows[-1], flush=True)
    return rows


def _event_times(a: Callable[[], object], b: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median milliseconds of two works, in turn, by the GPU's clock; each is queued 20 times at once."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, kept in zip((a, b), times, strict=True):
            work()
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            first.record()
            for _ in range(20):
                work()
            last.record()
            torch.cuda.synchronize()
            kept.append(first.elapsed_time(last) / 20)
    return float(np.median(times[0])), float(np.median(times[1]))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--models", nargs="+", default=[m for m in MODELS if m in fastsr.models()])
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out (it takes minutes)")
    arguments = parser.parse_args()
    found, reason = discovery.listed()
    if not found:
        raise SystemExit(f"benchmarks.gpu needs an NVIDIA GPU: {reason}")
    warnings.simplefilter("ignore", RuntimeWarning)
    content: dict[str, Any] = {"machine": machine.describe() | {"gpu": found[0]}, "rounds": arguments.rounds}
    folder = Path(os.environ.get("OUT", RESULTS))
    target = folder / f"gpu-{found[0]['name'].replace(' ', '-')}.json"

    def write() -> None:
        target.write_text(json.dumps(content, indent=2) + "\n")  # after each part, should the rest fail

    content["kernels"] = kernels(arguments.rounds)
    write()
    content["rows"] = []
    for model in arguments.models:
        for case, (_, _, scale) in SIZES.items():
            if scale == fastsr.models()[model].scale:
                content["rows"] += measure(model, case, arguments.rounds, not arguments.no_compile)
                write()
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
