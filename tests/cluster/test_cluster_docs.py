"""What docs/cluster.md shows: fastsr's commands run on a cluster; what starts clusters elsewhere is looked at."""

import shlex
import subprocess

import pytest
from support.cli_images import write_image
from support.pages import CLUSTERED, blocks

from fastsr.cli.command import argument_parser, main

SHELL = [block for block in blocks("sh") if block.page == CLUSTERED]
OURS = [block for block in SHELL if block.text.startswith("fastsr")]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        write_image(f"photos/{number}.png", seed=number)
    pytest.importorskip("av", reason="PyAV is not installed")
    from support.video_samples import video

    video("film.mp4", 12, sound=True)


def test_the_page_has_commands_of_ours_and_others():
    assert OURS
    assert len(OURS) < len(SHELL)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_scripts_are_read_by_a_shell_and_our_command(block):
    done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        if "fastsr" in words:
            assert argument_parser().parse_args(words[words.index("fastsr") + 1 :]).cluster


@pytest.mark.slow
@pytest.mark.parametrize("block", OURS, ids=str)
def test_sh(block, three_nodes, here):
    for line in block.text.splitlines():
        words = shlex.split(
            line.replace("auto", three_nodes.address).replace("10.0.0.1:6379", three_nodes.address), True
        )
        if words:
            assert main(words[1:]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in blocks("python") if block.page == CLUSTERED], ids=str)
def test_python(block, three_nodes, here, capsys):
    exec(compile(block.text.replace('"auto"', f'"{three_nodes.address}"'), CLUSTERED, "exec"), {})
    assert "large/1.png (32, 24)" in capsys.readouterr().out
