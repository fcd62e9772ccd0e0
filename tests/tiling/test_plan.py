"""Plans of windows: they cover the frame once, keep their distance from cuts, and waste little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsr.errors import EngineError
from fastsr.tiling.window_plan import plan as tiling_plan


@settings(max_examples=300, deadline=None)
@given(
    length=st.integers(1, 700),
    halo=st.integers(0, 40),
    extra=st.integers(1, 200),
    alignment=st.sampled_from([1, 2, 4]),
    even=st.booleans(),
)
def test_cores_cover_once_and_keep_the_halo(length, halo, extra, alignment, even):
    length = -(-length // alignment) * alignment
    tile = 2 * (-(-halo // alignment) * alignment) + extra + alignment
    plan = tiling_plan(length, 3 * alignment, (tile, 8 * alignment), halo, alignment, even)
    covered = np.zeros(length, int)
    for span in plan.rows:
        covered[span.core_start : span.core_end] += 1
        assert 0 <= span.start <= span.core_start < span.core_end <= span.start + span.length <= length
        assert span.length == plan.window[0] <= tile
        assert span.start % alignment == 0
        assert span.start == 0 or span.core_start - span.start >= halo
        assert span.start + span.length == length or span.start + span.length - span.core_end >= halo
    assert (covered == 1).all()


def test_windows_are_evened_out():
    plan = tiling_plan(520, 520, (512, 512), 12)
    assert len(plan) == 4
    assert plan.window == (272, 272)


def test_small_frames_are_one_window():
    plan = tiling_plan(7, 5, (64, 64), 30)
    assert plan.windows().tolist() == [[0, 0, 0, 0, 7, 5]]


def test_a_tile_smaller_than_its_halos_is_refused():
    with pytest.raises(EngineError, match=r"sees 20 pixels.*use at least 41"):
        tiling_plan(100, 100, (40, 40), 20)
