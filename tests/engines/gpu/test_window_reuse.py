"""Windows that repeat in a stream are taken over from the frame before, to the bytes of computing them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_gpu import FakeDevice, FakeNetwork, FakeOps, OutOfMemory
from support.small_models import MODELS

from fastsr.engines.gpu import frame_engine, window_reuse
from fastsr.engines.gpu.frame_engine import FrameEngine
from fastsr.network import onnx_reader
from fastsr.network.output_head import without_output_head

HEIGHT, WIDTH, TILE = 90, 110, 40


@pytest.fixture(autouse=True)
def counted_windows(monkeypatch):
    """The tiles that were gathered, those that fill up a batch left out."""
    gathered = []

    class Ops(FakeOps):
        @staticmethod
        def tile_gather(frame, origins, *rest, **named):
            gathered.append(len(np.unique(np.array(origins), axis=0)))
            FakeOps.tile_gather(frame, origins, *rest, **named)

    monkeypatch.setattr(frame_engine, "ops", Ops)
    return gathered


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return onnx_reader.read(MODELS["compact-x2"]().save(tmp_path_factory.mktemp("model") / "m.onnx"))


def engine_of(network, device, tile=TILE, batch=2):
    headless = without_output_head(network)
    batches = FakeNetwork(headless.body, device, limits=(batch, 4096, 4096))
    return FrameEngine("fake", network, headless, batches, device, "fp32", tile)


def scene(seed=0, dtype=np.uint8):
    random = np.random.default_rng(seed)
    if dtype == np.float32:
        return random.random((HEIGHT, WIDTH, 3), np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, (HEIGHT, WIDTH, 3), dtype)


def changed(frame, row, column, by=1):
    made = frame.copy()
    made[row, column] += np.array(by).astype(frame.dtype)
    return made


def assert_streamed(network, frames, seed=0):
    engine = engine_of(network, FakeDevice(seed))
    made = list(engine.stream(iter(frames)))
    alone = engine_of(network, FakeDevice())
    assert len(made) == len(frames)
    for number, (frame, result) in enumerate(zip(frames, made, strict=True)):
        np.testing.assert_array_equal(result, alone.run(frame), err_msg=f"frame {number}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_frame_has_the_bytes_of_one_on_its_own(network, monkeypatch, data):
    monkeypatch.setattr(frame_engine, "PINNED_LIMIT", data.draw(st.sampled_from([0, 1 << 30])))
    dtype = data.draw(st.sampled_from([np.uint8, np.float32]))
    frames = [scene(0, dtype)]
    for _ in range(data.draw(st.integers(1, 7))):
        kind = data.draw(st.sampled_from(["same", "pixel", "cut", "rows"]))
        frame = frames[-1].copy()
        if kind == "pixel":
            frame = changed(frame, data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1)))
        elif kind == "cut":
            frame = scene(data.draw(st.integers(1, 9)), dtype)
        elif kind == "rows":
            frame[data.draw(st.integers(0, HEIGHT - 1)) :] = 0
        frames.append(frame)
    assert_streamed(network, frames, data.draw(st.integers(0, 99)))


def test_only_windows_that_see_a_change_are_run(network, counted_windows):
    engine = engine_of(network, FakeDevice())
    windows = len(engine.budget.plan(HEIGHT, WIDTH))
    assert windows >= 9
    still = scene()
    frames = [still, still.copy(), changed(still, 0, 0), changed(still, 0, 0)]
    counts = []
    for _ in engine.stream(iter(frames)):
        counts.append(sum(counted_windows))
    list(engine.stream(iter(frames)))
    assert counts[0] >= windows
    assert counts[-1] == windows + 1


def test_a_changed_pixel_in_a_margin_counts(network, counted_windows):
    """Between two windows' cores both see it."""
    engine = engine_of(network, FakeDevice())
    edge = engine.budget.plan(HEIGHT, WIDTH).columns[0].core_end
    still = scene()
    list(engine.stream(iter([still, changed(still, 0, edge)])))
    assert sum(counted_windows) == len(engine.budget.plan(HEIGHT, WIDTH)) + 2


def test_minus_zero_is_another_number(network, counted_windows):
    still = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    other = still.copy()
    other[5, 5] = -0.0
    engine = engine_of(network, FakeDevice())
    list(engine.stream(iter([still, other])))
    assert sum(counted_windows) > len(engine.budget.plan(HEIGHT, WIDTH))


def test_results_and_frames_belong_to_whoever_has_them(network):
    engine, alone = engine_of(network, FakeDevice()), engine_of(network, FakeDevice())
    buffer = np.empty((HEIGHT, WIDTH, 3), np.uint8)

    def source():
        for by in range(6):
            buffer[...] = changed(scene(), 3, 3, by)
            yield buffer

    for by, made in enumerate(engine.stream(source())):
        np.testing.assert_array_equal(made, alone.run(changed(scene(), 3, 3, by)))
        made[...] = 0


def test_nothing_is_copied_where_frames_differ_all_over(network, monkeypatch):
    kept = []
    real = window_reuse.FollowedFrame.keep

    def keep(self, made):
        real(self, made)
        kept.append(self._made is not None)

    monkeypatch.setattr(window_reuse.FollowedFrame, "keep", keep)
    engine = engine_of(network, FakeDevice())
    frames = [scene(seed) for seed in range(window_reuse.PATIENCE + 3)]
    list(engine.stream(iter(frames)))
    assert kept == [True] * window_reuse.PATIENCE + [False] * 3
    list(engine_of(network, FakeDevice(), tile=None).stream(iter([scene(), scene()])))
    assert kept[-2:] == [False, False]  # a single window


def test_other_windows_take_nothing_over(network, monkeypatch, counted_windows):
    """Where memory runs out in between, results of larger windows are not mixed in: they may round otherwise."""
    engine = engine_of(network, FakeDevice(), tile=64, batch=1)
    bands = len(engine.budget.plan(HEIGHT, WIDTH).rows)
    real, calls = FrameEngine._band_in, []

    def band_in(self, *arguments):
        calls.append(arguments)
        if len(calls) == bands + 1:  # the second frame's first that has to be run
            raise OutOfMemory("another program took it")
        return real(self, *arguments)

    monkeypatch.setattr(FrameEngine, "_band_in", band_in)
    before = engine.budget.plan(HEIGHT, WIDTH).window
    made = list(engine.stream(iter([scene(), changed(scene(), HEIGHT - 1, 0), changed(scene(), HEIGHT - 1, 0)])))
    assert engine.budget.plan(HEIGHT, WIDTH).window != before
    np.testing.assert_array_equal(made[1], engine.run(changed(scene(), HEIGHT - 1, 0)))
    np.testing.assert_array_equal(made[2], made[1])
