"""The guard against slowdowns that timing noise hides: instructions a pixel stay at the bounds in the repository."""

import dataclasses

import pytest

from benchmarks import instruction_counts
from benchmarks.instruction_cases import CASES, WIDTH, plan
from benchmarks.instruction_counts import Bounds, compared, per_pixel, read, totals, write

BOUNDS = Bounds("GCC: (Debian) 12.2.0", 0.02, {"shuffle": 100.0})


@pytest.mark.slow
def test_no_kernel_takes_more_instructions_than_its_bound():
    """Fewer fail too: a bound that is too high would hide the next slowdown."""
    if (reason := instruction_counts.missing()) is not None:
        pytest.skip(reason)
    bounds, made_by = read(), instruction_counts.compiler()
    if bounds.compiler != made_by:
        pytest.skip(f"the bounds hold for {bounds.compiler}; this module was made by {made_by}")
    wrong = compared(instruction_counts.count(list(CASES)), bounds)
    assert not wrong, "\n".join([*wrong, f"to accept: {instruction_counts.WRITE}"])


def test_every_case_has_a_bound():
    assert list(read().instructions) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_every_case_runs(name):
    for make in CASES[name].sides():
        make(5)()


def test_counts_within_the_tolerance_are_right():
    for counted in (98.1, 100.0, 101.9):
        assert compared({"shuffle": counted}, BOUNDS) == []


def test_what_is_wrong_is_named_with_its_size():
    assert compared({"shuffle": 102.5}, BOUNDS) == [
        "shuffle: 102.5 instructions a pixel, 2.5% more than its bound of 100"
    ]
    (fewer,) = compared({"shuffle": 80.0}, BOUNDS)
    assert "20.0% less than its bound of 100: tighten it" in fewer
    assert compared({"gather": 5.0}, BOUNDS) == ["gather: 5 instructions a pixel, and no bound"]


def test_bounds_are_written_as_they_are_read(tmp_path):
    bounds = dataclasses.replace(BOUNDS, instructions={'a "case", x4': 1.25, "b": 3.0})
    write(bounds, tmp_path / "bounds.toml")
    assert read(tmp_path / "bounds.toml") == bounds


def test_what_does_not_grow_with_the_frame_is_not_counted():
    """What is left is the kernel: with it less without it."""
    alone, compared_to = "pixel shuffle, NCHW", "enlarged input x4, bicubic"
    a_pixel = {(alone, 0): 7, (compared_to, 0): 50, (compared_to, 1): 20}
    instructions = {
        run: 123456 * (run.side + 1) + a_pixel[run.case, run.side] * run.rows * WIDTH
        for run in plan([alone, compared_to])
    }
    assert per_pixel(instructions) == {alone: 7, compared_to: 30}


def test_dumps_are_told_apart_by_their_number(tmp_path):
    for number in range(1, 23):
        (tmp_path / f"counts.{number}").write_text(f"version: 1\ntotals: {number * 10}\n")
    assert totals(tmp_path, 11) == [20 * run for run in range(1, 12)]
    with pytest.raises(RuntimeError, match="22 calls of getppid, not two for each of 10 runs"):
        totals(tmp_path, 10)


def test_the_compiler_is_read_off_the_module():
    assert any(name in instruction_counts.compiler() for name in ("GCC", "clang"))
