"""Arrays in a GPU's memory, whoever made them (torch, CuPy, numba, cuda-core), and the streams they are used on.

Read by `__cuda_array_interface__` (version 3) or by DLPack; never copied, and no library is imported for it.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsr.errors import EngineError

# DLPack's numbers for memory that kernels can use: a GPU's own, and managed memory.
_GPU_MEMORY = (2, 13)
_DLPACK_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex"}


@dataclass(frozen=True)
class CudaArray:
    """A C-contiguous array in device memory; `owner` is the object that it was read from."""

    address: int
    shape: tuple[int, ...]
    dtype: str
    itemsize: int
    device: int | None
    readonly: bool
    stream: int | None
    owner: Any

    @property
    def described(self) -> tuple[int, list[int], str, int]:
        """What `_cuda` takes."""
        return self.address, list(self.shape), self.dtype, self.itemsize


def module() -> Any:
    """`fastsr._cuda`; EngineError where it was not built."""
    try:
        from fastsr import _cuda
    except ImportError as error:
        raise EngineError(
            f"this build of fastsr has no CUDA module ({error}): install the CUDA toolkit (nvcc) and rebuild with "
            "FASTSR_CUDA=on pip install . , or hand in arrays in CPU memory"
        ) from None
    return _cuda


def is_cuda(array: Any) -> bool:
    """Whether an object says that its elements lie in a GPU's memory."""
    if isinstance(array, np.ndarray):
        return False
    if hasattr(type(array), "__dlpack_device__"):
        return int(array.__dlpack_device__()[0]) in _GPU_MEMORY
    return hasattr(array, "__cuda_array_interface__")


def any_cuda(**arrays: Any) -> bool:
    """Whether the arrays (None for those not given) lie on a GPU; ValueError where some do and some do not."""
    places = {name: is_cuda(array) for name, array in arrays.items() if array is not None}
    if len(set(places.values())) > 1:
        gpu = ", ".join(name for name, there in places.items() if there)
        cpu = ", ".join(name for name, there in places.items() if not there)
        raise ValueError(f"{gpu} in a GPU's memory, but {cpu} in CPU memory; move one to the other first")
    return True in places.values()


def read(array: Any, name: str, written: bool = False) -> CudaArray:
    """Where an array lies and of what type it is. ValueError for one that kernels cannot use as it is."""
    if getattr(array, "requires_grad", False):
        raise ValueError(f"{name} requires a gradient, which fastsr does not make; hand in {name}.detach()")
    found = _read_interface(array, name) or _read_dlpack(array, name)
    if written and found.readonly:
        raise ValueError(f"{name} is read-only")
    if found.address % max(1, found.itemsize):
        raise ValueError(f"{name} is not aligned to its {found.itemsize}-byte elements")
    return found


def _read_interface(array: Any, name: str) -> CudaArray | None:
    try:
        interface = array.__cuda_array_interface__
        dtype = np.dtype(interface["typestr"])
    except (AttributeError, TypeError, KeyError):  # none, or none for this type: torch's bfloat16
        return None
    if dtype.kind == "V":
        return None
    if not dtype.isnative:
        raise ValueError(f"{name} has its bytes swapped, which no GPU reads")
    if interface.get("mask") is not None:
        raise ValueError(f"{name} is a masked array; hand in its data")
    shape = tuple(int(side) for side in interface["shape"])
    strides = interface.get("strides")
    _require_contiguous(shape, strides, dtype.itemsize, name)
    stream = interface.get("stream")
    if stream == 0:
        raise ValueError(f"{name} names stream 0, which its protocol forbids; 1 is the default stream")
    address, readonly = interface["data"]
    device = _device(array)
    return CudaArray(int(address), shape, dtype.name, dtype.itemsize, device, bool(readonly), stream, array)


def _read_dlpack(array: Any, name: str) -> CudaArray:
    cuda = module()
    try:
        tensor = cuda.read_dlpack(_capsule(array))
    except (AttributeError, BufferError) as error:
        raise ValueError(f"{name} cannot be read in place ({error})") from error
    kind = "bool" if tensor["code"] == 6 else f"{_DLPACK_KINDS.get(tensor['code'], 'code')}{tensor['bits']}"
    if tensor["lanes"] != 1 or tensor["bits"] % 8:
        raise ValueError(f"{name} has elements of {tensor['lanes']} x {tensor['bits']} bits; whole bytes are needed")
    itemsize = tensor["bits"] // 8
    shape = tuple(tensor["shape"])
    strides = None if tensor["strides"] is None else [step * itemsize for step in tensor["strides"]]
    _require_contiguous(shape, strides, itemsize, name)
    # The capsule is not taken over: dropping it here returns it, and the caller keeps the array itself alive.
    return CudaArray(tensor["address"], shape, kind, itemsize, tensor["device"][1], tensor["readonly"], None, array)


def _capsule(array: Any) -> Any:
    name, library = _library(array)
    current = library.cuda.device(array.device) if name == "torch" and array.is_cuda else contextlib.nullcontext()
    with current:  # torch exports from the current device only
        try:
            return array.__dlpack__(stream=-1, max_version=(1, 0))  # -1: no waiting, the caller's stream is used
        except TypeError:  # before DLPack 1.0
            return array.__dlpack__(stream=-1)


