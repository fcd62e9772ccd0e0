"""Ways that take turns."""

import os

import numpy as np
import pytest

from benchmarks.turns import Ended, Runner, frame, interleaved


def half():
    return lambda pixels: pixels // 2


def dying():
    return lambda pixels: os._exit(7)


def test_ways_run_in_processes_of_their_own():
    runner = Runner(half)
    assert np.array_equal(runner.output(), frame() // 2)
    called = []
    times = interleaved({"half": runner}, 3, 60, lambda: called.append(1))
    assert len(times["half"]) == len(called) == 3
    assert min(times["half"]) > 0


def test_a_process_that_ends_is_told():
    with pytest.raises(Ended, match="status 7"):
        Runner(dying).output()
