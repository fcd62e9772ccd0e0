"""A typed ONNX model into a serialized TensorRT engine, for the GPU at hand or, with TensorRT-RTX, for any it lists."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from fastsr.engines.protocol import Progress
from fastsr.engines.tensorrt.distributions import Distribution, LogLine
from fastsr.errors import EngineError, ModelError
from fastsr.network.graph import Graph
from fastsr.network.strong_typing import strongly_typed

FP8_SM = (8, 9)
USUAL = (1, 272, 480)
MOST = (4, 1088, 1920)
LARGEST_TENSOR = 1 << 31  # values; not every TensorRT counts further

Shape = tuple[int, int, int]  # images, height, width


@dataclasses.dataclass(frozen=True)
class Profile:
    """The batches an engine takes, between `least` and `most`, and the one it is tuned for."""

    least: Shape
    usual: Shape
    most: Shape

    def __post_init__(self) -> None:
        """Raise EngineError unless 1 <= least <= usual <= most in each of the three."""
        for low, middle, high, what in zip(
            self.least, self.usual, self.most, ("images", "rows", "columns"), strict=True
        ):
            if not 1 <= low <= middle <= high:
                raise EngineError(f"{low} to {high} {what}, tuned for {middle}, is no range; put them in order")

    def check(self, graph: Graph) -> None:
        """Raise EngineError where the graph does not take such batches: fixed sizes, sides in steps."""
        fixed = graph.fixed_size
        for batch, height, width in (self.least, self.usual, self.most):
            if fixed is not None and (height, width) != fixed:
                raise EngineError(f"{graph.path}: takes only {fixed[1]}x{fixed[0]} pixels, not {width}x{height}")
            if graph.fixed_batch is not None and batch != graph.fixed_batch:
                raise EngineError(f"{graph.path}: takes only {graph.fixed_batch} at once, not {batch}")
            if height % graph.alignment or width % graph.alignment:
                raise EngineError(
                    f"{graph.path}: takes sides that are multiples of {graph.alignment}, not {width}x{height}"
                )


def default_profile(graph: Graph, batch: int = MOST[0], height: int = MOST[1], width: int = MOST[2]) -> Profile:
    """A profile up to this batch, height and width, made smaller where the graph's tensors would be too large.

    Sides are rounded up to what the graph takes; where it fixes them, the profile is that size.
    """
    step = graph.alignment
    if graph.fixed_batch is not None:
        batch = graph.fixed_batch
    if graph.fixed_size is not None:
        height, width = graph.fixed_size
    while batch > 1 and batch * height * width * graph.cost >= LARGEST_TENSOR:
        batch = -(-batch // 2)
    while graph.fixed_size is None and batch * height * width * graph.cost >= LARGEST_TENSOR:
        height, width = (-(-height // 2), width) if height >= width else (height, -(-width // 2))
    most = (batch, -(-height // step) * step, -(-width // step) * step)
    if graph.fixed_size is not None:
        return Profile(most, most, most)
    side = min(-(-16 // step) * step, *most[1:])
    usual = tuple(min(-(-u // step) * step, m) for u, m in zip(USUAL[1:], most[1:], strict=True))
    return Profile((graph.fixed_batch or 1, side, side), (graph.fixed_batch or 1, usual[0], usual[1]), most)


def for_windows(graph: Graph, profile: Profile) -> Profile:
    """`profile` down to the least image that there can be."""
    if graph.fixed_size is not None:
        return profile
    return dataclasses.replace(profile, least=(profile.least[0], graph.alignment, graph.alignment))


def build(
    distribution: Distribution,
    graph: Graph,
    precision: str,
    profile: Profile,
    targets: Sequence[str] = (),
    progress: Progress | None = None,
    log: LogLine | None = None,
) -> bytes:
    """Build an engine.

    Args:
        distribution: whose engine.
        graph: the generator, float32.
        precision: one of `typed.PRECISIONS`.
        profile: the batches it shall take.
        targets: compute capabilities ("8.6") to build for, with TensorRT-RTX. None: TensorRT builds for the GPU at
            hand, TensorRT-RTX for those of its own default.
        progress: called with (steps done, steps known of) from TensorRT's threads; an exception in it stops the build.
        log: gets every log line, the engine's layers among them.

    Returns:
        The serialized engine.

    Raises:
        EngineError: it cannot be built; names the model and, where TensorRT refuses one, the operator.
        ModelError: the model has no such typed form.

    """
    profile.check(graph)
    model = strongly_typed(graph, precision).SerializeToString()
    trt = distribution.trt
    with contextlib.ExitStack() as listening:
        errors = listening.enter_context(distribution.log.errors())
        if log is not None:
            listening.enter_context(distribution.log.listening(log, everything=True))
        try:
            builder = trt.Builder(distribution.log.logger)
        except Exception:  # a type of pybind11's choosing, for a factory that gave nothing
            raise EngineError(f"{distribution.title} cannot build engines here: {_last(errors)}") from None
        network = builder.create_network(_strongly_typed(trt))
        parser = trt.OnnxParser(network, distribution.log.logger)
        if not parser.parse(model):
            raise ModelError(f"{graph.path}: {distribution.title} cannot take it in {precision}: {_refusal(parser)}")
        config = builder.create_builder_config()
        _configure(config, distribution, precision, targets)
        if log is not None:
            config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        shapes = builder.create_optimization_profile()
        sizes = [(n, graph.channels, h, w) for n, h, w in (profile.least, profile.usual, profile.most)]
        shapes.set_shape(graph.input, *sizes)
        config.add_optimization_profile(shapes)
        monitor = _monitor(trt, distribution, progress) if hasattr(trt, "IProgressMonitor") else None
        if monitor is not None:
            config.progress_monitor = monitor
        made = builder.build_serialized_network(network, config)
        if monitor is not None and monitor.raised is not None:
            raise monitor.raised
        distribution.log.check()
        if made is None:
            raise EngineError(f"{graph.path}: {distribution.title} cannot build it in {precision}: {_last(errors)}")
        return bytes(made)


def _strongly_typed(trt: Any) -> int:
    """The flag that asks for it where it is not the only kind there is."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _configure(config: Any, distribution: Distribution, precision: str, targets: Sequence[str]) -> None:
    trt = distribution.trt
    if precision == "fp32" and hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # it would round what fp32 multiplies to 11 bits
    kinds = [distribution.target(sm) for sm in targets]
    without = [sm for sm in targets if precision == "fp8" and tuple(map(int, sm.split("."))) < FP8_SM]
    if without:
        raise EngineError(f"SM {', '.join(without)} has no fp8; it begins with SM {'.'.join(map(str, FP8_SM))}")
    if kinds:
        config.num_compute_capabilities = len(kinds)
    for i, kind in enumerate(kinds):
        if not config.set_compute_capability(kind, i):
            raise EngineError(
                f"{distribution.title} does not build for SM {targets[i]} together with {', '.join(targets)}"
            )


