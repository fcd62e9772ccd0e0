"""A call into a runtime that Python cannot interrupt, made on another thread, so that Ctrl-C reaches the caller."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 0.5  # seconds in which a runtime that was told to stop should


def interruptible(call: Callable[[], T], stop: Callable[[], None]) -> T:
    """What `call` returns or raises. What interrupts the wait is raised once `stop` has had the call end.

    Signals are taken on the main thread alone: on others the call is made at once.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    made: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            made.set_result(call())
        except BaseException as error:
            made.set_exception(error)

    # No daemon: a process may not end around a thread inside a runtime.
    thread = threading.Thread(target=work, name="fastsr-runtime")
    thread.start()
    try:
        return made.result()
    except BaseException:
        if thread.is_alive() and not made.done():
            stop()
            thread.join(PATIENCE)
        raise
