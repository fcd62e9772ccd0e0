"""The two TensorRTs: TensorRT-RTX for consumer cards, TensorRT for data-centre ones; which of them serves a GPU."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import importlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from fastsr.engines.gpu.discovery import INSTALL, Gpu
from fastsr.errors import EngineError

MODULES = ("tensorrt_rtx", "tensorrt")  # in the order in which a GPU that both serve takes them
TITLES = {"tensorrt_rtx": "TensorRT-RTX", "tensorrt": "TensorRT"}
OLDEST = {"tensorrt_rtx": 1, "tensorrt": 10}  # major versions
_DATA_CENTRE = re.compile(r"(9|10)\.\d+")

LogLine = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """An installed TensorRT. The two share their API, so one builder and one runtime side serve both."""

    name: str  # of the module
    version: str
    trt: Any = dataclasses.field(repr=False, compare=False)

    @property
    def title(self) -> str:
        """Name and version, for messages."""
        return f"{TITLES[self.name]} {self.version}"

    @functools.cached_property
    def targets(self) -> tuple[str, ...]:
        """Compute capabilities that it builds for on any machine; empty when it builds only for the GPU it runs on."""
        kinds = getattr(self.trt, "ComputeCapability", None)
        return () if kinds is None else tuple(_targets(kinds))

    def target(self, sm: str) -> Any:
        """Its constant for a compute capability. Raises EngineError, naming those there are."""
        if not self.targets:
            raise EngineError(f"{self.title} builds only for the GPU it runs on; leave the targets out")
        kind = _targets(self.trt.ComputeCapability).get(sm)
        if kind is None:
            raise EngineError(f"{self.title} does not build for SM {sm}; it builds for: {', '.join(self.targets)}")
        return kind

    def serves(self, gpu: Gpu) -> bool:
        """Whether its engines run on a GPU; TensorRT's own list is not to be had, so it is taken to serve all."""
        return not self.targets or gpu.sm in self.targets

    @functools.cached_property
    def log(self) -> Log:
        """The logger for everything made with it; TensorRT keeps the first that a process gives it."""
        return Log(self.trt)


class Log:
    """Hands TensorRT's log lines to those who listen; prints nothing."""

    def __init__(self, trt: Any) -> None:
        self._listeners: dict[int, tuple[LogLine, bool]] = {}
        self._lock = threading.Lock()
        self._raised: dict[int, BaseException] = {}  # by thread
        heard, raised = self._heard, self._raised

        class Logger(trt.ILogger):  # type: ignore[misc]
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                # An exception, of Ctrl-C for one, would have to pass through C++, which ends the process.
                try:
                    heard(message, severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR))
                except BaseException as error:
                    raised[threading.get_ident()] = error

        self.logger = Logger()

    def _heard(self, message: str, is_error: bool) -> None:
        with self._lock:
            listeners = list(self._listeners.values())
        for listener, everything in listeners:
            if is_error or everything:
                listener(message)

    def check(self) -> None:
        """Raise what was raised in this thread while TensorRT logged, Ctrl-C for one; nothing the second time."""
        error = self._raised.pop(threading.get_ident(), None)
        if error is not None:
            raise error

    @contextlib.contextmanager
    def listening(self, listener: LogLine, everything: bool = False) -> Iterator[None]:
        """Hand over lines while the block runs: errors, or everything."""
        key = id(entry := (listener, everything))
        with self._lock:
            self._listeners[key] = entry
        try:
            yield
        finally:
            with self._lock:
                del self._listeners[key]

    @contextlib.contextmanager
    def errors(self) -> Iterator[collections.deque[str]]:
        """The last error lines of what runs in the block, filled as they come."""
        lines: collections.deque[str] = collections.deque(maxlen=8)
        with self.listening(lines.append):
            yield lines


def _targets(kinds: Any) -> dict[str, Any]:
    """SM86 -> "8.6", SM120 -> "12.0", for each of TensorRT-RTX's constants."""
    found = {name: re.fullmatch(r"SM(\d+)(\d)", name) for name in kinds.__members__}
    return {f"{m[1]}.{m[2]}": getattr(kinds, name) for name, m in found.items() if m is not None}


@functools.cache
def find(name: str) -> Distribution:
    """An installed TensorRT by the name of its module. Raises EngineError when it is missing, broken or too old."""
    install = INSTALL if name == "tensorrt_rtx" else "run: pip install tensorrt"
    try:
        trt = importlib.import_module(name)
        version = str(trt.__version__)
    except (ImportError, OSError, AttributeError) as error:  # OSError: a shared library it needs is missing
        raise EngineError(f"{TITLES[name]} is not installed ({error}); {install}") from None
    if int(version.split(".")[0]) < OLDEST[name]:
        raise EngineError(f"{TITLES[name]} {version} is too old; {install} (at least {OLDEST[name]})")
    return Distribution(name, version, trt)


def choose(gpu: Gpu) -> Distribution:
    """TensorRT-RTX where it lists the GPU, else TensorRT. Raises EngineError, saying what to install."""
    unfit = None
    for name in MODULES:
        try:
            distribution = find(name)
        except EngineError:
            continue
        if distribution.serves(gpu):
            return distribution
        unfit = distribution
    if unfit is not None:
        raise EngineError(f"{unfit.title} does not serve {gpu.name} (SM {gpu.sm}); run: pip install tensorrt")
    install = "run: pip install tensorrt" if _DATA_CENTRE.fullmatch(gpu.sm) else INSTALL
    raise EngineError(f"no TensorRT is installed for {gpu.name} (SM {gpu.sm}); {install}")
