"""Frames of a stream have the bytes of frames on their own, and what has not changed is not computed again."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.native_networks import NATIVE, frame_of

from fastsr import _core
from fastsr.engines.native import engine as native_engine
from fastsr.engines.native import reuse
from fastsr.engines.native.engine import NativeEngine
from fastsr.engines.native.reuse import ReusingEngine
from fastsr.engines.protocol import StreamReusingEngine
from fastsr.errors import EngineError
from fastsr.network import catalog, onnx_reader

HEIGHT, WIDTH = 97, 141  # neither a multiple of a block, a cell or a tile


def scene(seed=0, height=HEIGHT, width=WIDTH, channels=3, dtype=np.uint8):
    """Smooth, so that results are not all at the bounds."""
    coarse = frame_of(seed, height // 8 + 2, width // 8 + 2, channels, dtype)
    return np.repeat(np.repeat(coarse, 8, 0), 8, 1)[3 : height + 3, 5 : width + 5].copy()


def changed(frame, *places, by=40):
    """A copy with other pixels at some (row, column, height, width)."""
    made = frame.copy()
    for row, column, height, width in places:
        made[row : row + height, column : column + width] += made.dtype.type(by)
    return made


def typed():
    """A caret that blinks, letters that appear."""
    page = scene(1)
    yield page
    for letter in range(4):
        page = changed(page, (40, 20 + 5 * letter, 7, 4))
        yield page
        yield changed(page, (38, 25 + 5 * letter, 10, 1))
        yield page


def scene_cut():
    yield scene(1)
    yield changed(scene(1), (5, 5, 3, 3))
    yield scene(2)
    yield changed(scene(2), (90, 130, 3, 3))


def pan():
    wide = scene(3, HEIGHT, WIDTH + 40)
    for left in (0, 3, 8, 8, 20):
        yield wide[:, left : left + WIDTH].copy()


def fade():
    for light in (1, 0.9, 0.5, 0, 0):
        yield (scene(4) * light).astype(np.uint8)


def letterbox():
    for seed in range(4):
        made = np.full((HEIGHT, WIDTH, 3), 16, np.uint8)
        made[30:60] = scene(seed, 30)
        yield made


def noise():
    for seed in range(7):
        yield frame_of(seed, HEIGHT, WIDTH)
    yield changed(frame_of(6, HEIGHT, WIDTH), (0, 0, 1, 1))
    yield frame_of(6, HEIGHT, WIDTH)


def edges():
    """Single pixels: at corners, edges, both sides of a cell's border, far from one another."""
    frame = scene(5)
    yield frame
    for row in (0, 7, 8, 48, HEIGHT - 1):
        for column in (0, 15, 16, WIDTH - 1):
            frame = changed(frame, (row, column, 1, 1), by=1)
            yield frame
    yield changed(frame, (0, 0, 1, 1), (HEIGHT - 1, WIDTH - 1, 1, 1))
    yield frame


def frame_around():
    """All but the middle."""
    frame = scene(6)
    yield frame
    yield changed(frame, (0, 0, HEIGHT, 3), (0, WIDTH - 3, HEIGHT, 3), (0, 0, 3, WIDTH), (HEIGHT - 3, 0, 3, WIDTH))


def sizes():
    for height, width in ((40, 50), (40, 50), (50, 40), (97, 141), (97, 141), (1, 97 * 141), (40, 50)):
        yield scene(7, height, width)


def depths():
    for dtype in (np.uint8, np.uint8, np.uint16, np.uint16, np.float32, np.float32, np.uint8):
        yield scene(8, dtype=dtype)


NEVER = 1 << 30  # frames alike until the network's tensors are kept
CLIPS = (typed, scene_cut, pan, fade, letterbox, noise, edges, frame_around, sizes, depths)
SHARP = ["compact-x4", "deep-x2", "folded-x4", "halved-cubic-x2", "bilinear-x2"]


def followed(engine, frames):
    """What a stream makes of frames, and the share of each that it computed."""
    stream, made, computed = engine.for_stream(), [], []
    for frame in frames:
        made.append(stream.run(frame))
        computed.append(stream.computed)
    return made, computed


