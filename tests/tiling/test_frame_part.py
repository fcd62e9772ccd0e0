"""Parts of frames: plain arithmetic, and the windows that cover one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsr.tiling.frame_part import FramePart, whole
from fastsr.tiling.window_plan import plan


def parts(height, width):
    rows, columns = (
        st.tuples(st.integers(0, side - 1), st.integers(1, side)).map(lambda s: (min(s), max(min(s) + 1, s[1])))
        for side in (height, width)
    )
    return st.tuples(rows, columns).map(lambda sides: FramePart(*sides[0], *sides[1]))


def test_sides_and_slices():
    part = FramePart(3, 7, 10, 15)
    assert (part.height, part.width) == (4, 5)
    assert (part.rows, part.columns) == (range(3, 7), range(10, 15))
    frame = np.arange(400).reshape(20, 20)
    np.testing.assert_array_equal(frame[part.slices()], frame[3:7, 10:15])
    assert part.slices(2, 4, 3) == (slice(3, 15), slice(18, 33))
    assert part.within(FramePart(5, 20, 0, 12)) == FramePart(5, 7, 10, 12)
    assert part.within(FramePart(8, 20, 0, 12)).height < 0


@given(st.data())
def test_whole_blocks_around_a_part(data):
    part, block = data.draw(parts(90, 70)), data.draw(st.integers(1, 9))
    around = part.around(block)
    assert part.within(around) == part
    assert all(side % block == 0 for side in around)
    assert around.height < part.height + 2 * block
    enlarged = part.divided(block)
    assert FramePart(*(side * block for side in enlarged)) == around


@settings(max_examples=200)
@given(st.data())
def test_windows_that_cover_a_part(data):
    height, width = data.draw(st.integers(1, 100)), data.draw(st.integers(1, 100))
    halo, tile = data.draw(st.integers(0, 6)), data.draw(st.integers(14, 40))
    frame = plan(height, width, (tile, tile), halo)
    part = data.draw(parts(height, width))
    covering = frame.covering(part)
    assert set(covering.parts()) <= set(frame.parts())
    assert covering.window == frame.window
    kept = np.zeros((height, width), int)
    for read, core in covering.parts():
        assert core.within(read) == core
        assert read.within(covering.read) == read
        mine = core.within(part)
        assert min(mine.height, mine.width) > 0  # no window for nothing
        kept[mine.slices()] += 1
    assert (kept[part.slices()] == 1).all()
    assert kept.sum() == part.height * part.width
    assert covering.work * part.height * part.width == pytest.approx(len(covering) * np.prod(frame.window))
    moved = covering.moved(covering.read.top, covering.read.left)
    assert moved.read.slices() == covering.read.slices(covering.read.top, covering.read.left)
    assert [row.core_end - row.start for row in moved.rows] == [row.core_end - row.start for row in covering.rows]


def test_everything_is_a_part():
    frame = plan(50, 60, (20, 24), 3)
    assert frame.covering(whole(50, 60)) == frame
