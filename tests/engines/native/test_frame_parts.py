"""Parts of a frame: the bytes of the whole, for the work of the part."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.native_networks import NATIVE, frame_of

from fastsr import _core
from fastsr.engines.native.engine import NativeEngine
from fastsr.errors import EngineError
from fastsr.tiling.frame_part import FramePart

TILE = 8  # columns that begin a Winograd tile, at most
DTYPES = (np.uint8, np.uint16, np.float32)


def spans(length):
    return st.tuples(st.integers(0, length - 1), st.integers(1, length)).map(lambda s: (min(s), max(min(s) + 1, s[1])))


def cut_out(whole, part, scale):
    top, bottom, left, right = (side * scale for side in part)
    return whole[top:bottom, left:right]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_part_has_the_bytes_of_the_whole_frame(networks, engines, data):
    name, precision = data.draw(st.sampled_from(sorted(NATIVE))), data.draw(st.sampled_from(["fp32", "int8"]))
    engine, dtype = engines[name, precision], data.draw(st.sampled_from(DTYPES))
    height, width = (data.draw(st.integers(engine.least, 90)) for _ in range(2))
    frame = frame_of(data.draw(st.integers(0, 1000)), height, width, engine.channels, dtype)
    part = *data.draw(spans(height)), *data.draw(spans(width))
    made = engine.run_region(frame, FramePart(*part))
    np.testing.assert_array_equal(made, cut_out(engine.run(frame), part, engine.scale))


@pytest.mark.parametrize("options", [{"tile": 80}, {"memory": 300_000}, {"tile": 40, "overlap": 3}])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_bounds_change_no_part(networks, precision, options):
    engine = NativeEngine(networks["srresnet-x4"], precision, options.get("tile"), *list(options.values())[1:])
    if "memory" in options:
        engine = NativeEngine(networks["srresnet-x4"], precision, None, None, options["memory"])
    frame = frame_of(3, 120, 131)
    whole = engine.run(frame)
    for part in ((0, 120, 0, 131), (0, 1, 130, 131), (17, 101, 5, 120), (60, 64, 0, 131)):
        np.testing.assert_array_equal(engine.run_region(frame, FramePart(*part)), cut_out(whole, part, engine.scale))


@pytest.mark.parametrize(
    "name", ["compact-x4", "deep-x2", "wide-x2", "folded-x4", "dense-x2", "unet-x2", "bordered-x1"]
)
def test_parts_are_the_same_on_every_instruction_set_and_in_every_precision(networks, name, monkeypatch):
    frame = frame_of(2, 61, 83, networks[name].channels)
    parts = ((0, 9, 0, 11), (20, 47, 31, 70), (59, 61, 80, 83), (5, 6, 0, 83), (0, 61, 40, 41))
    for isa in _core.available_isas():
        monkeypatch.setenv("FASTSR_ISA", isa)
        for precision in _core.precisions():
            engine = NativeEngine(networks[name], precision, None)
            whole = engine.run(frame)
            for part in parts:
                np.testing.assert_array_equal(
                    engine.run_region(frame, FramePart(*part)),
                    cut_out(whole, part, engine.scale),
                    err_msg=f"{isa} {precision}",
                )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_parts_are_made_from_no_more_than_they_depend_on(networks, engines, data):
    """Converted is what is read; what lies elsewhere is poison."""
    name, precision = data.draw(st.sampled_from(sorted(NATIVE))), data.draw(st.sampled_from(["fp32", "int8"]))
    engine = engines[name, precision]
    height, width = (data.draw(st.integers(engine.least, 300)) for _ in range(2))
    frame = frame_of(1, height, width, engine.channels)
    part = FramePart(*data.draw(spans(height)), *data.draw(spans(width)))
    read = []

    def convert(pixels):
        read.append(pixels.shape)
        return pixels.astype(np.float32) / np.float32(255)

    (made,) = engine.part_bands(frame, part, convert, np.dtype(np.float32))
    whole = engine.run(frame.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(made, cut_out(whole, part, engine.scale))
    ((rows, columns, _),) = read
    if networks[name].radius is not None:
        # beyond the receptive radius: whole blocks, and whole Winograd tiles of every layer
        layers = sum(node.op == "Conv" for node in networks[name].nodes)
        beyond = 2 * (networks[name].radius + TILE * layers * engine.block)
        assert rows <= min(height, part.height + beyond)
        assert columns <= min(width, part.width + beyond)


@pytest.mark.parametrize("name", ["compact-x4", "folded-x4", "unet-x2", "wide-x2"])
def test_work_and_memory_of_a_part_are_that_of_a_frame_of_its_size(networks, engines, name):
    """Counted in multiplications and bytes of rings, on any number of threads."""
    engine = engines[name, "fp32"]
    part = FramePart(1000, 1064, 2000, 2064)
    around = 2 * networks[name].radius + 64
    alone, in_frame = engine.estimate(64 + around, 64 + around), engine.estimate(3000, 4000, part)
    assert in_frame.memory <= alone.memory
    assert in_frame.part[0] <= 64
    program, blocks = engine._program, part.around(engine.block)
    cut = program.cut(3000, 4000, part=blocks, threads=1)
    assert (cut.across, cut.down) == (1, 1)
    assert program.cut(3000, 4000, threads=1).memory > 3 * cut.memory


def test_parts_side_by_side_are_made_at_once(engines):
    """More of them than threads, of all sizes, with nothing stored beyond them."""
    for name, precision in (("compact-x4", "fp32"), ("wide-x2", "int8"), ("halved-x2", "fp32")):
        engine = engines[name, precision]
        block, scale = engine.block, engine.scale
        frame = frame_of(1, 70 * block, 90 * block, engine.channels)
        sides = [(y, y + 3 + x % 5, 9 * x, 9 * x + 1 + y % 8) for y in range(0, 63, 9) for x in range(10)]
        parts = [tuple(s * block for s in part) for part in sides]
        out = np.full((70 * block * scale, 90 * block * scale, engine.channels), 77, np.uint8)
        expected, whole = out.copy(), engine.run(frame)
        for top, bottom, left, right in parts:
            rows, columns = slice(top * scale, bottom * scale), slice(left * scale, right * scale)
            expected[rows, columns] = whole[rows, columns]
        engine._program.run_parts(frame, parts, out)
        np.testing.assert_array_equal(out, expected)


def test_progress_counts_over_all_parts(engines):
    engine, told = engines["srresnet-x4", "fp32"], []
    frame, out = frame_of(1, 90, 90), np.zeros((360, 360, 3), np.uint8)
    parts = [(0, 20, 0, 20), (50, 90, 30, 90), (30, 40, 0, 90)]
    engine.make_parts(frame, parts, out, progress=lambda done, total: told.append(done / total))
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize(
    "part", [(0, 0, 0, 5), (5, 4, 0, 5), (-1, 5, 0, 5), (0, 41, 0, 5), (0, 5, 0, 31), (0, 5, 7, 7)]
)
def test_parts_that_are_none_are_refused(engines, part):
    engine, frame = engines["compact-x2", "fp32"], frame_of(0, 40, 30)
    with pytest.raises(EngineError, match="are no part of 30x40 pixels"):
        engine.run_region(frame, FramePart(*part))
    with pytest.raises(ValueError, match=r"there are no such (rows|columns) in the frame"):
        engine._program.run_parts(frame, [part], np.zeros((80, 60, 3), np.uint8))
    with pytest.raises(ValueError, match=r"there are no such (rows|columns) in the frame"):
        engine._program.run_part(frame, (40, 30), (0, 0), part)
    with pytest.raises(ValueError, match=r"there are no such (rows|columns) in the frame"):
        engine._program.cut(40, 30, part=part)


def test_a_part_is_refused_where_pixels_are_missing(networks, engines):
    program, frame = engines["compact-x2", "fp32"]._program, frame_of(0, 40, 30)
    part, radius = (10, 20, 12, 14), networks["compact-x2"].radius
    first, last = program.input_columns(30, 12, 14)
    assert 0 < first <= 12 - radius
    assert 13 + radius <= last < 29
    expected = program.run(frame)[20:40, 24:28]
    made = program.run_part(frame[:, first : last + 1].copy(), (40, 30), (0, first), part)
    np.testing.assert_array_equal(made, expected)
    for columns, at in ((frame[:, first + 1 : last + 1], first + 1), (frame[:, first:last], first), (frame, 1)):
        with pytest.raises(ValueError, match="pixels must hold all columns"):
            program.run_part(columns.copy(), (40, 30), (0, at), part)
    for left, right in ((20, 10), (-1, 10), (10, 31), (10, 10)):
        with pytest.raises(ValueError, match="no such columns"):
            program.input_columns(30, left, right)


def test_results_that_hold_no_part_are_refused(engines):
    program, frame = engines["compact-x2", "fp32"]._program, frame_of(0, 40, 30)

    def refused(message, shape=(80, 60, 3), dtype=np.uint8, part=(0, 40, 0, 30), top=0, left=0):
        with pytest.raises(ValueError, match=message):
            program.run_parts(frame, [part], np.zeros(shape, dtype), top, left)

    refused("must be uint8 as the pixels, not uint16", dtype=np.uint16)
    refused("must be height x width x 3", shape=(80, 60, 4))
    refused("must be height x width x 3", shape=(80, 180))
    refused("must be height x width x 3, its width a multiple of 2", shape=(80, 61, 3))
    for other in ({"shape": (78, 60, 3)}, {"shape": (80, 58, 3)}, {"top": 1}, {"left": 1}, {"top": -(2**63)}):
        refused("must hold the enlargement of all parts", **other)
    refused("must hold the enlargement", part=(3, 5, 3, 5), shape=(2, 4, 3), top=3, left=3)
    read_only = np.zeros((80, 60, 3), np.uint8)
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        program.run_parts(frame, [(0, 40, 0, 30)], read_only)
    folded = engines["folded-x4", "fp32"]._program
    with pytest.raises(ValueError, match="columns must be multiples of 2"):
        folded.run_parts(frame_of(0, 40, 30), [(0, 40, 0, 5)], np.zeros((160, 120, 3), np.uint8))
