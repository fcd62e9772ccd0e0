import pytest
from support.command import runner
from support.small_models import compact


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(compact(2, seed=5).save(tmp_path_factory.mktemp("models") / "small-x2.onnx"))


@pytest.fixture
def cli(capsys):
    return runner(capsys, "--model", "bicubic")
