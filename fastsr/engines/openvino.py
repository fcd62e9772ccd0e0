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
KEPT = 2  # sizes that the model stays compiled for


class OpenVinoEngine(WindowedEngine):
    """One model, compiled for each size of window that comes; its `run` may be called from several threads.

    Compiled for any size, a run could not be cancelled.
    """

    name = "openvino"

    def __init__(
        self, graph: Graph, precision: str, tile: int | None, overlap: int | None = None, memory: int | None = None
    ) -> None:
        super().__init__(graph, precision, tile, overlap, memory)
        self._core, self._lock = openvino.Core(), threading.Lock()
        self._compiled: dict[tuple[int, ...], Any] = {}
        try:
            self._model = self._core.read_model(graph.serialized)
        except Exception as error:  # OpenVINO's exceptions share no base of their own
            raise ModelError(f"{graph.path}: OpenVINO cannot run it: {_first_line(error)}") from None

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `WindowedEngine.forward`."""
        feed = batch.astype(self.graph.dtype, copy=False)
        try:
            return self._run_once(self._compiled_for(feed.shape), feed)
        except Exception as error:
            shape = "x".join(map(str, feed.shape))
            raise EngineError(
                f"{self.graph.path}: OpenVINO failed on {shape} samples; "
                f"if memory ran out, try a smaller tile: {_first_line(error)}"
            ) from None

    def _run_once(self, compiled: Any, feed: npt.NDArray[Any]) -> npt.NDArray[Any]:
        request = compiled.create_infer_request()
        request.start_async({self.graph.input: openvino.Tensor(feed)})
        try:
            while not request.wait_for(POLL):
                pass
        except BaseException:  # Ctrl-C
            request.cancel()
            with contextlib.suppress(RuntimeError):  # that it was cancelled, behind the operator at hand
                request.wait()
            raise
        return np.array(request.get_tensor(compiled.output(self.graph.output)).data)

    def _compiled_for(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape not in self._compiled:
                if len(self._compiled) == KEPT:
                    del self._compiled[next(iter(self._compiled))]
                model = self._model.clone()
                model.reshape({self.graph.input: list(shape)})
                # By itself it would compute in bfloat16 where the processor has instructions for it.
                options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
                options["INFERENCE_NUM_THREADS"] = str(_core.thread_count())
                self._compiled[shape] = self._core.compile_model(model, "CPU", options)
            return self._compiled[shape]


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def build(graph: Graph, device: str, precision: str, bounds: Bounds) -> OpenVinoEngine:
    """The registry's entry point."""
    return OpenVinoEngine(graph, precision, *bounds)
