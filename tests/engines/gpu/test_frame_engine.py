"""The frame pipeline of GPU engines, on a device made of NumPy whose streams run in every order that events allow."""

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_gpu import FakeDevice, FakeNetwork, FakeOps
from support.small_models import MODELS

from fastsr.engines.gpu import frame_engine, window_budget
from fastsr.engines.gpu.frame_engine import FrameEngine
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError
from fastsr.network import onnx_reader
from fastsr.network.output_head import without_output_head
from fastsr.tiling.frame_part import FramePart

NAMES = ("compact-x2", "srresnet-x4", "downsampling-x2")


@pytest.fixture(autouse=True)
def queued_ops(monkeypatch):
    monkeypatch.setattr(frame_engine, "ops", FakeOps)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {name: onnx_reader.read(MODELS[name]().save(folder / f"{name}.onnx")) for name in NAMES}


@pytest.fixture(scope="module")
def exact(networks):
    return {name: OnnxRuntimeEngine(network, "fp32", None) for name, network in networks.items()}


def engine_of(network, device, tile=None, **options):
    headless = without_output_head(network)
    return FrameEngine("fake", network, headless, FakeNetwork(headless.body, device, **options), device, "fp32", tile)


def frame_of(seed, height, width, dtype=np.uint8):
    random = np.random.default_rng(seed)
    if dtype == np.float32:
        return random.random((height, width, 3), np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, 3), dtype)


def test_a_frame_is_the_cpus(networks, exact):
    for name in NAMES:
        for dtype in (np.uint8, np.uint16, np.float32):
            frame = frame_of(1, 37, 50, dtype)
            np.testing.assert_array_equal(engine_of(networks[name], FakeDevice()).run(frame), exact[name].run(frame))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, 1000),
    sizes=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=2),
    order=st.lists(st.integers(0, 1), min_size=1, max_size=7),
    extra=st.integers(0, 40),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    batch=st.integers(1, 3),
    pinned=st.booleans(),
)
def test_a_stream_of_frames_is_each_frame(
    networks, exact, monkeypatch, name, seed, sizes, order, extra, layout, batch, pinned
):
    """Sizes alternate, bands overtake each other where nothing holds them; every frame comes out as if alone."""
    monkeypatch.setattr(frame_engine, "PINNED_LIMIT", 1 << 30 if pinned else 0)
    device = FakeDevice(seed)
    engine = engine_of(networks[name], device, layout=layout, limits=(batch, 4096, 4096))
    least = engine.budget._windows.smallest
    engine.budget.limit(least + extra, least + 40 - extra)
    given_frames = [frame_of(seed + i, *sizes[which % len(sizes)]) for i, which in enumerate(order)]
    made = list(engine.stream(iter(given_frames)))
    assert len(made) == len(given_frames)
    for frame, result in zip(given_frames, made, strict=True):
        np.testing.assert_array_equal(result, exact[name].run(frame))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_parts_are_made_by_the_windows_that_they_lie_in(networks, exact, data):
    name = data.draw(st.sampled_from(NAMES))
    engine = engine_of(networks[name], FakeDevice(data.draw(st.integers(0, 99))), limits=(2, 4096, 4096))
    least = engine.budget._windows.smallest
    engine.budget.limit(least + data.draw(st.integers(0, 20)), least + data.draw(st.integers(0, 20)))
    height, width = (data.draw(st.integers(1, 120)) for _ in range(2))
    frame = frame_of(1, height, width)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    part = FramePart(top, bottom, left, right)
    windows = engine.budget.plan(height, width).covering(part)
    read, told = [], []

    def convert(pixels):
        read.append(pixels.shape)
        return pixels

    (made,) = engine.part_bands(frame, part, convert, frame.dtype, lambda *now: told.append(now))
    np.testing.assert_array_equal(made, exact[name].run(frame)[part.slices(scale=networks[name].scale)])
    assert told[-1] == (len(windows.rows),) * 2
    ((rows, columns, _),) = read
    most = max(windows.window) + networks[name].alignment
    assert rows <= len(windows.rows) * most
    assert columns <= len(windows.columns) * most
    shapes = set(engine.network.shapes)
    np.testing.assert_array_equal(engine.run(frame), exact[name].run(frame))
    assert shapes <= set(engine.network.shapes)
    assert len(set(engine.network.shapes)) == 1  # a part goes through the network in batches as large as the whole's


