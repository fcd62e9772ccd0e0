"""ONNX Runtime on the CPU: runs any ONNX generator; with calibrated ranges also in its Q/DQ form, as int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from fastsr import _core
from fastsr.engines.interruptible import interruptible
from fastsr.engines.windowed import WindowedEngine
from fastsr.errors import EngineError, ModelError
from fastsr.network.graph import Graph
from fastsr.network.qdq import to_qdq
from fastsr.tiling.bounds import Bounds


class OnnxRuntimeEngine(WindowedEngine):
    """One ONNX Runtime session; its `run` may be called from several threads."""

    name = "onnxruntime"

    def __init__(
        self, graph: Graph, precision: str, tile: int | None, overlap: int | None = None, memory: int | None = None
    ) -> None:
        super().__init__(graph, precision, tile, overlap, memory)
        model = to_qdq(graph).SerializeToString() if precision == "int8" else graph.serialized
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _core.thread_count()
        options.log_severity_level = 4  # what it would print at 3 is raised too
        if precision == "int8":
            # Weights are unpacked once and convolutions stay in float, on values of the u8 and s8 grids. Rewritten for
            # Q/DQ, they would sum in an order that depends on the window's size, and a last bit can become a level.
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self._session = onnxruntime.InferenceSession(
                model, sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"{graph.path}: ONNX Runtime cannot run it: {error}") from None

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        """See `WindowedEngine.forward`."""
        return self.fetch([self.graph.output], batch)[0]

    def fetch(self, outputs: list[str], batch: npt.NDArray[np.float32]) -> list[npt.NDArray[Any]]:
        """The named outputs of the model for one batch. Raises EngineError, naming the model, when it cannot run."""
        feed = batch.astype(self.graph.dtype, copy=False)
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4
        try:
            made = interruptible(
                lambda: self._session.run(outputs, {self.graph.input: feed}, options),
                lambda: setattr(options, "terminate", True),
            )
        except Exception as error:
            shape = "x".join(map(str, feed.shape))
            raise EngineError(
                f"{self.graph.path}: ONNX Runtime failed on {shape} samples; "
                f"if memory ran out, try a smaller tile: {error}"
            ) from None
        return [np.asarray(values) for values in made]


def build(graph: Graph, device: str, precision: str, bounds: Bounds) -> OnnxRuntimeEngine:
    """The registry's entry point."""
    return OnnxRuntimeEngine(graph, precision, *bounds)
