"""What every test may use."""

import os

import pytest
from support.fake_tensorrt import device, installed, rtx  # noqa: F401 - of all tests with the stand-in for TensorRT

# The machine's cores are shared with whatever else runs on it; torch's default would oversubscribe them.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session", autouse=True)
def no_imported_models(tmp_path_factory):
    """What the user has imported changes no test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSR_MODELS", str(tmp_path_factory.getbasetemp() / "no-models"))
        yield


@pytest.fixture(autouse=True)
def one_runtime(monkeypatch, request):
    """Which runtimes are installed, and how fast they are here, changes no test but those of that choice."""
    if "runtime_choice" not in request.node.nodeid:
        from fastsr.engines import runtime_choice

        monkeypatch.setattr(runtime_choice, "faster", lambda graph: runtime_choice.USUAL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, so that tests write paths as users do."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_collection_modifyitems(config, items):
    """GPU tests skip, with the reason, where there is no GPU; FASTSR_REQUIRE_GPU=1 makes that a failure instead."""
    if os.environ.get("FASTSR_REQUIRE_GPU") == "1":
        return
    reason = _no_gpu()
    if reason is not None:
        for item in items:
            if item.get_closest_marker("gpu"):  # not by keyword: folders are keywords too
                item.add_marker(pytest.mark.skip(reason=reason))


def _no_gpu():
    try:
        from fastsr import _cuda
    except ImportError as error:
        return f"the CUDA module was not built ({error})"
    devices, reason = _cuda.devices()
    return None if devices else f"no NVIDIA GPU: {reason}"
