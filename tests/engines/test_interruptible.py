"""Runs of other runtimes that are stopped: within a second, and nothing goes on behind."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from support.small_models import Builder

from fastsr.engines.interruptible import interruptible
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError
from fastsr.network import onnx_reader

FRAME = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)


def test_results_and_errors_come_through():
    assert interruptible(lambda: 3, lambda: None) == 3
    with pytest.raises(EngineError, match="odd"):
        interruptible(lambda: (_ for _ in ()).throw(EngineError("odd")), lambda: None)


def test_other_threads_call_at_once():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(interruptible(threading.current_thread, lambda: None)))
    thread.start()
    thread.join()
    assert seen == [thread]


def test_what_interrupts_the_wait_stops_the_call():
    stopped = threading.Event()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: stopped.wait(20), stopped.set)
    assert stopped.is_set()
    timer.join()


def test_an_interrupt_ends_a_run_of_onnx_runtime(tmp_path):
    b = Builder().conv(64)
    for _ in range(500):
        b.conv(64).add("Relu")
    engine = OnnxRuntimeEngine(onnx_reader.read(b.conv(3).save(tmp_path / "slow.onnx")), "fp32", None)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.run(FRAME)
    assert time.monotonic() - start - 0.5 < 1
    timer.join()
    for _ in range(100):  # the runtime ends behind its present operator
        if not any(t.name == "fastsr-runtime" for t in threading.enumerate()):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the run goes on")
    assert engine.run(FRAME[:16, :16].copy()).shape == (16, 16, 3)
