"""The tensorrt engine: frames through a TensorRT network between fastsr's own kernels; no PyTorch needed."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsr.engines.gpu import discovery
from fastsr.engines.gpu.cuda_core import CoreDevice, DeviceArray
from fastsr.engines.gpu.frame_engine import FrameEngine
from fastsr.engines.protocol import Engine
from fastsr.engines.tensorrt.builder import Profile, default_profile, for_windows
from fastsr.engines.tensorrt.network import TensorRTNetwork, cached_or_built
from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.network.output_head import HeadlessGraph, without_output_head
from fastsr.progress_bar import progress_bar
from fastsr.tiling.bounds import Bounds


class TensorRTBatches:
    """See `gpu.device.Network`: a TensorRT network with batches of its own."""

    def __init__(self, network: TensorRTNetwork, headless: HeadlessGraph, device: CoreDevice) -> None:
        self.network, self.headless, self.device = network, headless, device
        self.dtype, self.layout, self.limits = network.dtype, network.layout, network.limits

    def need(self, batch: int, height: int, width: int) -> int:
        """See `gpu.device.Network.need`."""
        return self.network.need(batch, height, width)

    def prepare(self, batch: int, height: int, width: int) -> TensorRTPrepared:
        """See `gpu.device.Network.prepare`."""
        self.network.prepare(batch, height, width)
        body = self.headless.body
        deep = body.channels * self.headless.factor**2
        x = self.device.empty((batch, body.channels, height, width), self.dtype)
        y = self.device.empty((batch, deep, height * body.scale, width * body.scale), self.dtype)
        return TensorRTPrepared(self.network, x, y)


class TensorRTPrepared:
    """See `gpu.device.Prepared`."""

    def __init__(self, network: TensorRTNetwork, x: DeviceArray, y: DeviceArray) -> None:
        self.x, self.y, self._network = x, y, network

    def run(self, stream: Any) -> DeviceArray:
        """Output as N x C x h x w."""
        self._network.enqueue(self.x.pointer, self.y.pointer, int(stream.handle))
        return self.y


def profile_of(graph: Graph, tile: int | None) -> Profile:
    """What an engine for `graph` shall take: windows from the least image to the default's most, or to `tile`."""
    return for_windows(
        graph, default_profile(graph) if tile is None else default_profile(graph, height=tile, width=tile)
    )


def build(graph: Graph, device: str, precision: str, bounds: Bounds) -> Engine:
    """The registry's entry point. Raises EngineError without a driver, a GPU, or a TensorRT that serves it."""
    if graph.dtype != np.float32:
        raise EngineError(f"{graph.path}: the tensorrt engine takes float32 files, not {graph.dtype}; export it so")
    headless = without_output_head(graph)
    gpu = discovery.find()
    with progress_bar(f"{graph.name}: engine for {gpu.name}", "step") as report:
        network = cached_or_built(headless.body, precision, profile_of(graph, bounds.tile), progress=report)
    core = CoreDevice()
    return FrameEngine("tensorrt", graph, headless, TensorRTBatches(network, headless, core), core, precision, *bounds)
