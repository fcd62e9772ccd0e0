import pytest
from support import ray_cluster
from support.command import runner


@pytest.fixture
def cli(capsys):
    return runner(capsys, "--model", "bicubic")


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory):
    """The environment of a test cluster, for all tests that start Ray; set before Ray is imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ray_cluster.environment(tmp_path_factory.mktemp("home")).items():
            patch.setenv(name, value)
        pytest.importorskip("ray", reason="Ray is not installed: pip install 'fastsr[cluster]'")
        yield


@pytest.fixture(scope="module")
def three_nodes(surroundings):
    """A cluster of three small nodes; tests of the module share it and leave it whole."""
    with ray_cluster.cluster(num_cpus=1) as made:
        for _ in range(2):
            ray_cluster.add(made, num_cpus=1)
        yield made
