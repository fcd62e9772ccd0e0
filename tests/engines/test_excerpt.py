"""What a part of a frame is made from: mirrored beyond the frame, and bands put together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsr.engines.excerpt import check_part, gathered, mirrored, sources
from fastsr.errors import EngineError
from fastsr.tiling.frame_part import FramePart


@settings(max_examples=300)
@given(st.data())
def test_mirrored_parts_are_those_of_the_padded_frame(data):
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    below, right = data.draw(st.integers(0, 7)), data.draw(st.integers(0, 7))
    frame = np.arange(height * width * 2).reshape(height, width, 2)
    padded = np.pad(frame, ((0, below), (0, right), (0, 0)), mode="reflect")
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    part = FramePart(
        top, data.draw(st.integers(top + 1, height + below)), left, data.draw(st.integers(left + 1, width + right))
    )
    asked = []

    def convert(pixels):
        asked.append(pixels.shape[:2])
        return pixels * 3

    made, (first_row, first_column) = mirrored(frame, part, convert)
    assert made.flags.c_contiguous
    assert first_row <= top
    assert first_column <= left
    begin = FramePart(first_row, part.bottom, first_column, part.right)
    np.testing.assert_array_equal(made, padded[begin.slices()] * 3)
    read = sources(part, height, width)
    assert asked == [(read.height, read.width)]
    if part.bottom <= height:
        assert (read.top, read.bottom) == (part.top, part.bottom)


def test_bands_are_put_together():
    bands = [np.full((rows, 3, 1), rows, np.uint8) for rows in (2, 1, 4)]
    np.testing.assert_array_equal(gathered(iter(bands), 7), np.concatenate(bands))
    assert gathered([bands[2]], 4) is bands[2]


@pytest.mark.parametrize("part", [(0, 0, 0, 5), (0, 9, 0, 5), (-1, 3, 0, 5), (0, 3, 0, 8), (5, 4, 0, 5)])
def test_what_is_no_part_is_refused(part):
    with pytest.raises(EngineError, match="are no part of 7x8 pixels"):
        check_part(FramePart(*part), 8, 7)