def _refusal(parser: Any) -> str:
    """What the parser says of the first operator that it refuses."""
    if parser.num_errors == 0:
        return "its parser does not say why"
    error = parser.get_error(0)
    where = f"operator {error.node_operator() or '?'} ({error.node_name() or 'without a name'}): "
    return (where if error.node() >= 0 else "") + " ".join(error.desc().split())


def _last(errors: Sequence[str]) -> str:
    return " ".join(errors[-1].split()) if errors else "it does not say why"


def _monitor(trt: Any, distribution: Distribution, progress: Progress | None) -> Any:
    """An IProgressMonitor that counts the steps of all phases, for `progress`, and stops when something was raised."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.raised: BaseException | None = None
            self._lock = threading.Lock()
            self._open: dict[str, list[int]] = {}  # phase -> [steps, steps done]
            self._closed = 0

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            with self._guarded():
                self._open[phase] = [steps, 0]

        def step_complete(self, phase: str, step: int) -> bool:
            with self._guarded():
                if phase in self._open:
                    self._open[phase][1] = step + 1
                self._tell()
            return self.raised is None

        def phase_finish(self, phase: str) -> None:
            with self._guarded():
                self._closed += self._open.pop(phase, [0])[0]
                self._tell()

        def _tell(self) -> None:
            distribution.log.check()
            if progress is None:
                return
            done = self._closed + sum(done for _, done in self._open.values())
            progress(done, self._closed + sum(steps for steps, _ in self._open.values()))

        @contextlib.contextmanager
        def _guarded(self) -> Iterator[None]:
            # TensorRT calls from C++, through which no exception may pass; it is raised after the build has stopped.
            try:
                with self._lock:
                    yield
            except BaseException as error:
                self.raised = self.raised or error

    return Monitor()