@pytest.mark.parametrize("alike", [1, reuse.ALIKE, NEVER])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", SHARP)
@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.__name__)
def test_every_clip_has_the_bytes_of_single_frames(engines, clip, name, precision, alike, monkeypatch):
    monkeypatch.setattr(reuse, "ALIKE", alike)
    engine = engines[name, precision]
    frames = list(clip())
    made, _ = followed(engine, frames)
    for number, (frame, result) in enumerate(zip(frames, made, strict=True)):
        np.testing.assert_array_equal(result, engine.run(frame), err_msg=f"frame {number}")


@pytest.mark.parametrize("alike", [1, NEVER])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_change_has_the_bytes_of_single_frames(engines, monkeypatch, alike, data):
    monkeypatch.setattr(reuse, "ALIKE", alike)
    name, precision = data.draw(st.sampled_from(sorted(NATIVE))), data.draw(st.sampled_from(["fp32", "int8"]))
    engine = engines[name, precision]
    height, width = (data.draw(st.integers(max(engine.least, 9), 160)) for _ in range(2))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.float32]))
    frame = frame_of(data.draw(st.integers(0, 1000)), height, width, engine.channels, dtype)
    stream = engine.for_stream()
    stream.run(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        frame = frame.copy()
        for _ in range(data.draw(st.integers(0, 4))):
            row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
            down, across = data.draw(st.sampled_from([1, 2, 9, 30])), data.draw(st.sampled_from([1, 2, 9, 30]))
            place = frame[row : row + down, column : column + across]
            place[...] = frame_of(data.draw(st.integers(0, 9)), *place.shape, dtype)
        np.testing.assert_array_equal(stream.run(frame), engine.run(frame))


@pytest.mark.parametrize("name", ["compact-x4", "deep-x2", "wide-x2", "folded-x4"])
@pytest.mark.parametrize("alike", [1, NEVER])
def test_every_instruction_set_and_precision(networks, name, alike, monkeypatch):
    monkeypatch.setattr(reuse, "ALIKE", alike)
    for isa in _core.available_isas():
        monkeypatch.setenv("FASTSR_ISA", isa)
        for precision in _core.precisions():
            engine = NativeEngine(networks[name], precision, None)
            frames = list(edges())[:5]
            made, computed = followed(engine, frames)
            assert max(computed[2:]) < 1
            for frame, result in zip(frames, made, strict=True):
                np.testing.assert_array_equal(result, engine.run(frame), err_msg=f"{isa} {precision}")


@pytest.mark.parametrize("bounds", [(60, None, None), (None, None, 300_000)])
def test_bounds_change_nothing(networks, bounds):
    engine = NativeEngine(networks["srresnet-x4"], "fp32", *bounds)
    for frame, result in zip(typed(), followed(engine, typed())[0], strict=True):
        np.testing.assert_array_equal(result, engine.run(frame))


def test_only_what_has_changed_is_computed(monkeypatch):
    """With the shipped model, whose layers look at 12 pixels around one, and that to whole tiles and cells."""
    monkeypatch.setattr(reuse, "ALIKE", NEVER)
    engine = NativeEngine(onnx_reader.read(catalog.find("fast-x4")), "fp32", None)
    still = scene(0, 270, 480)
    caret = changed(still, (100, 200, 10, 2))
    corners = changed(still, (0, 0, 2, 2), (268, 478, 2, 2))
    bars = still.copy()
    bars[90:180] = scene(1, 90, 480)
    _, computed = followed(engine, [still, still, caret, caret, still, corners, still, bars, scene(2, 270, 480)])
    assert computed[:2] == [1, 0]
    assert 0 < computed[2] == computed[4] < 70 * 60 / (270 * 480)
    assert computed[3] == 0
    assert 0 < computed[5] == computed[6] < 2 * 50 * 50 / (270 * 480)
    assert 0.3 < computed[7] < 0.6
    assert computed[8] == 1


def test_a_receptive_field_is_all_that_is_computed(engines):
    """Of layers without tiles, where it can be told by hand: 5 pixels around the cell of 4x4 that a pixel lies in."""
    engine = engines["gray-x1", "int8"]
    frame = scene(0, 80, 120, 1)
    for row, column in ((40, 64), (43, 67)):
        parts = engine.changed_parts(frame, changed(frame, (row, column, 1, 1)))
        assert parts == [[32, 52, 56, 76]]
    assert engine.changed_parts(frame, changed(frame, (0, 119, 1, 1))) == [[0, 12, 108, 120]]
    assert engine.changed_parts(frame, frame.copy()) == []
    assert engine.changed_parts(frame, scene(1, 80, 120, 1)) is None


def test_kept_tensors_save_the_margins(monkeypatch):
    """Of the 12 layers of the shipped model the first makes what is one pixel around a change, the last 12."""
    engine = NativeEngine(onnx_reader.read(catalog.find("fast-x4")), "int8", None)
    still = scene(0, 270, 480)
    caret = changed(still, (100, 200, 8, 4))  # two cells of 4x4
    _, computed = followed(engine, [still, caret, still, caret, caret, scene(2, 270, 480), still])
    assert 0 < computed[1] < 1
    assert computed[2] == 1  # begins to keep them
    layers = sum((8 + 2 * reach) * (4 + 2 * reach) for reach in range(1, 13)) / 12
    assert computed[3] == pytest.approx(layers / (270 * 480), rel=0.2)
    assert computed[4:] == [0, 1, 1]


def test_tensors_are_let_go_where_frames_differ(engines, monkeypatch):
    stream = engines["compact-x2", "fp32"].for_stream()
    for frame in list(typed())[:4]:
        stream.run(frame)
    assert stream._tensors is not None
    for number in range(reuse.PATIENCE + 1):
        assert stream._tensors is not None
        stream.run(frame_of(number, HEIGHT, WIDTH))
    assert stream._tensors is None
    assert stream._kept is None


def test_tensors_are_kept_where_there_is_room(networks, monkeypatch):
    def kept(*bounds):
        stream = NativeEngine(networks["compact-x2"], "fp32", *bounds).for_stream()
        for frame in list(typed())[:4]:
            stream.run(frame)
        return stream._tensors is not None

    assert kept(None)
    assert not kept(60)  # the parts of a frame are bounded
    assert not kept(None, None, 1 << 30)  # the memory is
    needed = NativeEngine(networks["compact-x2"], "fp32", None)._program.kept_bytes(HEIGHT, WIDTH)
    monkeypatch.setattr(native_engine, "available", lambda: int(needed / native_engine.KEPT_SHARE) - 1)
    assert not kept(None)
    monkeypatch.setattr(native_engine, "available", lambda: None)
    assert kept(None)
    monkeypatch.setattr(native_engine, "KEPT_TENSORS", needed - 1)
    assert not kept(None)


def test_without_memory_for_tensors_parts_are_made(networks, monkeypatch):
    class Full:
        def kept_bytes(self, height, width):
            return 0

        def keep(self, height, width):
            raise MemoryError

    engine = NativeEngine(networks["compact-x2"], "fp32", None)
    monkeypatch.setattr(engine, "_program", Full())
    assert engine.keep(scene()) is None


def test_tensors_of_something_else_are_refused(engines):
    program, frame = engines["compact-x2", "fp32"]._program, scene()
    large = np.empty((HEIGHT * 2, WIDTH * 2, 3), np.uint8)
    with pytest.raises(ValueError, match="another program's"):
        program.run_kept(engines["compact-x4", "fp32"]._program.keep(HEIGHT, WIDTH), frame, large)
    with pytest.raises(ValueError, match="frames of another size"):
        program.run_kept(program.keep(HEIGHT, WIDTH + 1), frame, large)
    tensors = program.keep(HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="both frames must be of one shape and type"):
        program.run_kept(tensors, frame, large, frame.astype(np.float32))
    with pytest.raises(ValueError, match="the result must"):
        program.run_kept(tensors, frame, large[1:])
    with pytest.raises(ValueError, match="as wide as"):
        program.run_kept(tensors, frame, np.empty((HEIGHT * 2, WIDTH * 2 + 2, 3), np.uint8))
    for height, width in ((0, 9), (9, 1 << 25)):
        with pytest.raises(ValueError, match="height and width"):
            program.keep(height, width)


def test_results_belong_to_whoever_gets_them(engines):
    """Frames and results may be written over; the next result is as if they had not been."""
    engine = engines["compact-x2", "fp32"]
    stream, buffer = engine.for_stream(), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for frame in typed():
        buffer[...] = frame
        made = stream.run(buffer)
        assert made.flags.owndata
        assert made.flags.writeable
        assert made.flags.c_contiguous
        np.testing.assert_array_equal(made, engine.run(frame))
        made[...] = 0
        buffer[...] = 0


def test_frames_that_differ_all_over_are_handed_out_as_they_are_made(engines, monkeypatch):
    """After a few of them nothing is kept or copied; once frames have something in common again, it is."""
    stream = engines["compact-x2", "fp32"].for_stream()
    for number in range(reuse.PATIENCE + 2):
        assert (stream._kept is None) == (number == 0 or number > reuse.PATIENCE)
        stream.run(frame_of(number, HEIGHT, WIDTH))
    last = frame_of(number, HEIGHT, WIDTH)
    computed = []
    for _ in range(3):
        stream.run(last)
        computed.append(stream.computed)
    assert computed == [1, 0, 0]


def test_a_cut_in_a_still_scene_costs_one_frame(engines):
    assert [share == 1 for share in followed(engines["compact-x4", "fp32"], scene_cut())[1]] == [True, False] * 2


def test_large_results_are_not_kept(engines, monkeypatch):
    monkeypatch.setattr(reuse, "KEPT_BYTES", HEIGHT * WIDTH * 3 * 4 - 1)
    engine = engines["compact-x2", "fp32"]
    made, computed = followed(engine, [scene(), scene()])
    assert computed == [1, 1]
    np.testing.assert_array_equal(made[0], made[1])
    stream = engine.for_stream()
    bands = list(stream.bands(scene(), np.dtype(np.float32)))
    assert stream._before is None
    np.testing.assert_array_equal(np.concatenate(bands), engine.run(scene().astype(np.float32) / np.float32(255)))


@pytest.mark.parametrize("alike", [1, NEVER])
def test_a_run_that_is_ended_leaves_nothing_behind(engines, alike, monkeypatch):
    monkeypatch.setattr(reuse, "ALIKE", alike)
    engine = engines["srresnet-x4", "fp32"]
    stream = engine.for_stream()

    class Enough(Exception):
        pass

    def end(done, total):
        raise Enough

    for by in (0, 1, 2):
        stream.run(changed(scene(), (40, 40, 9, 9), by=by))
    with pytest.raises(Enough):
        stream.run(changed(scene(), (40, 40, 9, 9)), end)
    for _ in range(2):
        np.testing.assert_array_equal(stream.run(scene()), engine.run(scene()))


def test_memory_that_runs_out_is_told_with_the_model(networks, monkeypatch):
    engine = NativeEngine(networks["compact-x2"], "fp32", None)
    stream = engine.for_stream()
    stream.run(scene())

    def full(before, after):
        raise MemoryError

    monkeypatch.setattr(engine, "changed_parts", full)
    with pytest.raises(EngineError, match=r"m\.onnx: .*memory ran out"):
        stream.run(scene())
    stream.run(scene())
    with pytest.raises(EngineError, match="memory ran out"):
        list(stream.bands(scene(), np.dtype(np.uint8)))


def test_windows_are_run_as_ever(networks):
    """Each by itself: what a part of the frame depends on is then another question."""
    engine = NativeEngine(networks["compact-x2"], "fp32", 24, 1)
    assert isinstance(engine, StreamReusingEngine)
    assert engine.for_stream() is engine


def test_it_can_be_left_out_to_measure_it(networks, monkeypatch):
    engine = NativeEngine(networks["compact-x2"], "fp32", None)
    assert isinstance(engine.for_stream(), ReusingEngine)
    monkeypatch.setattr(NativeEngine, "reuses", False)
    assert engine.for_stream() is engine


def test_frames_of_other_kinds_are_not_compared(engines):
    program, frame = engines["compact-x2", "fp32"]._program, scene()
    for other in (frame[1:], frame.astype(np.float32), frame[:, :-1].copy()):
        with pytest.raises(ValueError, match="both frames must be of one shape and type"):
            program.changed_parts(other, frame)
    for none in (frame[..., 0].copy(), frame.astype(np.int32)):
        with pytest.raises(ValueError, match="pixels must be"):
            program.changed_parts(none, none)
