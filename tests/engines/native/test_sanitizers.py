"""The C++ under the compiler's sanitizers: the pool for races, everything for memory errors and undefined behaviour."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.sanitizers import COMPILER, library, preloaded

from fastsr import _core

ROOT = Path(__file__).parents[3]
CSRC = ROOT / "csrc"
POOL = [ROOT / "tests" / "support" / "pool_stress.cpp", CSRC / "cpu" / "thread_pool.cpp"]


def compiled(folder, *options):
    """The stress program; skips where the compiler lacks a sanitizer."""
    program = folder / "stress"
    command = [COMPILER, "-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-pthread", f"-I{CSRC}", *options]
    command += [*POOL, "-o", program]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode and any(text in done.stderr for text in ("libtsan", "-ltsan", "unsupported option")):
        pytest.skip(f"this compiler has no ThreadSanitizer: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason="no C++ compiler")
def test_the_pool_under_load(tmp_path):
    program = compiled(tmp_path)
    for threads in ("1", "2", "64"):
        environment = {**os.environ, "FASTSR_NUM_THREADS": threads}
        done = subprocess.run(
            [program, "fork"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(COMPILER) is None, reason="no C++ compiler")
def test_the_pool_has_no_races(tmp_path):
    program = compiled(tmp_path, "-fsanitize=thread")
    done = subprocess.run([program], capture_output=True, text=True, timeout=300, check=False)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("ThreadSanitizer does not know this kernel's address layout")
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr[-4000:]


@pytest.mark.slow
def test_kernels_and_engine_under_address_and_undefined_behaviour_sanitizer(tmp_path):
    """Every instruction set that the machine has: tests of the operations, the engine and its programs, and fuzzing."""
    pybind11 = pytest.importorskip("pybind11")
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    runtime = library("libasan.so")
    if not Path(runtime).is_absolute():
        pytest.skip(f"{COMPILER} has no AddressSanitizer")
    package = tmp_path / "fastsr"
    shutil.copytree(ROOT / "fastsr", package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    options = {
        "FASTSR_SANITIZE": "address,undefined",
        "FASTSR_CUDA": "off",
        "FASTSR_OUTPUT": package,
        "FASTSR_ISAS": ";".join({"avxvnni", "avx512", "avx512bf16"} & set(_core.available_isas())),
        "Python_EXECUTABLE": sys.executable,
        "pybind11_DIR": pybind11.get_cmake_dir(),
        "CMAKE_CXX_FLAGS_RELEASE": "-O1 -DNDEBUG",
    }
    configure = ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "build"), *(f"-D{k}={v}" for k, v in options.items())]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(tmp_path / "build"), "-j2"], check=True, stdout=subprocess.DEVNULL)
    paths = os.pathsep.join([str(tmp_path), str(tmp_path / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths, **preloaded()}

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run("-c", "import fastsr; print(fastsr.__file__)").stdout.strip() == str(package / "__init__.py")
    # Not captured by file descriptor: a sanitizer writes its report there and ends the process.
    tests = [
        f"tests/{name}.py"
        for name in ("ops/test_ops", "engines/native/test_conv_program", "engines/native/test_native_engine")
    ]
    done = run("-m", "pytest", "-q", "-x", "--capture=sys", *tests)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[:6000]  # a report begins with what matters
    done = run("-m", "fuzz", "array_calls", "conv_programs", "--cases", "300", "--first", "0")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
