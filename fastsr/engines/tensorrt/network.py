"""A generator as a TensorRT engine: from the cache or built, then run batch by batch on a stream of the caller's."""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fastsr.engines.gpu import discovery
from fastsr.engines.gpu.discovery import Gpu
from fastsr.engines.protocol import Progress
from fastsr.engines.tensorrt import cache, distributions, engine_file
from fastsr.engines.tensorrt.builder import Profile, Shape, build
from fastsr.engines.tensorrt.distributions import TITLES, Distribution
from fastsr.engines.tensorrt.engine_file import Description
from fastsr.errors import EngineError, GpuMemoryError
from fastsr.network import strong_typing
from fastsr.network.graph import Graph

# Bits of what TensorRT-RTX finds wrong with an engine, in the order of its EngineInvalidityDiagnostics.
_INVALID = {
    "VERSION_MISMATCH": "it was built by another version of TensorRT-RTX; build it anew",
    "UNSUPPORTED_CC": "it was built for other GPUs; build it for this one (fastsr export --target-sm)",
    "OLD_CUDA_DRIVER": "the NVIDIA driver is too old for it; update the driver",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old for it; update tensorrt-rtx",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has too little free memory for it",
    "MALFORMED_ENGINE": "it is damaged; build it anew",
    "CUDA_ERROR": "the CUDA driver or runtime does not work; nvidia-smi tells more",
}


class Kernels(Protocol):
    """Where kernels that TensorRT-RTX compiles for the card are kept from one process to the next."""

    def load(self) -> bytes | None:
        """What was kept."""
        ...

    def keep(self, data: bytes) -> None:
        """Keep this instead."""
        ...


