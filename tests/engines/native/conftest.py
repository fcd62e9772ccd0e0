"""The networks that the native engine's tests run, and an engine of each."""

import pytest
from support.native_networks import NATIVE, ranged

from fastsr.engines.native.engine import NativeEngine


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return {name: ranged(make(), tmp_path_factory.mktemp(name)) for name, make in NATIVE.items()}


@pytest.fixture(scope="module")
def engines(networks):
    return {(n, p): NativeEngine(network, p, None) for n, network in networks.items() for p in ("fp32", "int8")}
