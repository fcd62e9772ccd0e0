"""Jobs: how far they are, how they are stopped, and whose turn it is."""

import threading
import time

import pytest

from fastsr.web.jobs import Job, Jobs, StoppedError, Turns

PATIENCE = 30  # seconds, after which a test that waits has failed


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def endless(job):
    """Work that only ends by being stopped."""
    for done in range(1_000_000):
        job.report(done, 1_000_000)
        time.sleep(0.001)


def test_a_job_gives_its_result_and_how_far_it_is():
    def work(job):
        job.report(0, 4)
        job.report(4, 4)
        return "made"

    job = Job(work)
    assert (job.share, job.rate, job.seconds_left) == (0, 0, None)
    jobs = Jobs()
    assert jobs.run("me", job) == "made"
    assert job.share == 1
    assert job.rate > 0
    assert job.seconds_left == 0
    assert jobs.of("me") is None


def test_a_fault_is_raised_where_the_result_is_asked_for():
    def work(job):
        raise KeyError("x")

    with pytest.raises(KeyError):
        Jobs().run("me", Job(work))


def test_a_job_is_stopped_by_its_owner_alone():
    jobs = Jobs()
    mine, other = jobs.begin("me", Job(endless)), jobs.begin("other", Job(endless))
    jobs.stop("me")
    wait_until(lambda: not mine.alive)
    with pytest.raises(StoppedError):
        mine.result()
    assert other.alive
    other.stop()


def test_a_new_job_of_the_same_owner_stops_the_one_before():
    jobs = Jobs()
    first, second = jobs.begin("me", Job(endless)), jobs.begin("me", Job(endless))
    wait_until(lambda: not first.alive)
    assert jobs.of("me") is second
    second.stop()


def test_one_computes_at_a_time_in_the_order_of_asking():
    turns, order, at_once = Turns(), [], []
    entered = threading.Event()

    def work(number):
        def run(job):
            with turns.turn(job):
                at_once.append(number)
                assert len(at_once) == 1
                entered.wait(PATIENCE)
                order.append(number)
                at_once.remove(number)

        return run

    jobs = []
    for number in range(4):
        jobs.append(Job(work(number)))
        jobs[-1].start()
        wait_until(lambda: len(turns._waiting) == len(jobs))
    entered.set()
    for job in jobs:
        for _ in job.follow():
            pass
        job.result()
    assert order == [0, 1, 2, 3]


def test_a_job_that_waits_can_be_stopped():
    turns = Turns()
    held = threading.Event()

    def hold(job):
        with turns.turn(job):
            held.wait(PATIENCE)

    def never(job):
        with turns.turn(job):
            raise AssertionError("it never was its turn")

    first, second = Job(hold), Job(never)
    first.start()
    wait_until(lambda: turns._waiting)
    second.start()
    wait_until(lambda: len(turns._waiting) == 2)
    second.stop()
    wait_until(lambda: not second.alive)
    with pytest.raises(StoppedError):
        second.result()
    held.set()
    wait_until(lambda: not first.alive)
    assert not turns._waiting


def test_a_long_turn_lets_others_go_before():
    turns, order = Turns(), []

    def long(job):
        with turns.long_turn(job) as let_others:
            for frame in range(3):
                order.append(f"frame {frame}")
                wait_until(lambda: frame or len(turns._waiting) == 2)  # noqa: B023 - called at once
                let_others()

    def short(job):
        with turns.turn(job):
            order.append("photo")

    jobs = [Job(long), Job(short)]
    jobs[0].start()
    wait_until(lambda: order)
    jobs[1].start()
    for job in jobs:
        for _ in job.follow():
            pass
        job.result()
    assert order == ["frame 0", "photo", "frame 1", "frame 2"]
