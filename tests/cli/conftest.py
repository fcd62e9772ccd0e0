import pytest
from command import runner
from small_models import compact


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(compact(2, seed=5).save(tmp_path_factory.mktemp("models") / "small-x2.onnx"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working folder, so that tests write paths as users do."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(capsys):
    return runner(capsys, "--model", "bicubic")
