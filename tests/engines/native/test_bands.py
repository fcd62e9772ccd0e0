"""Bands of rows: the bytes of the whole frame, from no more rows than they depend on."""

import numpy as np
import pytest
from support.native_networks import NATIVE, frame_of

from fastsr.engines.native import engine as native
from fastsr.engines.native.engine import NativeEngine
from fastsr.engines.protocol import BandedEngine
from fastsr.errors import EngineError


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", NATIVE)
def test_any_rows_have_the_bytes_of_the_whole_frame(networks, engines, name, precision):
    engine = engines[name, precision]
    block, scale = engine.block, engine.scale
    frame = frame_of(0, 48 * block, 29 * block, networks[name].channels)
    whole = engine.run(frame)
    program = engine._program
    for top, bottom in ((0, 48), (0, 1), (47, 48), (5, 6), (13, 31), (20, 48)):
        top, bottom = top * block, bottom * block
        first, last = program.input_rows(len(frame), top, bottom)
        part = frame[first : last + 1].copy()  # what is read beyond it would not be these bytes
        made = program.run_part(part, frame.shape[:2], (first, 0), (top, bottom, 0, frame.shape[1]))
        np.testing.assert_array_equal(made, whole[top * scale : bottom * scale])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", NATIVE)
def test_bands_together_are_the_whole(networks, engines, name, dtype, monkeypatch):
    monkeypatch.setattr(native, "BAND_BYTES", 4000)
    engine = engines[name, "fp32"]
    assert isinstance(engine, BandedEngine)
    frame = frame_of(1, 211, 17, networks[name].channels, dtype)
    bands = list(engine.bands(frame, np.dtype(dtype)))
    assert (len(bands) > 1) == (4 * engine._reach < 211)
    np.testing.assert_array_equal(np.concatenate(bands), engine.run(frame))
    floats = np.concatenate(list(engine.bands(frame, np.dtype(np.float32))))
    as_floats = frame if dtype == np.float32 else frame.astype(np.float32) / np.float32(np.iinfo(dtype).max)
    np.testing.assert_array_equal(floats, engine.run(as_floats))


def test_a_band_is_refused_where_rows_are_missing(networks, engines):
    program = engines["compact-x2", "fp32"]._program
    frame = frame_of(0, 40, 20, 3)
    first, last = program.input_rows(40, 10, 20)
    assert (first, last) == (10 - networks["compact-x2"].radius, 19 + networks["compact-x2"].radius)
    program.run_part(frame[first : last + 1].copy(), (40, 20), (first, 0), (10, 20, 0, 20))
    for part, at in ((frame[first + 1 : last + 1], first + 1), (frame[first:last], first), (frame, 1), (frame, -1)):
        with pytest.raises(ValueError, match="pixels must hold all rows"):
            program.run_part(part.copy(), (40, 20), (at, 0), (10, 20, 0, 20))
    for top, bottom in ((20, 10), (-1, 10), (10, 41), (10, 10)):
        with pytest.raises(ValueError, match="no such rows"):
            program.run_part(frame, (40, 20), (0, 0), (top, bottom, 0, 20))
        with pytest.raises(ValueError, match="no such rows"):
            program.input_rows(40, top, bottom)


def test_progress_counts_over_all_bands(networks, engines, monkeypatch):
    monkeypatch.setattr(native, "BAND_BYTES", 4000)
    told = []
    frame = frame_of(1, 211, 17, 3)
    bands = list(engines["compact-x2", "fp32"].bands(frame, frame.dtype, lambda done, total: told.append(done / total)))
    assert told == sorted(told)
    assert told[-1] == 1
    assert sum(1 for before, after in zip([0, *told], told, strict=False) if after > before) >= len(bands)


def test_windows_come_as_one_band(networks):
    frame = frame_of(1, 60, 40, 3)
    engine = NativeEngine(networks["compact-x2"], "fp32", 24, 1)
    (made,) = engine.bands(frame, frame.dtype)
    np.testing.assert_array_equal(made, engine.run(frame))
    assert not (made == NativeEngine(networks["compact-x2"], "fp32", None).run(frame)).all()


def test_an_error_names_the_model(networks, engines, monkeypatch):
    class Full:
        def __getattr__(self, name):
            return getattr(engines["compact-x2", "fp32"]._program, name)

        def run_part(self, *_):
            raise MemoryError

    engine = NativeEngine(networks["compact-x2"], "fp32", None)
    monkeypatch.setattr(engine, "_program", Full())
    with pytest.raises(EngineError, match="memory ran out"):
        list(engine.bands(frame_of(1, 60, 40, 3), np.dtype(np.uint8)))
