"""Modules of earlier versions lead to what took their place, and say so."""

import importlib
import warnings
from pathlib import Path

import pytest

import fastsr
from fastsr import former_names
from fastsr.errors import FastsrError
from fastsr.former_names import names_of


@pytest.mark.parametrize("former", sorted(former_names.MOVED))
def test_a_former_module_can_be_imported(former):
    pytest.importorskip("torch") if ".torch" in former else None
    pytest.importorskip("cuda.core") if former.endswith(("cuda_device", "tensorrt_frames")) else None
    module = importlib.import_module(former)
    place = importlib.import_module(former_names.MOVED[former][0])
    name = next(n for n, value in vars(place).items() if getattr(value, "__module__", None) == place.__name__)
    if module is not place:
        with pytest.warns(DeprecationWarning, match=rf"{former}\.{name} is now {place.__name__}\.{name}"):
            assert getattr(module, name) is getattr(place, name)


@pytest.mark.parametrize(
    ("module", "name", "now"),
    [
        ("fastsr.engines.cpu", "CpuEngine", "fastsr.engines.native.engine.NativeEngine"),
        ("fastsr.graph", "read", "fastsr.network.onnx_reader.read"),
        ("fastsr.cli", "main", "fastsr.cli.command.main"),
        ("fastsr.upscaler", "load", "fastsr.loading.load"),
        ("fastsr.engines.base", "REGISTRY", "fastsr.engines.registry.REGISTRY"),
    ],
)
def test_a_former_name_leads_to_the_present_one(module, name, now):
    with pytest.warns(DeprecationWarning, match=f"is now {now}"):
        found = getattr(importlib.import_module(module), name)
    place, present = now.rsplit(".", 1)
    assert found is getattr(importlib.import_module(place), present)


def test_public_names_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in fastsr.__all__:
            getattr(fastsr, name)
        assert fastsr.EngineError.__mro__[1] is FastsrError


def test_names_that_never_were_are_errors():
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from fastsr.graph import nothing  # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("fastsr.nothing")


def test_the_former_name_of_an_engine_is_taken():
    up = fastsr.load("fast-x2", "cpu", "fp32", "onnx")
    assert up.engine == "onnxruntime"


@pytest.mark.parametrize(
    "package", ["fastsr.engines.tensorrt", "fastsr.engines.torch", "fastsr.video.codecs", "fastsr.cli"]
)
def test_modules_of_a_package_are_no_former_names(package):
    """`from package import module` asks the package for an attribute first; a module that imports it is not meant."""
    for path in Path(importlib.import_module(package).__file__).parent.glob("[a-z]*.py"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            with pytest.raises(AttributeError):
                names_of(package)(path.stem)