class TensorRTNetwork:
    """One engine with one execution context on one GPU. Calls may come from any thread, but one at a time.

    Attributes:
        dtype: np.float16 or np.float32, of the batches that go in and come out.
        layout: "NCHW", of both.
        limits: the largest batch, height and width of an input.
        least: the smallest.

    """

    layout = "NCHW"

    def __init__(
        self, engine_bytes: bytes, distribution: Distribution, device_index: int = 0, kernels: Kernels | None = None
    ) -> None:
        """Load a serialized engine. Raises EngineError, with the reason, when this machine cannot run it."""
        self._distribution, self._trt = distribution, distribution.trt
        self._kernels, self._compiled = kernels, 0
        self._cache: Any = None
        self._open = contextlib.ExitStack()
        self._memory: Any = None
        self._capacity = 0
        self._shape: Shape | None = None
        self._context: Any = None
        self._device = discovery.device(device_index)
        self._errors = self._open.enter_context(distribution.log.errors())
        try:
            self._stream = self._device.create_stream()
            self._runtime = self._trt.Runtime(distribution.log.logger)
            self._check(engine_bytes)
            self._engine = self._runtime.deserialize_cuda_engine(engine_bytes)
            if self._engine is None:
                raise self._failure("cannot load this engine")
            names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
            inputs = [n for n in names if self._engine.get_tensor_mode(n) == self._trt.TensorIOMode.INPUT]
            outputs = [n for n in names if n not in inputs]
            if len(inputs) != 1 or len(outputs) != 1:
                raise EngineError(f"this engine has {len(inputs)} inputs and {len(outputs)} outputs, not one each")
            self._input, self._output = inputs[0], outputs[0]
            self.dtype: np.dtype[Any] = np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(self._input)))
            least, _, most = (tuple(s) for s in self._engine.get_tensor_profile_shape(self._input, 0))
            self._channels = least[1]
            self.least: Shape = (least[0], least[2], least[3])
            self.limits: Shape = (most[0], most[2], most[3])
            self._context = self._make_context()
            distribution.log.check()
        except BaseException:
            self.close()
            raise

    def _check(self, engine_bytes: bytes) -> None:
        """Raise EngineError, with what to do, for an engine that the runtime says it cannot run."""
        if not hasattr(self._runtime, "get_engine_validity"):
            return
        validity, found = self._runtime.get_engine_validity(engine_bytes)
        if validity != self._trt.EngineValidity.INVALID:
            return
        kinds = self._trt.EngineInvalidityDiagnostics.__members__
        reasons = [text for name, text in _INVALID.items() if name in kinds and int(found) & int(kinds[name])]
        if not reasons:
            raise self._failure("cannot run this engine")
        raise EngineError(f"{self._distribution.title} cannot run this engine: {'; '.join(reasons)}")

    def _make_context(self) -> Any:
        ours = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if hasattr(self._engine, "create_runtime_config"):
            config = self._engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(ours)
            if hasattr(config, "dynamic_shapes_kernel_specialization_strategy"):
                # Compiled in `prepare`: a captured graph would keep the general kernels of a lazy start.
                eager = self._trt.DynamicShapesKernelSpecializationStrategy.EAGER
                config.dynamic_shapes_kernel_specialization_strategy = eager
            self._use_kernels(config)
            context = self._engine.create_execution_context(config)
        else:
            context = self._engine.create_execution_context(ours)
        if context is None:
            raise self._failure("cannot make an execution context")
        return context

    def _use_kernels(self, config: Any) -> None:
        """Let the context take kernels from those that were kept, and collect those that it compiles."""
        if self._kernels is None or not hasattr(config, "create_runtime_cache"):
            return
        self._cache = config.create_runtime_cache()
        kept = self._kernels.load()
        if kept is not None and self._cache.deserialize(kept):  # it refuses those of another driver or card
            self._compiled = len(kept)
        config.set_runtime_cache(self._cache)

    def _keep_kernels(self) -> None:
        """Keep what was compiled since the last time, if anything was."""
        if self._cache is None or self._kernels is None:
            return
        made = self._cache.serialize()
        if made is not None and made.nbytes != self._compiled:
            self._kernels.keep(bytes(made))
            self._compiled = made.nbytes

    def need(self, batch: int, height: int, width: int) -> int:
        """Bytes of device memory for batches of this shape, what goes in and comes out included, as TensorRT says.

        Nothing is allocated, but `prepare` must be called again before the next `enqueue`. Raises EngineError for a
        shape that it cannot take.
        """
        self._device.set_current()
        self._set_shape(batch, height, width)
        sizes = [math.prod(self._context.get_tensor_shape(name)) for name in (self._input, self._output)]
        inside = self._context.update_device_memory_size_for_shapes()
        return int(inside + sum(sizes) * self.dtype.itemsize)

    def shapes(self, batch: int, height: int, width: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of what goes in and of what comes out, for batches of this shape; otherwise as `need`."""
        self._device.set_current()
        self._set_shape(batch, height, width)
        x, y = (tuple(self._context.get_tensor_shape(name)) for name in (self._input, self._output))
        return x, y

    def _set_shape(self, batch: int, height: int, width: int) -> None:
        """Tell the context a shape; it is unprepared from then on."""
        for value, low, high, what in zip(
            (batch, height, width), self.least, self.limits, ("images", "rows", "columns"), strict=True
        ):
            if not low <= value <= high:
                raise EngineError(f"this engine takes {low} to {high} {what} at once, not {value}; build one that does")
        if self._context is None:
            raise EngineError("this network was closed; make another")
        self._shape = None
        if not self._context.set_input_shape(self._input, (batch, self._channels, height, width)):
            raise self._failure(f"cannot take {batch} images of {width}x{height}")

    def prepare(self, batch: int, height: int, width: int) -> None:
        """Make ready for batches of this shape; costs next to nothing when it is the last one asked for.

        Sets the shape, allocates what the engine computes in, and runs once on scratch memory, so that whatever
        TensorRT compiles or puts off is done before a CUDA graph is captured. Nothing enqueued may be running still.
        Raises EngineError for a shape outside of `least` to `limits`, GpuMemoryError when the memory is not there.
        """
        shape = (batch, height, width)
        if shape == self._shape:
            return
        self._device.set_current()
        self._set_shape(batch, height, width)
        self._provide(int(self._context.update_device_memory_size_for_shapes()))
        sizes = [math.prod(self._context.get_tensor_shape(name)) for name in (self._input, self._output)]
        with contextlib.ExitStack() as scratch:
            pointers = []
            for size in sizes:
                buffer = self._allocate(size * self.dtype.itemsize)
                scratch.callback(buffer.close, self._stream)
                pointers.append(int(buffer.handle))
            self.enqueue(pointers[0], pointers[1], int(self._stream.handle))
            self._stream.sync()
        self._distribution.log.check()
        self._keep_kernels()
        self._shape = shape

    def _provide(self, size: int) -> None:
        """Give the context `size` bytes to compute in, or a few if it asks for none; memory only grows."""
        size = max(size, 256)
        if size > self._capacity:
            if self._memory is not None:
                self._memory.close(self._stream)  # first, so that both need not fit
            self._memory, self._capacity = None, 0
            self._memory = self._allocate(size)
            self._capacity = size
            self._stream.sync()
        self._context.set_device_memory(int(self._memory.handle), self._capacity)

    def _allocate(self, size: int) -> Any:
        try:
            return self._device.allocate(size, stream=self._stream)
        except Exception as error:  # cuda-core's errors share no public base
            if "OUT_OF_MEMORY" not in str(error).upper() and not isinstance(error, MemoryError):
                raise
            raise GpuMemoryError(f"no {size >> 20} MiB are free on the GPU; try a smaller tile") from None

    def enqueue(self, x_pointer: int, y_pointer: int, stream: int) -> None:
        """Run the network on a stream: from `x_pointer` to `y_pointer`, both in device memory.

        x: batch x channels x height x width of `dtype`, as `prepare` was told, 0..1, C-contiguous. y: the same, `scale`
        times as high and wide. Returns at once; neither allocates nor synchronises, so it may be captured into a CUDA
        graph. The calling thread's current device must be the network's. Raises EngineError when TensorRT refuses.
        """
        context = self._context
        if not (
            context.set_tensor_address(self._input, x_pointer)
            and context.set_tensor_address(self._output, y_pointer)
            and context.execute_async_v3(stream)
        ):
            raise self._failure("cannot run this engine")

    def close(self) -> None:
        """Free the GPU's memory, now rather than with the object. Nothing enqueued may be running still."""
        self._context = self._cache = self._engine = self._runtime = None  # in this order: each lives in the next
        if self._memory is not None:
            self._memory.close(self._stream)
            self._memory = None
        self._capacity, self._shape = 0, None
        self._open.close()

    def _failure(self, what: str) -> EngineError:
        reason = " ".join(self._errors[-1].split()) if self._errors else "it does not say why"
        return EngineError(f"{self._distribution.title} {what}: {reason}")


def describe(
    graph: Graph, precision: str, profile: Profile, distribution: Distribution, targets: Sequence[str], gpu: Gpu | None
) -> Description:
    """All that an engine depends on, for its key in the cache and for its file."""
    return {
        "form": strong_typing.REVISION,
        "name": graph.name,
        # The file's own digest leaves out weights that are kept beside it.
        "model": hashlib.sha256(graph.serialized).hexdigest(),
        "precision": precision,
        "profile": [list(profile.least), list(profile.usual), list(profile.most)],
        "distribution": distribution.name,
        "version": distribution.version,
        "targets": list(targets),
        "gpu": None if gpu is None else [gpu.name, gpu.sm],
    }


def load(path: Path, device_index: int = 0) -> TensorRTNetwork:
    """The network of an engine file that `fastsr export --tensorrt` wrote.

    Raises EngineError, naming the file, when it is not whole, or was built for other GPUs or by another TensorRT.
    """
    return loaded(path, *engine_file.read(path), device_index)


def _says_builder(description: Description) -> bool:
    """Whether a file says, in the form of `describe`, by what and for what it was built."""
    named = (description.get("distribution"), description.get("version"))
    targets, gpu = description.get("targets"), description.get("gpu")
    if not isinstance(targets, list) or "gpu" not in description or not isinstance(gpu, list | None):
        return False
    return all(isinstance(text, str) for text in (*named, *targets, *(gpu or ()))) and (
        named[0] in TITLES and len(gpu or ()) in (0, 2)
    )


def loaded(path: Path, description: Description, engine: bytes, device_index: int = 0) -> TensorRTNetwork:
    """As `load`, of a file that was read."""
    if not _says_builder(description):
        raise EngineError(f"{path}: does not say which TensorRT built it; export it anew")
    gpu, distribution = discovery.find(device_index), distributions.find(description["distribution"])
    if description["version"] != distribution.version:
        raise EngineError(
            f"{path}: was built by {TITLES[distribution.name]} {description['version']}, "
            f"and this is {distribution.version}; export it anew"
        )
    targets, built_on = description["targets"], description["gpu"]
    if targets and gpu.sm not in targets:
        raise EngineError(
            f"{path}: was built for SM {', '.join(targets)}, and {gpu.name} is SM {gpu.sm}; "
            f"export it with --target-sm {gpu.sm}"
        )
    if built_on is not None and built_on != [gpu.name, gpu.sm]:
        raise EngineError(f"{path}: was built on {built_on[0]}, and this is {gpu.name}; export it anew on this machine")
    try:
        return TensorRTNetwork(engine, distribution, device_index, _CachedKernels(description))
    except GpuMemoryError:
        raise
    except EngineError as error:
        raise EngineError(f"{path}: {error}") from None


def cached_or_built(
    graph: Graph, precision: str, profile: Profile, *, progress: Progress | None = None, device_index: int = 0
) -> TensorRTNetwork:
    """The network of a graph on a GPU, its engine from the cache or built.

    Args:
        graph: float32, as its file describes it.
        precision: one of `strong_typing.PRECISIONS`.
        profile: the batches it shall take.
        progress: called with (steps done, steps known of) while it is built, from any thread.
        device_index: of the GPU.

    Raises:
        EngineError: there is no driver, no GPU or no TensorRT that serves it; it cannot be built or loaded.
        ModelError: the graph has no such form, or TensorRT refuses an operator.

    """
    gpu = discovery.find(device_index)
    distribution = distributions.choose(gpu)
    # TensorRT-RTX builds for a compute capability, TensorRT for the very card.
    targets = (gpu.sm,) if distribution.targets else ()
    description = describe(graph, precision, profile, distribution, targets, None if targets else gpu)

    fresh = False

    def built() -> bytes:
        nonlocal fresh
        fresh = True
        discovery.device(device_index)  # TensorRT builds for the thread's current device
        return build(distribution, graph, precision, profile, targets, _while_alive(progress))

    kernels = _CachedKernels(description)
    engine = cache.cached(description, built)
    try:
        return TensorRTNetwork(engine, distribution, device_index, kernels)
    except GpuMemoryError:
        raise
    except EngineError:
        if fresh:
            raise
    # One from the cache that no longer loads, after a driver's update for one, is built anew.
    cache.forget(description)
    return TensorRTNetwork(cache.cached(description, built), distribution, device_index, kernels)


class _CachedKernels:
    """See `Kernels`: beside the engine in the cache."""

    def __init__(self, description: Description) -> None:
        self._description = description

    def load(self) -> bytes | None:
        return cache.kernels(self._description)

    def keep(self, data: bytes) -> None:
        cache.keep_kernels(self._description, data)


def _while_alive(progress: Progress | None) -> Progress:
    """`progress`, stopping the build when the process is about to end, which would wait for its threads."""

    def report(done: int, total: int) -> None:
        if not threading.main_thread().is_alive():
            raise EngineError("the process is ending")
        if progress is not None:
            progress(done, total)

    return report