def test_parts_when_memory_runs_out(networks, exact):
    engine = engine_of(networks["compact-x2"], FakeDevice(memory=220_000), tile=128)
    frame, part = frame_of(5, 150, 140), FramePart(20, 131, 70, 140)
    (made,) = engine.part_bands(frame, part, np.ascontiguousarray, frame.dtype, None)
    assert min(engine.budget.window) < 128 or engine.budget.most == 1
    np.testing.assert_array_equal(made, exact["compact-x2"].run(frame)[part.slices(scale=2)])
    with pytest.raises(EngineError, match="are no part of 140x150 pixels"):
        list(engine.part_bands(frame, FramePart(0, 151, 0, 1), np.ascontiguousarray, frame.dtype, None))


def test_repeated_work_is_captured_once(networks):
    device = FakeDevice()
    engine = engine_of(networks["compact-x2"], device)
    frame = frame_of(0, 40, 40)
    expected = engine.run(frame)
    assert device.captured == 0  # a single image is not worth it
    results = list(engine.stream([frame] * 12))
    assert all(np.array_equal(r, expected) for r in results)
    assert device.captured == frame_engine.SLOTS
    assert device.launched >= 12 - frame_engine.SLOTS


def test_the_next_frame_is_taken_while_one_is_computed(networks):
    engine = engine_of(networks["compact-x2"], FakeDevice())
    taken = []

    def source():
        for i in range(4):
            taken.append(i)
            yield frame_of(i, 20, 20)

    made = engine.stream(source())
    next(made)
    assert taken == [0, 1, 2]


def test_a_stream_that_is_left_leaves_nothing_behind(networks, exact):
    engine = engine_of(networks["compact-x2"], FakeDevice())
    made = engine.stream(frame_of(i, 20, 20) for i in range(9))
    next(made)
    made.close()
    frame = frame_of(3, 20, 20)
    np.testing.assert_array_equal(engine.run(frame), exact["compact-x2"].run(frame))


def test_an_error_in_the_source_comes_through(networks):
    engine = engine_of(networks["compact-x2"], FakeDevice())

    def source():
        yield frame_of(0, 20, 20)
        raise OSError("camera gone")

    with pytest.raises(OSError, match="camera gone"):
        list(engine.stream(source()))


@pytest.mark.parametrize("memory", [220_000, 400_000, 700_000])
def test_when_memory_runs_out_windows_are_halved(networks, exact, memory):
    network = networks["compact-x2"]
    device = FakeDevice(memory=memory)
    engine = engine_of(network, device, tile=128)
    frame = frame_of(5, 150, 140)
    np.testing.assert_array_equal(engine.run(frame), exact["compact-x2"].run(frame))
    assert min(engine.budget.window) < 128 or engine.budget.most == 1
    assert device.peak <= memory
    shapes = list(engine.network.shapes)
    frame = frame_of(6, 150, 140)
    np.testing.assert_array_equal(engine.run(frame), exact["compact-x2"].run(frame))
    assert engine.network.shapes[len(shapes) :] == []  # found once, kept


