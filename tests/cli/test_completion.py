"""Completion scripts and the manual page: as the parser is, and understood by the shells and by man."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fastsr.cli import command, completion
from fastsr.cli.command import main
from fastsr.network import catalog

BASH = completion.FOLDER / completion.SCRIPTS["bash"]
FISH = completion.FOLDER / completion.SCRIPTS["fish"]
ZSH = completion.FOLDER / completion.SCRIPTS["zsh"]
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")


@pytest.fixture
def environment(tmp_path):
    """With one imported model and one file."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.v2.json").touch()
    (tmp_path / "fast-photo.jpg").touch()
    return {**os.environ, "FASTSR_MODELS": str(tmp_path / "models"), "HOME": str(tmp_path)}


def test_the_files_are_up_to_date():
    pytest.importorskip("shtab", reason="shtab is not installed")
    from fastsr.cli.shell_files import __main__ as shell_files

    for path, text in shell_files.made().items():
        shipped = (completion.FOLDER / path).read_text(encoding="utf-8")
        assert shipped.rstrip("\n") == text.rstrip("\n"), "python -m fastsr.cli.shell_files"


def test_arguments_that_are_files_and_models_are_there():
    pytest.importorskip("shtab", reason="shtab is not installed")
    from fastsr.cli.shell_files import __main__ as shell_files

    there = {action.dest for action in shell_files._actions(command.argument_parser())}
    assert there >= shell_files.FILES | shell_files.MODELS | shell_files.IMPORTED


@pytest.mark.parametrize("shell", completion.SCRIPTS)
def test_the_command_prints_the_script(shell, capsys):
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == (completion.FOLDER / completion.SCRIPTS[shell]).read_text(encoding="utf-8")


def in_bash(folder, environment, *words):
    """What bash offers for the last word."""
    script = 'source "$0"; COMP_WORDS=(fastsr "$@"); COMP_CWORD=$#; _shtab_fastsr; printf "%s\\n" "${COMPREPLY[@]}"'
    command = ["bash", "--norc", "-c", script, str(BASH), *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def in_fish(folder, environment, *words):
    script = f"source {FISH}; complete -C 'fastsr {' '.join(words)}'"
    command = ["fish", "--no-config", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", [pytest.param(in_bash, marks=needs_bash), pytest.param(in_fish, marks=needs_fish)])
def test_shells_complete(shell, tmp_path, environment):
    fast = [name for name in catalog.models() if name.startswith("fast-")]
    assert shell(tmp_path, environment, "up") == ["upscale"]
    assert shell(tmp_path, environment, "upscale", "--eng") == ["--engine"]
    assert shell(tmp_path, environment, "upscale", "--engine", "op") == ["openvino"]
    assert sorted(shell(tmp_path, environment, "upscale", "--model", "fast-")) == sorted([*fast, "fast-photo.jpg"])
    assert shell(tmp_path, environment, "export", "mi") == ["mine.v2"]
    assert shell(tmp_path, environment, "models", "--remove", "") == ["mine.v2"]
    assert shell(tmp_path, environment, "upscale", "fast-p") == ["fast-photo.jpg"]
    assert shell(tmp_path, environment, "completion", "z") == ["zsh"]


@pytest.mark.parametrize(("shell", "script"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_shells_can_read_the_scripts(shell, script):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_page_tells_every_option(capsys):
    assert main(["man"]) == 0
    page = capsys.readouterr().out
    assert page.startswith('.TH FASTSR 1 "" "fastsr ')
    plain = page.replace("\\-", "-")
    parser = command.argument_parser()
    commands = next(action for action in parser._actions if action.choices).choices
    for name, inner in commands.items():
        assert f".SS fastsr {name}\n" in plain
        for action in inner._actions:
            assert all(f"\\fB{flag}\\fR" in plain for flag in action.option_strings if flag not in ("-h", "--help"))


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_the_manual_page_is_what_groff_can_set():
    path = Path(completion.FOLDER / completion.MAN_PAGE)
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(path)], capture_output=True, text=True, encoding="utf-8", check=True
    )
    assert done.stderr == ""
    assert "All was done." in done.stdout
    assert "%%" not in done.stdout
