"""What users say about tiles, their border and the memory: what is exact, what is refused, what it costs."""

import subprocess
import sys

import numpy as np
import pytest
from support.small_models import Builder, compact, rrdb

import fastsr
from fastsr.engines import memory_shortage
from fastsr.engines.native.engine import NativeEngine
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError
from fastsr.network import onnx_reader
from fastsr.network.activation_memory import held_floats
from fastsr.tiling import bounds


def frame_of(height, width, dtype=np.uint8):
    random = np.random.default_rng(height)
    if dtype == np.float32:
        return random.random((height, width, 3), np.float32)
    return random.integers(0, 256, (height, width, 3), dtype)


def pooled(builder):
    """A network whose values depend on the whole picture: its channels weighed by their means."""
    before = builder.x
    builder.add("GlobalAveragePool").add("Sigmoid")
    weights, builder.x = builder.x, before
    return builder.add("Mul", weights).conv(12).shuffle(2)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Of radius 69 or so, as RRDB networks are of a wide one."""
    return onnx_reader.read(rrdb(depth=4).save(tmp_path_factory.mktemp("models") / "deep.onnx"))


# ---- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (1 << 20, 1 << 20),
        (np.int64(5), 5),
        ("2G", 2 << 30),
        ("512M", 512 << 20),
        ("1.5 GiB", 3 << 29),
        ("900kb", 921600),
    ],
)
def test_amounts_of_memory(given, meant):
    assert bounds.checked(None, None, given).memory == meant


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"memory": m}, "is not an amount of memory") for m in ("", "G", "-1G", "two", 0, -5, True, 1.5, "1e99G")),
        *(({"overlap": o}, "is not a number of pixels; use a whole number such as 32") for o in (-1, "8", 1.5, True)),
    ],
)
def test_what_is_no_bound_is_named(options, message, tmp_path):
    path = compact().save(tmp_path / "m.onnx")
    with pytest.raises(EngineError, match=message):
        fastsr.load(path, **options)
    with pytest.raises(EngineError, match=message):
        fastsr.upscale(frame_of(9, 9), model=path, **options)


# ---- overlap ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [NativeEngine, OnnxRuntimeEngine])
def test_windows_with_a_smaller_border_differ_only_near_their_edges(deep, make):
    frame, tile, overlap = frame_of(150, 170, np.float32), 100, 8
    whole = make(deep, "fp32", None).run(frame)
    parted = make(deep, "fp32", tile, overlap).run(frame)
    assert (parted != whole).any()
    assert np.abs(parted - whole).max() < 0.1
    exact = make(deep, "fp32", 2 * deep.radius + 9, deep.radius).run(frame)
    np.testing.assert_array_equal(exact, whole)
    more = make(deep, "fp32", 2 * deep.radius + 9, 3 * deep.radius).run(frame)
    np.testing.assert_array_equal(more, whole)


def test_both_engines_cut_the_same_windows(deep):
    frame = frame_of(90, 110)
    made, expected = (e(deep, "fp32", 60, 5).run(frame) for e in (NativeEngine, OnnxRuntimeEngine))
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_windows_of_a_folded_network_begin_at_whole_blocks(tmp_path):
    b = Builder().unshuffle(2).conv(16).prelu().conv(16).prelu().conv(48).shuffle(4)
    network = onnx_reader.read(b.save(tmp_path / "m.onnx"))
    frame = frame_of(61, 47)
    made, expected = (e(network, "fp32", 24, 2).run(frame) for e in (NativeEngine, OnnxRuntimeEngine))
    assert made.shape == (122, 94, 3)
    assert np.abs(made.astype(int) - expected).max() <= 1


def test_a_network_that_sees_everything_goes_through_whole_unless_asked_otherwise(tmp_path):
    path = pooled(Builder().conv(8)).save(tmp_path / "m.onnx")
    frame = frame_of(70, 80)
    whole = fastsr.load(path, "cpu", engine="onnxruntime")
    assert whole.estimate(80, 70).parts == 1
    with pytest.raises(EngineError, match="leave tile out, or give overlap="):
        fastsr.load(path, "cpu", engine="onnxruntime", tile=40)
    parted = fastsr.load(path, "cpu", engine="onnxruntime", tile=40, overlap=4)
    assert parted.estimate(80, 70).parts > 1
    assert parted.upscale(frame).shape == (140, 160, 3)
    assert (parted.upscale(frame) != whole.upscale(frame)).any()
    fixed = pooled(Builder().conv(8)).save(tmp_path / "fixed.onnx", height=32, width=32)
    with pytest.raises(EngineError, match=r"cannot run in tiles; .* or give overlap="):
        fastsr.load(fixed, "cpu", engine="onnxruntime").upscale(frame)
    assert fastsr.load(fixed, "cpu", engine="onnxruntime", overlap=4).upscale(frame).shape == (140, 160, 3)


@pytest.mark.parametrize("make", [NativeEngine, OnnxRuntimeEngine])
def test_a_tile_too_small_for_exact_windows_names_the_remedy(deep, make):
    with pytest.raises(EngineError, match=r"use at least \d+ .*; or overlap= \(64, say\)"):
        make(deep, "fp32", 64)
    make(deep, "fp32", 64, 8)
    with pytest.raises(EngineError, match=r"tile 16 is too small for deep; use at least 17$"):
        make(deep, "fp32", 16, 8)


def test_results_that_windows_change_have_a_fingerprint_of_their_own(tmp_path):
    path = compact().save(tmp_path / "m.onnx")
    plain, tiled, more = (fastsr.load(path, "cpu", tile=t, overlap=o) for t, o in ((None, None), (64, None), (64, 40)))
    assert plain.fingerprint == tiled.fingerprint == more.fingerprint
    seamed = {fastsr.load(path, "cpu", tile=t, overlap=1).fingerprint for t in (None, 64, 65)}
    assert len({plain.fingerprint, *seamed}) == 4


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_a_bound_of_memory_changes_the_cut_and_not_the_result(deep):
    frame = frame_of(60, 1200)
    free = NativeEngine(deep, "fp32", None)
    whole = free.run(frame)
    taken = free.estimate(60, 1200).memory
    costs = []
    for share in (1, 0.7, 0.5, 0.35):
        bound = NativeEngine(deep, "fp32", None, None, int(taken * share))
        estimate = bound.estimate(60, 1200)
        assert estimate.memory <= taken * share
        costs.append(estimate.twice)
        np.testing.assert_array_equal(bound.run(frame), whole)
    assert costs == sorted(costs)
    assert costs[0] == free.estimate(60, 1200).twice < costs[-1]
    assert "of the work done twice" in str(estimate)


def test_too_little_memory_is_refused_before_it_starts(deep):
    for make, remedy in ((NativeEngine, "overlap="), (OnnxRuntimeEngine, "try a smaller tile")):
        engine = make(deep, "fp32", None, None, 1 << 20)
        for ask in (lambda e=engine: e.run(frame_of(300, 300)), lambda e=engine: e.estimate(300, 300)):
            with pytest.raises(
                EngineError, match=rf"300x300 pixels would take about .* of memory=1\.0 MiB; .*{remedy}"
            ):
                ask()


def test_windows_are_as_large_as_the_bound_allows(deep):
    most = 256 << 20
    engine = OnnxRuntimeEngine(deep, "fp32", None, None, most)
    estimate = engine.estimate(2000, 2000)
    assert most / 2 < estimate.memory <= most
    assert estimate.parts > 1
    assert engine.estimate(50, 50).parts == 1


def test_more_than_is_free_is_refused_before_it_starts(tmp_path, monkeypatch):
    path = pooled(Builder().conv(64)).save(tmp_path / "m.onnx")
    monkeypatch.setattr(memory_shortage, "available", lambda: 1 << 30)
    upscaler = fastsr.load(path, "cpu", engine="onnxruntime")
    upscaler.upscale(frame_of(64, 64))
    with pytest.raises(
        EngineError, match=r"4000x3000 pixels would take .* GiB at once, of 1\.0 GiB free; tile= .*overlap="
    ):
        upscaler.upscale(np.zeros((3000, 4000, 3), np.uint8))
    asked = fastsr.load(path, "cpu", engine="onnxruntime", tile=256, overlap=16)
    assert asked.estimate(4000, 3000).memory < 1 << 30


def test_little_free_memory_makes_parts_smaller(deep, monkeypatch):
    monkeypatch.setattr(memory_shortage, "SMALL", 1 << 20)
    plain = NativeEngine(deep, "fp32", None)
    taken = plain.estimate(80, 1200).memory
    monkeypatch.setattr(memory_shortage, "available", lambda: taken * 2 // 3)
    assert plain.estimate(80, 1200).memory < taken * 2 // 3
    monkeypatch.setattr(memory_shortage, "available", lambda: 1 << 20)
    with pytest.raises(EngineError, match=r"1\.0 MiB free; overlap= "):
        plain.run(frame_of(80, 1200))


def test_what_is_held_at_once(tmp_path):
    """Of conv 3 -> 8, PReLU, conv 8 -> 12, shuffle, + the input enlarged: the sum holds three times 12."""
    network = onnx_reader.read(compact(2, 8, 0).save(tmp_path / "m.onnx"))
    assert held_floats(network) == 12 + 12 + 12


@pytest.mark.slow
def test_the_kernels_own_peak_keeps_to_the_bound(tmp_path):
    rrdb(64, 32, 3).save(tmp_path / "m.onnx")
    code = """
