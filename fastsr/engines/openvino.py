"""OpenVINO on the CPU, in fp32: for generators that the native engine does not run, where it is installed."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from fastsr import _core
from fastsr.engines.windowed import WindowedEngine
from fastsr.errors import EngineError, ModelError
from fastsr.network.graph import Graph
from fastsr.tiling.bounds import Bounds

POLL = 100  # milliseconds between looks at whether the run shall end


class OpenVinoEngine(WindowedEngine):
    """One compiled model; its `run` may be called from several threads, each with a request of its own."""

    name = "openvino"

    def __init__(
        self, graph: Graph, precision: str, tile: int | None, overlap: int | None = None, memory: int | None = None
    ) -> None:
        super().__init__(graph, precision, tile, overlap, memory)
        # By itself it would compute in bfloat16 where the processor has instructions for it.
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        options["INFERENCE_NUM_THREADS"] = str(_core.thread_count())
        try:
            core = openvino.Core()
            self._compiled = core.compile_model(core.read_model(graph.serialized), "CPU", options)
            self._output = self._compiled.output(graph.output)
        except Exception as error:  # OpenVINO's exceptions share no base of their own
            raise ModelError(f"{graph.path}: OpenVINO cannot run it: {_first_line(error)}") from None
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `WindowedEngine.forward`."""
        feed = batch.astype(self.graph.dtype, copy=False)
        try:
            with self._lock:
                request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
            request.start_async({self.graph.input: openvino.Tensor(feed)})
            try:
                while not request.wait_for(POLL):
                    pass
            except BaseException:  # Ctrl-C
                request.cancel()
                with contextlib.suppress(RuntimeError):  # that it was cancelled, behind the operator at hand
                    request.wait()  # a request that is dropped before would first run to its end
                raise
            made = np.array(request.get_tensor(self._output).data)
        except Exception as error:
            shape = "x".join(map(str, feed.shape))
            raise EngineError(
                f"{self.graph.path}: OpenVINO failed on {shape} samples; "
                f"if memory ran out, try a smaller tile: {_first_line(error)}"
            ) from None
        with self._lock:
            self._idle.append(request)
        return made


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def build(graph: Graph, device: str, precision: str, bounds: Bounds) -> OpenVinoEngine:
    """The registry's entry point."""
    return OpenVinoEngine(graph, precision, *bounds)
