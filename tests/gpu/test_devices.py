"""What needs an NVIDIA GPU: the module sees it, and the torch engine agrees with the CPU on it."""

import numpy as np
import pytest

import fastsr

pytestmark = pytest.mark.gpu


def test_devices_are_listed():
    from fastsr import _cuda

    devices, reason = _cuda.devices()
    assert devices, reason
    assert devices[0]["compute_capability"] >= (7, 5)
    assert devices[0]["memory"] > 1 << 30
    assert _cuda.driver_version() >= 12000


@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1), ("fp16", 2), ("bf16", 8)])
def test_torch_engine_agrees_with_the_cpu(precision, levels):
    frame = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    made = fastsr.load("fast-x4", device="cuda", precision=precision, engine="torch").upscale(frame)
    expected = fastsr.load("fast-x4", device="cpu", engine="onnxruntime").upscale(frame)
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= levels
