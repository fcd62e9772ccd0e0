"""Workers that would make other results than the driver: the job is refused before anything is made."""

import os
from pathlib import Path

import pytest
from support import ray_cluster
from support.cli_images import write_image

pytestmark = pytest.mark.slow


def test_another_version_of_pillow(surroundings, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other" / "pillow-1.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: pillow\nVersion: 1.0\n")
    write_image("in.png")
    with ray_cluster.cluster(num_cpus=0) as made:
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", f"{other.parent}:{os.environ['PYTHONPATH']}")
            ray_cluster.add(made, num_cpus=1)
        code, _, err = cli("in.png", "-o", "out/large.png", "--cluster", made.address)
    assert code == 1
    assert "would make other results (pillow 1.0, here " in err
    assert "install the same versions there" in err
    assert not Path("out").exists()
