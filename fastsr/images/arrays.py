"""NumPy arrays and PyTorch tensors in and out; torch itself is never imported here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastsr.errors import ImageError
from fastsr.images.decoded_image import Array, DecodedImage, Frame, Metadata
from fastsr.images.sample_values import settled
from fastsr.images.samples import check_sides, joined, split, views


@dataclass(frozen=True)
class ArrayLayout:
    """Restores arrays H x W or H x W x C."""

    ndim: int
    dtype: np.dtype[Any]

    def restore(self, frames: Sequence[Frame], image: DecodedImage) -> Array:
        """The one frame as array."""
        depth = np.dtype(np.float32) if self.dtype.kind == "f" else self.dtype.newbyteorder("=")
        samples = joined(frames[0], depth).astype(self.dtype, copy=False)
        return samples[..., 0] if self.ndim == 2 else samples


def read_array(array: Array) -> DecodedImage:
    """Decode an array H x W, H x W x 1, 3 or 4."""
    return _image(array, split(settled(_samples(array), "image")))


def view_array(array: Array) -> DecodedImage:
    """The same for one who reads some of the pixels at once: they stay the caller's, and are not `settled` yet."""
    return _image(array, views(_samples(array)))


def _image(array: Array, frame: Frame) -> DecodedImage:
    return DecodedImage([frame], "image", ArrayLayout(array.ndim, array.dtype), (Metadata(),))


def _samples(array: Array) -> Array:
    """H x W x C. Raises ImageError."""
    what = f"image: array of shape {array.shape} and dtype {array.dtype}"
    accepted = "accepted are H x W, H x W x 1, H x W x 3 (RGB) and H x W x 4 (RGBA)"
    if array.ndim not in (2, 3):
        raise ImageError(f"{what}: {accepted}; hand in the images of a batch one by one")
    if array.ndim == 3 and array.shape[2] == 2:
        raise ImageError(f"{what}: {accepted}; split the two channels and hand them in one by one")
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        looks_planar = array.shape[0] in (1, 3, 4)
        hint = "this looks like C x H x W: hand in array.transpose(1, 2, 0)" if looks_planar else "select channels"
        raise ImageError(f"{what}: {accepted}; {hint}")
    if array.dtype.str[1:] not in ("u1", "u2", "f2", "f4", "f8"):
        raise ImageError(f"{what}: accepted dtypes are uint8, uint16, float16, float32 and float64; use array.astype")
    check_sides(array.shape[1], array.shape[0], "image")
    return array[..., np.newaxis] if array.ndim == 2 else array


@dataclass(frozen=True)
class TensorLayout:
    """Restores tensors C x H x W or N x C x H x W."""

    ndim: int
    dtype: Any
    device: Any

    def restore(self, frames: Sequence[Frame], image: DecodedImage) -> Any:
        """All frames as one tensor."""
        torch: Any = sys.modules["torch"]
        depth = np.uint8 if self.dtype == torch.uint8 else np.float32
        planes = [torch.from_numpy(joined(frame, depth)).permute(2, 0, 1) for frame in frames]
        stacked = planes[0] if self.ndim == 3 else torch.stack(planes)
        return stacked.contiguous().to(self.dtype).to(self.device)


def is_tensor(image: Any) -> bool:
    """Whether this is a PyTorch tensor; none can be where torch was not imported."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(image, torch.Tensor)


def read_tensor(tensor: Any) -> DecodedImage:
    """Decode a tensor C x H x W or N x C x H x W, C = 1, 3 or 4."""
    return _batch(tensor, [split(samples) for samples in settled(_tensor_samples(tensor), "image")])


def view_tensor(tensor: Any) -> DecodedImage:
    """As `view_array`, for a tensor in the host's memory."""
    return _batch(tensor, [views(samples) for samples in _tensor_samples(tensor)])


def _batch(tensor: Any, frames: list[Frame]) -> DecodedImage:
    layout = TensorLayout(tensor.ndim, tensor.dtype, tensor.device)
    return DecodedImage(frames, "image", layout, (Metadata(),) * len(frames))


def _tensor_samples(tensor: Any) -> Array:
    """N x H x W x C. Raises ImageError."""
    torch: Any = sys.modules["torch"]
    shape = tuple(tensor.shape)
    what = f"image: tensor of shape {shape} and dtype {tensor.dtype}"
    accepted = "accepted are C x H x W and N x C x H x W with C = 1, 3 (RGB) or 4 (RGBA)"
    if tensor.ndim not in (3, 4):
        raise ImageError(f"{what}: {accepted}; add the missing axes with unsqueeze(0)")
    if shape[-3] not in (1, 3, 4):
        axes = "permute(2, 0, 1)" if tensor.ndim == 3 else "permute(0, 3, 1, 2)"
        looks_channels_last = shape[-1] in (1, 3, 4)
        hint = f"this looks like channels last: hand in tensor.{axes}" if looks_channels_last else "select channels"
        raise ImageError(f"{what}: {accepted}; {hint}")
    if tensor.dtype != torch.uint8 and not tensor.dtype.is_floating_point:
        raise ImageError(f"{what}: accepted dtypes are uint8 and the float ones; use tensor.to")
    if 0 in shape:
        raise ImageError(f"{what}: has no pixels; hand in an image of at least 1 x 1")
    plain = tensor.detach().cpu()
    if tensor.dtype.is_floating_point and tensor.dtype != torch.float64:
        # float64 is checked before it is cut: float32 would hide an overflow
        plain = plain.to(torch.float32)
    values: Array = plain.numpy()
    return values.reshape(-1, *shape[-3:]).transpose(0, 2, 3, 1)
