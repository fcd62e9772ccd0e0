import pytest
from support.command import runner


@pytest.fixture
def clip(tmp_path):
    """A small video."""
    from support.video_samples import video

    return video(tmp_path / "in.mp4")


@pytest.fixture
def cli(capsys):
    return runner(capsys, "--model", "nearest", "--scale", "2")