def test_finished_bands_are_kept_when_memory_runs_out(networks, exact, monkeypatch):
    network = networks["compact-x2"]
    device = FakeDevice()
    engine = engine_of(network, device, tile=40)
    real, calls = FakeNetwork.prepare, []
    from support.fake_gpu import OutOfMemory

    real_band_in = FrameEngine._band_in

    def band_in(self, slot, band, *rest):
        calls.append(band.core_start)
        if len(calls) == 4:
            raise OutOfMemory("another program took it")
        return real_band_in(self, slot, band, *rest)

    monkeypatch.setattr(FrameEngine, "_band_in", band_in)
    frame = frame_of(7, 200, 30)
    np.testing.assert_array_equal(engine.run(frame), exact["compact-x2"].run(frame))
    assert real is FakeNetwork.prepare
    assert min(calls[4:]) > calls[1]  # the first bands were not made again


def test_when_nothing_smaller_fits_it_says_so(networks):
    engine = engine_of(networks["compact-x2"], FakeDevice(memory=9000), tile=64)
    with pytest.raises(EngineError, match=r"memory does not hold a window of .* use device='cpu'"):
        engine.run(frame_of(0, 80, 80))


def test_other_errors_are_not_memory(networks):
    engine = engine_of(networks["compact-x2"], FakeDevice())
    engine.network.prepare = lambda *shape: 1 / 0
    with pytest.raises(ZeroDivisionError):
        engine.run(frame_of(0, 20, 20))


def test_windows_fit_memory_and_the_networks_limits(networks):
    network = networks["compact-x2"]
    assert engine_of(network, FakeDevice(memory=1 << 32)).budget.window == (window_budget.LARGEST_WINDOW,) * 2
    small = engine_of(network, FakeDevice(memory=1 << 22))
    window = small.budget.window
    budget = (1 << 22) * window_budget.MEMORY_SHARE
    assert small.network.need(1, *window) <= budget < small.network.need(1, *(2 * side for side in window))
    assert small.network.need(small.budget.at_once(window), *window) <= budget
    assert small.budget.most < engine_of(network, FakeDevice(memory=1 << 32)).budget.most
    assert engine_of(network, FakeDevice(), limits=(1, 70, 90)).budget.window == (70, 90)
    with pytest.raises(EngineError, match="tile 128 is larger than the 90x70"):
        engine_of(network, FakeDevice(), tile=128, limits=(1, 70, 90))


def test_small_windows_share_a_batch(networks, exact):
    network = networks["compact-x2"]
    engine = engine_of(network, FakeDevice(), tile=24, limits=(4, 4096, 4096))
    frame = frame_of(0, 20, 100)
    np.testing.assert_array_equal(engine.run(frame), exact["compact-x2"].run(frame))
    assert {batch for batch, _, _ in engine.network.shapes} == {4}


def test_several_threads_share_one_engine(networks, exact):
    engine = engine_of(networks["compact-x2"], FakeDevice())
    lock = threading.Lock()  # the fake's scheduler is not made for threads; the pipeline's own locking is what counts
    real = engine.device.sync

    def sync(event):
        with lock:
            real(event)

    engine.device.sync = sync
    failures = []

    def work(seed):
        for i in range(5):
            frame = frame_of(seed + i, 30 + seed % 2, 30)
            if not np.array_equal(engine.run(frame), exact["compact-x2"].run(frame)):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


@pytest.mark.parametrize("name", NAMES)
def test_frames_on_the_device_stay_there(networks, exact, name):
    network, device = networks[name], FakeDevice(3)
    engine = engine_of(network, device, tile=64)
    mine = device.stream()
    for seed in range(4):
        frame = frame_of(seed, 70, 150)
        low = device.empty(frame.shape, np.uint8)
        device.copy(low, frame, mine)
        high = device.empty((70 * network.scale, 150 * network.scale, 3), np.uint8)
        engine.run_on_device(low, frame.shape, high, mine)
        device.sync(device.record(mine))
        np.testing.assert_array_equal(high, exact[name].run(frame))
    assert device.captured == 1  # the network; the arrays are the caller's


def test_progress_counts_to_the_end(networks):
    seen = []
    engine = engine_of(networks["compact-x2"], FakeDevice(), tile=32)
    engine.run(frame_of(0, 90, 90), lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1]
