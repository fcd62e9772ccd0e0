"""What a process needs in which a module runs that was built with FASTSR_SANITIZE=address,undefined."""

import importlib.util
import os
import subprocess
from pathlib import Path

COMPILER = os.environ.get("CXX", "g++")


def library(name):
    """The path of the compiler's library; the bare name where it has none such."""
    command = [COMPILER, f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def sanitized():
    """Whether fastsr's module is such a one; it is not imported, which would end a process without `preloaded`."""
    found = importlib.util.find_spec("fastsr._core")
    return found is not None and b"__asan_init" in Path(found.origin).read_bytes()


def preloaded():
    """The environment for such a module, in a process whose Python was built without."""
    return {
        # with the second, or the sanitizer finds no __cxa_throw to wrap
        "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
        "UBSAN_OPTIONS": "halt_on_error=1",
        # Python itself leaves memory behind
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=16:allocator_may_return_null=1",
        "PYTHONMALLOC": "malloc",
    }
