"""Which engines there are: where the code of each is, and what it can be asked for."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable

from fastsr.engines.protocol import Engine
from fastsr.errors import EngineError
from fastsr.network.graph import Graph
from fastsr.tiling.bounds import Bounds

Build = Callable[[Graph, str, str, Bounds], Engine]  # (graph, device, precision, bounds) -> engine


@dataclasses.dataclass(frozen=True)
class EngineSpec:
    """A registered engine: where its code is, what it can be asked for. Its runtime is imported when it is chosen."""

    name: str
    module: str
    devices: tuple[str, ...]
    precisions: tuple[str, ...]  # the first is its "auto" on a CPU
    requirement: str  # the module it cannot do without
    install: str  # what gets it

    def builder(self) -> Build:
        """Import the engine. Raises EngineError, saying what to install, when its runtime is missing."""
        try:
            importlib.import_module(self.requirement)
        except ImportError as error:
            raise EngineError(f"engine {self.name!r} needs {self.requirement} ({error}); {self.install}") from None
        build: Build = importlib.import_module(self.module).build
        return build


REGISTRY: dict[str, EngineSpec] = {
    spec.name: spec
    for spec in (
        EngineSpec(
            "cpu",
            "fastsr.engines.native.engine",
            ("cpu",),
            ("fp32", "int8", "bf16"),
            "fastsr._core",
            "reinstall fastsr",
        ),
        EngineSpec(
            "onnxruntime",
            "fastsr.engines.onnxruntime",
            ("cpu",),
            ("fp32", "int8"),
            "onnxruntime",
            'run: pip install "fastsr[onnx]"',
        ),
        EngineSpec(
            "openvino",
            "fastsr.engines.openvino",
            ("cpu",),
            ("fp32",),
            "openvino",
            'run: pip install "fastsr[openvino]"',
        ),
        EngineSpec(
            "torch",
            "fastsr.engines.torch.engine",
            ("cpu", "cuda"),
            ("fp32", "bf16", "fp16"),
            "torch",
            'run: pip install "fastsr[torch]"',
        ),
        EngineSpec(
            "tensorrt",
            "fastsr.engines.tensorrt.engine",
            ("cuda",),
            ("fp16", "fp32", "bf16", "int8"),
            "cuda.core",
            'run: pip install "fastsr[tensorrt]"',
        ),
    )
}

FORMER_NAMES = {"onnx": "onnxruntime"}


def current_name(engine: str) -> str:
    """The name of an engine, for one that it had in earlier versions; others as they are."""
    return FORMER_NAMES.get(engine, engine)
