"""Neither the number of threads nor the instruction set changes what the native engine makes; threads are kept busy."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.instruction_sets import with_fma
from support.native_networks import NATIVE, PARTLY_FLOAT, frame_of, stack
from support.small_models import SAMPLE

from fastsr import _core
from fastsr.engines.native.engine import NativeEngine
from fastsr.network import catalog, onnx_reader

RUN = """
import sys, numpy as np
from fastsr.engines.native.engine import NativeEngine, precisions
from fastsr.network import onnx_reader
frame = np.load(sys.argv[1])
made = {}
for path in sys.argv[3:]:
    for precision in precisions():
        key = path.replace("/", "_") + precision
        made[key] = NativeEngine(onnx_reader.read(path), precision, None).run(frame)
np.savez(sys.argv[2], **made)
"""


def results(folder, paths, **environment):
    """What a process with other settings makes of one frame, by model and precision."""
    np.save(folder / "frame.npy", frame_of(8, 45, 133, dtype=np.float32))  # wide enough for threads to share rows
    arguments = [sys.executable, "-c", RUN, folder / "frame.npy", folder / "made.npz", *paths]
    subprocess.run([*map(str, arguments)], check=True, env={**os.environ, **environment})
    with np.load(folder / "made.npz") as made:
        return dict(made)


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["4", "16", "32"])
def test_more_threads_than_cores_change_nothing(networks, tmp_path, threads):
    paths = [networks[name].path for name in NATIVE if name != "gray-x1"]
    expected = results(tmp_path, paths, FASTSR_NUM_THREADS="1")
    for key, value in results(tmp_path, paths, FASTSR_NUM_THREADS=threads, FASTSR_TEST_THREADS="1").items():
        np.testing.assert_array_equal(value, expected[key], err_msg=key)


@pytest.mark.parametrize("name", ["fast-x4", "fast-x2", "srgan-x4"])
def test_sixteen_threads_are_kept_busy(name):
    engine = NativeEngine(onnx_reader.read(catalog.models()[name].path), "fp32", None)
    cut = engine._program.cut(270, 480, threads=16)
    assert 1 <= cut.work < 1.2
    assert 0.85 < cut.efficiency <= 1


@pytest.mark.parametrize("threads", [2, 4])
def test_a_deep_network_of_small_rows_is_shared_by_a_team(threads):
    """In int8, whose layers make single rows: as bands, all threads would compute nearly the whole image."""
    draws, program = np.random.default_rng(3), _core.ConvProgram("int8")
    kernel = draws.integers(-127, 128, (16, 16, 3, 3), np.int8)
    nothing, scales = np.empty(0, np.float32), np.full(16, 1e-4, np.float32)
    program.tensor(3, 1, True, False)
    for tensor in range(1, 40):
        program.tensor(16, 1, tensor == 39, tensor < 39, 0.01, 0)
    program.tensor(3, 1, True, False)
    weights = draws.normal(size=(16, 3, 3, 3)).astype(np.float32)
    program.conv(0, 1, weights, np.zeros(16, np.float32), nothing, nothing, -1, -np.inf, np.inf, 1)
    for tensor in range(2, 40):
        program.conv(tensor - 1, tensor, kernel, np.zeros(16, np.int32), scales, nothing, -1, -np.inf, np.inf, 1)
    program.remap(39, 40, 1, np.arange(3, dtype=np.int32), nothing, -1, -np.inf, np.inf)
    program.store(40, 1, "none")
    cut = program.cut(64, 64, threads=threads)
    assert cut.efficiency > 0.8
    assert cut.across * cut.down == 1


def test_threads_and_instruction_sets_change_nothing(networks, tmp_path):
    paths = [networks[name].path for name in NATIVE if name != "gray-x1"]
    isa = _core.available_isas()[-1]
    expected = results(tmp_path, paths, FASTSR_NUM_THREADS="1", FASTSR_ISA=isa)
    for threads in ("2", "8"):  # more than there may be, so that rows are made in batches
        made = results(tmp_path, paths, FASTSR_NUM_THREADS=threads, FASTSR_TEST_THREADS="1", FASTSR_ISA=isa)
        for key, value in made.items():
            np.testing.assert_array_equal(value, expected[key], err_msg=f"{threads} threads: {key}")
    for isa in reversed(_core.available_isas()):
        made = results(tmp_path, paths, FASTSR_ISA=isa)
        assert len(made) >= 2 * len(paths)
        for key, value in made.items():
            expected.setdefault(key, value)  # bf16, which not every one has
            if isa == "portable" and key.endswith("fp32"):  # without FMA products and sums are rounded apart
                np.testing.assert_allclose(value, expected[key], atol=1e-5, err_msg=f"{isa} {key}")
            elif isa == "portable" and any(name in key for name in PARTLY_FLOAT):
                assert np.abs(value - expected[key]).mean() < 1e-3, f"{isa} {key}"  # a level may round the other way
            else:
                np.testing.assert_array_equal(value, expected[key], err_msg=f"{isa} {key}")


@pytest.mark.parametrize("channels", [8, 16, 20, 24, 32, 48, 64])
def test_fp32_is_one_result_whatever_vectors_the_channels_fill(channels, tmp_path, monkeypatch):
    """Channels are filled up to whole vectors: which algorithm computes them must not follow from that."""
    network = onnx_reader.read(stack(channels).save(tmp_path / "m.onnx"))
    frame = frame_of(9, 37, 121, dtype=np.float32)
    monkeypatch.setenv("FASTSR_ISA", with_fma()[0])
    expected = NativeEngine(network, "fp32", None).run(frame)
    for isa in with_fma():
        monkeypatch.setenv("FASTSR_ISA", isa)
        engine = NativeEngine(network, "fp32", None)
        for side in (0, 11, 50):
            np.testing.assert_array_equal(engine._program.run(frame, side), expected, err_msg=f"{isa} {side}")


@pytest.mark.parametrize("name", sorted(catalog.models()))
def test_shipped_models_make_one_image_on_every_instruction_set(name, monkeypatch):
    with Image.open(SAMPLE) as photo:
        pixels = np.asarray(photo.convert("RGB").crop((60, 60, 95, 87)))
    network = onnx_reader.read(catalog.find(name))
    made = {}
    for isa in with_fma():
        monkeypatch.setenv("FASTSR_ISA", isa)
        made[isa] = hashlib.sha256(NativeEngine(network, "fp32", None).run(pixels).tobytes()).hexdigest()
    assert len(set(made.values())) == 1, made