def _require_contiguous(shape: tuple[int, ...], strides: Any, itemsize: int, name: str) -> None:
    if strides is None or 0 in shape:
        return
    expected = itemsize
    for side, stride in zip(reversed(shape), reversed(strides), strict=True):
        if side != 1 and stride != expected:
            raise ValueError(f"{name} must be C-contiguous; hand in {name}.contiguous() (or a copy of that kind)")
        expected *= side


def _device(array: Any) -> int | None:
    return int(array.__dlpack_device__()[1]) if hasattr(type(array), "__dlpack_device__") else None


def common_device(arrays: dict[str, CudaArray]) -> int:
    """Index of the device that all of them lie on; -1 where there is no driver to ask. ValueError for several."""
    devices = {}
    for name, array in arrays.items():
        device = array.device
        if device is None and array.address:
            device = module().device_of(array.address)
            if device < 0 and module().driver_version():
                raise ValueError(f"{name} is not memory of a CUDA device that this process sees")
        if device is not None:
            devices[name] = device
    if len(set(devices.values())) > 1:
        places = ", ".join(f"{name} on device {device}" for name, device in devices.items())
        raise ValueError(f"arrays lie on different devices: {places}; move them to one")
    return next(iter(devices.values()), 0)


def _library(array: Any) -> tuple[str, Any]:
    """The loaded library that an array comes from: "torch", "cupy" or "", and its module."""
    for kind in type(array).__mro__:
        name = kind.__module__.partition(".")[0]
        if name in ("torch", "cupy") and name in sys.modules:
            return name, sys.modules[name]
    return "", None


def _current_stream(array: CudaArray, device: int) -> int | None:
    name, library = _library(array.owner)
    if name == "torch":
        return int(library.cuda.current_stream(device).cuda_stream)
    if name == "cupy":
        with library.cuda.Device(device):
            return int(library.cuda.get_current_stream().ptr)
    return None


def stream_handle(stream: Any, arrays: dict[str, CudaArray], device: int) -> int:
    """The handle of the stream to run on.

    `stream` is a handle, or an object with `__cuda_stream__` (torch's and CuPy's streams are understood without it).
    None takes the current stream of the arrays' library (torch, CuPy), else the stream that their protocol names, else
    the default stream. TypeError for anything else, ValueError where arrays name different streams.
    """
    if stream is None:
        for array in arrays.values():
            current = _current_stream(array, device)
            if current is not None:
                return current
        named = {array.stream for array in arrays.values() if array.stream is not None}
        if len(named) > 1:
            raise ValueError("the arrays are in use on different streams; name the one to run on: stream=")
        return int(named.pop()) if named else 0
    if isinstance(stream, int) and not isinstance(stream, bool):
        if stream < 0:
            raise ValueError(f"stream {stream} is no handle of a CUDA stream")
        return stream
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        version, handle = protocol() if callable(protocol) else protocol
        if version != 0:
            raise ValueError(f"version {version} of the __cuda_stream__ protocol is not known; fastsr reads version 0")
        return int(handle)
    for attribute in ("cuda_stream", "ptr"):  # torch.cuda.Stream, cupy.cuda.Stream
        handle = getattr(stream, attribute, None)
        if isinstance(handle, int):
            return handle
    raise TypeError(f"stream must be an integer handle or have __cuda_stream__, not {type(stream).__name__}")


def empty(like: CudaArray, shape: list[int], dtype: str, device: int, handle: int) -> Any:
    """A new array from the library that `like` comes from, its memory ready for use on the stream `handle`."""
    name, library = _library(like.owner)
    if name == "torch":
        where = {"dtype": getattr(library, dtype), "device": like.owner.device}
        if handle == library.cuda.current_stream(device).cuda_stream:
            return library.empty(shape, **where)
        with library.cuda.stream(library.cuda.ExternalStream(handle, device)):
            return library.empty(shape, **where)
    if name == "cupy":
        with library.cuda.Device(device):
            if handle == library.cuda.get_current_stream().ptr:
                return library.empty(shape, dtype)
            with library.cuda.ExternalStream(handle, device):
                return library.empty(shape, dtype)
    raise ValueError(
        f"a {type(like.owner).__name__} does not say how to make another; hand in out=, {dtype} of shape {tuple(shape)}"
    )


@dataclass(frozen=True)
class Call:
    """The arrays of one operation, where they lie and the stream it runs on."""

    arrays: dict[str, CudaArray]
    device: int
    stream: int

    @classmethod
    def of(cls, stream: Any, written: str, **arrays: Any) -> Call:
        """`written` names the array that the operation changes; arrays that were not given are None."""
        module()
        found = {name: read(array, name, name == written) for name, array in arrays.items() if array is not None}
        device = common_device(found)
        return cls(found, device, stream_handle(stream, found, device))

    def described(self, name: str) -> Any:
        """An array as `_cuda` takes it; None for one that was not given."""
        return self.arrays[name].described if name in self.arrays else None

    def run(self, operation: str, *arguments: Any) -> None:
        """Start an operation of `_cuda`. EngineError where the machine cannot run it."""
        cuda = module()
        try:
            getattr(cuda, operation)(*arguments, cuda.Queue(self.device, self.stream))
        except RuntimeError as error:
            raise EngineError(str(error)) from error
