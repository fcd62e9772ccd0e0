"""The instruction sets that tests compare."""

import pytest

from fastsr import _core


def with_fma():
    """The machine's instruction sets that have it, among them "wide": 16 lanes in AVX2 instructions."""
    found = [isa for isa in _core.available_isas() if isa != "portable"]
    if len(found) < 2:
        pytest.skip("needs AVX2")
    return found