import sys, numpy as np
from benchmarks.memory import forget_peak, resident
from fastsr.engines.native.engine import NativeEngine
from fastsr.network import onnx_reader
network = onnx_reader.read(sys.argv[1])
bound = int(sys.argv[2]) << 20
engine = NativeEngine(network, "fp32", None, None, bound)
frame = np.random.default_rng(0).integers(0, 256, (40, 1500, 3), np.uint8)
engine.run(frame[:, :40].copy())
before = resident("VmRSS")
forget_peak()
made = engine.run(frame)
print(resident("VmHWM") - before - made.nbytes, engine.estimate(40, 1500).memory)
"""
    for bound in (160, 100):
        command = [sys.executable, "-c", code, str(tmp_path / "m.onnx"), str(bound)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, estimated = map(int, done.stdout.split())
        assert peak < (bound + 24) << 20
        assert 0.7 * peak < estimated <= bound << 20


# ---- the command line ------------------------------------------------------------------------------------------------


def test_the_command_tells_what_a_bound_costs(tmp_path, capsys):
    from PIL import Image

    from fastsr.cli.command import main

    path = rrdb(16, 8, 1).save(tmp_path / "m.onnx")
    Image.fromarray(frame_of(80, 90)).save(tmp_path / "in.png")
    order = ["upscale", str(tmp_path / "in.png"), "--model", str(path), "--device", "cpu", "--force", "-o"]
    assert main([*order, str(tmp_path / "out.png"), "--tile", "60", "--overlap", "4", "--memory", "1G"]) == 0
    assert "in.png: in 4 parts of 45x40: " in capsys.readouterr().err
    assert main([*order, str(tmp_path / "out.png")]) == 0
    assert "parts" not in capsys.readouterr().err
    assert main([*order, str(tmp_path / "out.png"), "--memory", "many"]) == 2
    assert "memory 'many' is not an amount of memory" in capsys.readouterr().err
