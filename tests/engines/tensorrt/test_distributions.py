"""Which TensorRT serves which GPU, what its log tells, and what is said where one or the other is missing."""

import sys
import threading
import types

import pytest
from support.fake_tensorrt import ADA, HOPPER, Device, Library, Severity

from fastsr.engines.gpu import discovery
from fastsr.engines.gpu.discovery import Gpu
from fastsr.engines.tensorrt import distributions
from fastsr.errors import EngineError


def test_rtx_serves_what_it_lists_and_tensorrt_the_rest(installed):
    installed["tensorrt_rtx"], installed["tensorrt"] = Library(), Library(rtx=False)
    assert distributions.choose(ADA).name == "tensorrt_rtx"
    assert distributions.choose(HOPPER).name == "tensorrt"
    del installed["tensorrt_rtx"]
    distributions.find.cache_clear()
    assert distributions.choose(ADA).name == "tensorrt"


def test_what_is_missing_is_named_with_what_installs_it(installed):
    with pytest.raises(EngineError, match=r'RTX 4090 \(SM 8\.9\); run: pip install "fastsr\[tensorrt\]"'):
        distributions.choose(ADA)
    with pytest.raises(EngineError, match=r"H200 \(SM 9\.0\); run: pip install tensorrt$"):
        distributions.choose(HOPPER)
    installed["tensorrt_rtx"] = Library()
    distributions.find.cache_clear()
    with pytest.raises(EngineError, match=r"TensorRT-RTX 1\.7\.0 does not serve NVIDIA H200.*pip install tensorrt$"):
        distributions.choose(HOPPER)
    installed["tensorrt"] = types.SimpleNamespace(__version__="8.6.1")
    distributions.find.cache_clear()
    with pytest.raises(EngineError, match=r"TensorRT 8\.6\.1 is too old"):
        distributions.find("tensorrt")


def test_log_lines_reach_those_who_listen_and_none_others(rtx):
    logger = rtx.log.logger
    logger.log(Severity.ERROR, "before")
    every = []
    with rtx.log.errors() as errors, rtx.log.listening(every.append, everything=True):
        logger.log(Severity.INFO, "chatter")
        logger.log(Severity.ERROR, "trouble")
    logger.log(Severity.ERROR, "after")
    assert (list(errors), every) == (["trouble"], ["chatter", "trouble"])


def test_what_is_raised_while_it_logs_waits_until_it_is_back(rtx):
    """C++ would end the process."""

    def interrupted(line):
        raise KeyboardInterrupt

    with rtx.log.listening(interrupted):
        rtx.log.logger.log(Severity.ERROR, "a line")
        other = threading.Thread(target=rtx.log.check)  # what is raised in one thread is not another's
        other.start()
        other.join()
        with pytest.raises(KeyboardInterrupt):
            rtx.log.check()
        rtx.log.check()


def cuda_core(monkeypatch, device):
    module = types.ModuleType("cuda.core")
    module.Device = device
    monkeypatch.setitem(sys.modules, "cuda", types.ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.core", module)


def test_the_gpu_is_asked_for_its_name(monkeypatch):
    class Card(Device):
        name, compute_capability = "card", (12, 0)

        def __init__(self, index):
            super().__init__()

    cuda_core(monkeypatch, Card)
    assert discovery.find(1) == Gpu(1, "card", "12.0")


class DynamicLibNotFoundError(RuntimeError):
    """Named as cuda-pathfinder's."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DynamicLibNotFoundError('"cuda" can only be found via system search'), "no NVIDIA driver on this machine"),
        (RuntimeError("CUDA_ERROR_STUB_LIBRARY: ..."), "no NVIDIA driver"),
        (RuntimeError("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"), "driver is too old .*; update the driver"),
        (RuntimeError("cudaErrorINSUFFICIENT_DRIVER"), "driver is too old"),
        (ValueError("Device ID expected to be in range"), r"GPU 3 cannot be used \(Device ID .*nvidia-smi"),
        (Exception(), r"GPU 3 cannot be used \(Exception\)"),
    ],
)
def test_no_gpu_says_why(monkeypatch, error, message):
    def fails(index):
        raise error

    cuda_core(monkeypatch, fails)
    with pytest.raises(EngineError, match=message):
        discovery.find(3)


def test_without_cuda_core_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    with pytest.raises(EngineError, match=r'need cuda-core.*pip install "fastsr\[tensorrt\]"'):
        discovery.find()
