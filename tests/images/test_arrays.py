"""NumPy arrays and PyTorch tensors in and out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.image_helpers import enlarge, noise, restored, rng, twice

from fastsr import images
from fastsr.errors import ImageError
from fastsr.images import read


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 3), (3, 5, 4), (1, 1), (1, 1, 4), (3, 1, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float16", "float32", "float64", ">f4"])
def test_arrays_come_back_as_they_were(shape, dtype):
    kind = np.dtype(dtype)
    array = rng.random(shape).astype(kind) if kind.kind == "f" else noise(*shape, dtype=kind.newbyteorder("="))
    array = array.astype(kind)
    result = restored(array)
    assert result.dtype == kind
    assert result.shape == (2 * shape[0], 2 * shape[1], *shape[2:])
    expected = array.astype(np.float32).astype(kind) if kind.kind == "f" else array
    np.testing.assert_array_equal(result, twice(expected))


def test_frames_are_contiguous_and_typed():
    frame = read(noise(3, 5, 4)).frames[0]
    assert frame.color.shape == (3, 5, 3)
    assert frame.alpha is not None
    assert frame.alpha.shape == (3, 5, 1)
    assert frame.black is None
    assert frame.color.flags.c_contiguous
    assert frame.alpha.flags.c_contiguous
    assert read(rng.random((3, 5))).frames[0].color.dtype == np.float32
    assert read(noise(3, 5)).frames[0].alpha is None


def test_frames_do_not_share_memory_with_the_input():
    array = noise(4, 4, 3)
    decoded = read(array)
    decoded.frames[0].color[:] = 0
    assert array.any()


def test_any_strides():
    array = noise(8, 10, 3)
    for view in (array[::2, ::-1], array.transpose(1, 0, 2), np.broadcast_to(array[:1, :1], (4, 5, 3))):
        np.testing.assert_array_equal(restored(view), twice(view))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), bool), ["bool", "uint8"]),
        (np.zeros((4, 4), np.int32), ["int32", "astype"]),
        (np.zeros((4, 4), complex), ["complex128"]),
        (np.zeros((4, 4, 2), np.uint8), ["(4, 4, 2)", "split"]),
        (np.zeros((4, 4, 5), np.uint8), ["(4, 4, 5)"]),
        (np.zeros((3, 8, 9), np.uint8), ["transpose(1, 2, 0)"]),
        (np.zeros(4, np.uint8), ["(4,)"]),
        (np.zeros((2, 4, 4, 3), np.uint8), ["one by one"]),
        (np.zeros((0, 4, 3), np.uint8), ["4 x 0", "1 x 1"]),
        (np.zeros((4, 0), np.float32), ["0 x 4"]),
        (np.full((2, 2), np.nan), ["NaN"]),
        (np.full((2, 2), np.inf, np.float32), ["infinite"]),
        (np.full((2, 2), 255.0), ["255", "divide by 255"]),
        (np.full((2, 2), -0.51), ["-0.51", "0..1"]),
        (np.full((2, 2), 1e300), ["1e+300"]),
    ],
)
def test_bad_arrays(array, words):
    with pytest.raises(ImageError) as caught:
        read(array)
    assert all(word in str(caught.value) for word in ["image", *words])


def test_floats_slightly_outside_are_clipped():
    frame = read(np.array([[-0.0009, 1.0009]], np.float32)).frames[0]
    np.testing.assert_array_equal(frame.color[0, :, 0], [0, 1])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32", "float64"])
def test_tensors_come_back_as_they_were(channels, batch, dtype):
    torch = pytest.importorskip("torch")
    shape = (channels, 3, 5) if batch is None else (batch, channels, 3, 5)
    kind = getattr(torch, dtype)
    tensor = torch.randint(0, 256, shape, dtype=kind) if dtype == "uint8" else torch.rand(shape).to(kind)
    decoded = read(tensor)
    assert len(decoded.frames) == (batch or 1)
    result = decoded.restore(enlarge(decoded.frames))
    assert result.dtype == kind
    assert result.device == tensor.device
    assert torch.equal(result, tensor.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_tensor_with_gradient_and_strides():
    torch = pytest.importorskip("torch")
    tensor = torch.rand(5, 4, 3, requires_grad=True).permute(2, 0, 1)
    assert torch.equal(restored(tensor)[:, ::2, ::2], tensor)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda t: t.zeros(3, 4, 4, dtype=t.int32), ["int32", "uint8"]),
        (lambda t: t.zeros(4, 4), ["(4, 4)", "unsqueeze"]),
        (lambda t: t.zeros(2, 4, 4), ["(2, 4, 4)"]),
        (lambda t: t.zeros(7, 4, 3), ["permute(2, 0, 1)"]),
        (lambda t: t.zeros(3, 0, 4), ["1 x 1"]),
        (lambda t: t.zeros(0, 3, 4, 4), ["1 x 1"]),
        (lambda t: t.full((1, 2, 2), float("nan")), ["NaN"]),
        (lambda t: t.full((1, 2, 2), 200.0), ["divide by 255"]),
    ],
)
def test_bad_tensors(make, words):
    torch = pytest.importorskip("torch")
    with pytest.raises(ImageError) as caught:
        read(make(torch))
    assert all(word in str(caught.value) for word in words)


def test_import_leaves_torch_and_the_encoders_alone():
    slow = {"torch", "PIL.PngImagePlugin", "PIL.TiffImagePlugin", "PIL.GifImagePlugin"}
    code = f"import sys, fastsr.images; sys.exit(bool({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(images.__file__).parents[2]).returncode == 0
