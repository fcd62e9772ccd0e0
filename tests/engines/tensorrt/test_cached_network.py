"""From a graph to a TensorRT network: built once, kept, built anew when it does not load; engine files."""

import types
import warnings

import pytest
from support.fake_tensorrt import ADA, Library
from support.small_models import compact

from fastsr.engines.gpu import discovery
from fastsr.engines.gpu.discovery import Gpu
from fastsr.engines.tensorrt import cache, distributions, engine_file
from fastsr.engines.tensorrt import network as tensorrt_network
from fastsr.engines.tensorrt.builder import Profile
from fastsr.engines.tensorrt.distributions import Distribution
from fastsr.errors import EngineError, GpuMemoryError
from fastsr.network import onnx_reader

PROFILE = Profile((1, 8, 8), (1, 64, 64), (4, 128, 256))


@pytest.fixture
def network_of(monkeypatch, tmp_path, device, rtx):
    """`network.network` for a small model on an RTX 4090; `builds` holds what was built."""
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(discovery, "find", lambda index=0: ADA)
    monkeypatch.setattr(distributions, "choose", lambda gpu: rtx)
    model = onnx_reader.read(compact().save(tmp_path / "m.onnx"))
    builds = []

    def build(distribution, network, precision, profile, targets, progress):
        progress(1, 2)
        builds.append((network.name, precision, profile, targets))
        return precision.encode()

    monkeypatch.setattr(tensorrt_network, "build", build)

    def make(precision="fp16", **options):
        return tensorrt_network.cached_or_built(model, precision, PROFILE, **options)

    make.builds, make.model = builds, model
    return make


def test_a_network_is_built_once_for_the_cards_kind(network_of, rtx, tmp_path):
    assert network_of().limits == (4, 128, 256)
    assert rtx.trt.loaded == b"fp16"
    network_of()
    assert network_of.builds == [("m", "fp16", PROFILE, ("8.9",))]
    network_of("int8")
    assert rtx.trt.loaded == b"int8"
    assert len(network_of.builds) == 2
    (path,) = [p for p in (tmp_path / "cache").glob("*.engine") if b'"int8"' in p.read_bytes()]
    description, _ = engine_file.read(path)
    assert cache.key(description) == path.stem
    assert (description["targets"], description["gpu"], description["distribution"]) == (["8.9"], None, "tensorrt_rtx")


def test_tensorrt_builds_for_the_very_card(network_of, monkeypatch):
    monkeypatch.setattr(distributions, "choose", lambda gpu: Distribution("tensorrt", "10.9.0", Library(rtx=False)))
    network_of()
    monkeypatch.setattr(discovery, "find", lambda index=0: Gpu(0, "another", "8.9"))
    network_of()
    assert [targets for *_, targets in network_of.builds] == [(), ()]


def test_progress_is_told_while_it_is_built(network_of):
    steps = []
    assert network_of(progress=lambda done, total: steps.append((done, total))).limits == (4, 128, 256)
    assert steps == [(1, 2)]


def test_a_build_that_fails_says_so_each_time(network_of, monkeypatch):
    def fails(*_):
        raise EngineError("cannot be built")

    monkeypatch.setattr(tensorrt_network, "build", fails)
    with pytest.raises(EngineError, match="cannot be built"):
        network_of()
    with pytest.raises(EngineError, match="cannot be built"):
        network_of()


def test_a_cached_engine_that_no_longer_loads_is_built_anew(network_of, rtx, monkeypatch):
    network_of()
    real, fails = tensorrt_network.TensorRTNetwork, [True]

    def loads(*arguments):
        if fails and fails.pop():
            raise EngineError("the NVIDIA driver has changed")
        return real(*arguments)

    monkeypatch.setattr(tensorrt_network, "TensorRTNetwork", loads)
    assert network_of().limits == (4, 128, 256)
    assert len(network_of.builds) == 2
    fails[:] = [True, True]
    with pytest.raises(EngineError, match="driver has changed"):  # one that was just built does not load either
        network_of()
    assert len(network_of.builds) == 3


def test_too_little_memory_for_a_cached_engine_does_not_build_it_anew(network_of, monkeypatch):
    network_of()

    def full(*_):
        raise GpuMemoryError("no memory")

    monkeypatch.setattr(tensorrt_network, "TensorRTNetwork", full)
    with pytest.raises(GpuMemoryError):
        network_of()
    assert len(network_of.builds) == 1


def test_compiled_kernels_lie_beside_the_engine(network_of, tmp_path):
    network_of().prepare(1, 16, 16)
    (path,) = (tmp_path / "cache").glob("*.kernels")
    assert path.read_bytes() == b"+"


def test_no_gpu_is_told_at_once(network_of, monkeypatch):
    def fails(index=0):
        raise EngineError("there is no NVIDIA driver")

    monkeypatch.setattr(discovery, "find", fails)
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        network_of()


def test_a_build_ends_with_the_process(network_of, monkeypatch):
    monkeypatch.setattr(
        tensorrt_network.threading, "main_thread", lambda: types.SimpleNamespace(is_alive=lambda: False)
    )
    with pytest.raises(EngineError, match="the process is ending"):
        network_of()


def engine_of(network_of, path, **changes):
    distribution = Distribution("tensorrt_rtx", "1.7.0", None)
    description = (
        tensorrt_network.describe(network_of.model, "fp16", PROFILE, distribution, ("8.6", "8.9"), None) | changes
    )
    engine_file.write(path, description, b"exported")
    return path


def test_engine_files_run_where_they_were_built_for(network_of, installed, rtx, tmp_path, monkeypatch):
    installed["tensorrt_rtx"] = rtx.trt
    path = engine_of(network_of, tmp_path / "m.engine")
    assert tensorrt_network.load(path).limits == (4, 128, 256)
    assert rtx.trt.loaded == b"exported"
    engine_of(network_of, path, version="1.6.0")
    with pytest.raises(EngineError, match=r"m\.engine: was built by TensorRT-RTX 1\.6\.0, and this is 1\.7\.0; export"):
        tensorrt_network.load(path)
    engine_of(network_of, path, targets=["8.6", "12.0"])
    with pytest.raises(EngineError, match=r"built for SM 8\.6, 12\.0, and NVIDIA .* is SM 8\.9; .*--target-sm 8\.9"):
        tensorrt_network.load(path)
    engine_of(network_of, path, targets=[], gpu=["NVIDIA L4", "8.9"])
    with pytest.raises(EngineError, match=r"was built on NVIDIA L4, and this is NVIDIA GeForce RTX 4090"):
        tensorrt_network.load(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r"m\.engine: is damaged or cut short"):
        tensorrt_network.load(path)


def test_the_weights_beside_a_file_count(network_of, monkeypatch):
    """The digest of the file alone would not tell new weights in its external data from the old ones."""
    import dataclasses

    changed = dataclasses.replace(network_of.model, serialized=network_of.model.serialized + b"\x00")
    distribution = Distribution("tensorrt_rtx", "1.7.0", None)
    keys = {
        cache.key(tensorrt_network.describe(model, "fp16", PROFILE, distribution, ("8.9",), None))
        for model in (network_of.model, changed)
    }
    assert len(keys) == 2


def test_a_cache_that_cannot_be_written_costs_a_warning_not_the_network(network_of, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "file"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert network_of().limits == (4, 128, 256)
    assert [w.category for w in caught] == [RuntimeWarning]
