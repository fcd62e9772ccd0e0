"""An engine that is replaced by a better one while it serves."""

import threading

import numpy as np
import pytest

from fastsr.engines.background_build import UpgradingEngine
from fastsr.engines.protocol import PartialEngine
from fastsr.tiling.frame_part import FramePart


class Marking:
    def __init__(self, value):
        self.name, self.precision, self.value = f"engine {value}", "fp16", value

    def run(self, pixels, progress=None):
        return np.full_like(pixels, self.value)

    def stream(self, frames):
        for frame in frames:
            yield self.run(frame)

    def part_bands(self, frame, part, convert, dtype, progress):
        yield self.run(convert(frame[part.slices()]))

    def run_on_device(self, frame, shape, out, stream):
        out[...] = self.value


FRAME = np.zeros((2, 2, 3), np.uint8)


@pytest.fixture
def pair():
    """An engine, and what lets its successor be ready."""
    go = threading.Event()
    ready = threading.Event()

    def build():
        go.wait()
        return Marking(2)

    engine = UpgradingEngine(Marking(1), build)

    def finish():
        go.set()
        while not engine._built.done():
            ready.wait(0.001)

    yield engine, finish
    go.set()


def test_it_serves_at_once_and_then_better(pair):
    engine, finish = pair
    assert (engine.run(FRAME)[0, 0, 0], engine.name) == (1, "engine 1")
    finish()
    assert (engine.run(FRAME)[0, 0, 0], engine.name, engine.precision) == (2, "engine 2", "fp16")
    out = FRAME.copy()
    engine.run_on_device(FRAME, FRAME.shape, out, None)
    assert out[0, 0, 0] == 2
    assert isinstance(engine, PartialEngine)
    (made,) = engine.part_bands(FRAME, FramePart(0, 1, 0, 2), np.copy, FRAME.dtype, None)
    assert made.tolist() == [[[2, 2, 2]] * 2]


def test_a_stream_changes_between_frames_and_loses_none(pair):
    engine, finish = pair

    def source():
        for i in range(10):
            if i == 4:
                finish()
            yield FRAME

    made = [frame[0, 0, 0] for frame in engine.stream(source())]
    assert made == sorted(made)
    assert len(made) == 10
    assert set(made) == {1, 2}


def test_a_stream_ends_where_its_source_does(pair):
    engine, finish = pair
    assert list(engine.stream([])) == []
    assert len(list(engine.stream([FRAME] * 3))) == 3
    finish()


def test_a_build_that_fails_is_said_once():
    def build():
        raise ValueError("the driver is too old")

    engine = UpgradingEngine(Marking(1), build)
    while not engine._built.done():
        pass
    with pytest.warns(RuntimeWarning, match="engine 1 goes on serving: the driver is too old"):
        assert engine.run(FRAME)[0, 0, 0] == 1
    assert engine.run(FRAME)[0, 0, 0] == 1
