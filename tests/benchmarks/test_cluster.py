"""The simulation of more machines, by cases that can be told by hand."""

import pytest
from support.command import files

from benchmarks.cluster import makespan, photographs


def test_tasks_that_fit_evenly_use_all_workers():
    assert makespan([2.0] * 12, 4, 0) == 6


def test_the_last_task_is_waited_for():
    assert makespan([1.0] * 5, 4, 0) == 2


def test_the_driver_is_the_limit_where_tasks_are_short():
    assert makespan([0.001] * 100, 50, 0.01) == pytest.approx(1.0, rel=0.01)


def test_the_link_is_the_limit_where_files_are_sent():
    assert makespan([0.001] * 100, 50, 0.01, sent=0.02) == pytest.approx(2.0, rel=0.01)


def test_photographs(tmp_path):
    photographs(tmp_path / "photos", 2, 0.01)
    assert len(files(tmp_path / "photos")) == 2
