"""A run of the native engine that is stopped: within a second, at any step, from the first layer on."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from support.small_models import Builder

from fastsr.engines.native.engine import NativeEngine
from fastsr.network import onnx_reader

FRAME = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)


@pytest.fixture(autouse=True)
def interruptible():
    """Shells start what runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Minutes of work for the frame, whose first row is stored after many others were made."""
    b = Builder().conv(64)
    for _ in range(150):
        b.conv(64).add("Relu")
    return onnx_reader.read(b.conv(3).save(tmp_path_factory.mktemp("models") / "slow.onnx"))


@pytest.fixture(scope="module")
def engine(network):
    return NativeEngine(network, "fp32", None)


def later(seconds):
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def seconds_until_interrupted(run):
    timer = later(0.5)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run()
    timer.join()
    return time.monotonic() - start - 0.5


def test_an_interrupt_ends_a_run_within_a_second(engine):
    assert seconds_until_interrupted(lambda: engine.run(FRAME)) < 1


def test_an_interrupt_ends_a_run_in_many_parts(network):
    parts = NativeEngine(network, "fp32", 2 * network.radius + 64)
    assert seconds_until_interrupted(lambda: parts.run(FRAME)) < 1


def test_what_progress_raises_ends_a_run_that_has_stored_nothing(engine):
    class Stop(Exception):
        pass

    seen = []

    def stop_soon(done, total):
        seen.append(done / total)
        if len(seen) == 3:
            raise Stop

    start = time.monotonic()
    with pytest.raises(Stop):
        engine.run(FRAME, stop_soon)
    assert time.monotonic() - start < 5
    assert seen == sorted(set(seen))
    assert 0 < seen[0] < 0.1  # long before the first row came out: 150 layers are 150 rows behind one another


def test_progress_is_in_proportion_to_the_work(network):
    """Half of the counts when half of the time is over, whichever rows are stored then."""
    engine = NativeEngine(network, "fp32", None)
    seen = [(0.0, 0.0)]
    start = time.monotonic()
    engine.run(FRAME[:200, :200].copy(), lambda done, total: seen.append((time.monotonic() - start, done / total)))
    taken, _ = seen[-1]
    assert seen[-1][1] == 1
    middle = [done for at, done in seen if 0.3 < at / taken < 0.7]
    assert not middle or 0.1 < np.median(middle) < 0.9


def test_a_run_on_another_thread_goes_on_and_can_be_stopped_by_its_progress(engine):
    """Signals are the main thread's."""
    stopped, ended = threading.Event(), threading.Event()

    def report(done, total):
        if stopped.is_set():
            raise InterruptedError

    def work():
        try:
            engine.run(FRAME, report)
        except InterruptedError:
            ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    timer = later(0.3)
    with pytest.raises(KeyboardInterrupt):
        ended.wait(10)
    timer.join()
    assert not ended.is_set()
    stopped.set()
    assert ended.wait(2)
    thread.join()
