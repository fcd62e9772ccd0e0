"""The command line as a process: interrupts, broken pipes, progress on a terminal."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.cli_images import damaged, size, write_image
from support.command import finish, on_terminal, start, tree

pytestmark = pytest.mark.usefixtures("here")


def test_process_reports_a_bad_file():
    damaged("text")
    code, out, err = finish("upscale", "bad.png", "-o", "out.png", "--model", "bicubic")
    assert (code, out) == (1, "0 made, 1 failed\n")
    assert err.startswith("fastsr: bad.png: not an image")
    assert tree() == ["bad.png"]


@pytest.mark.parametrize("arguments", [["models"], ["upscale", "in.png", "-o", "out.png", "--model", "bicubic"]])
def test_broken_pipe(arguments):
    write_image("in.png")
    reader, writer = os.pipe()
    os.close(reader)
    code, _, err = finish(*arguments, stdout=writer)
    os.close(writer)
    assert err == ""
    assert code == (1 if arguments == ["models"] else 0)
    assert Path("out.png").exists() == (arguments != ["models"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_standard_output():
    with Path("/dev/full").open("w") as full:
        code, _, err = finish("models", stdout=full)
    assert (code, err.count("\n")) == (1, 1)
    assert "standard output: cannot be written (No space left on device)" in err


def wait_for(path, process):
    end = time.monotonic() + 40
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} was not made"
        time.sleep(0.01)


@pytest.mark.parametrize("presses", [1, 4])
def test_interrupted_within_an_image(model, presses):
    write_image("photos/1.png", 20, 20)
    write_image("photos/2.png", 1600, 1200, compress_level=0)
    arguments = ["upscale", "photos", "-o", "out", "--model", model, "--tile", "32"]
    with start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(Path("out/1.png"), process)
        time.sleep(0.2)
        for _ in range(presses):
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "fastsr: interrupted; finished images are kept, no partial one is left\n"
    assert tree("out") == ["1.png"]
    assert size("out/1.png") == (40, 40)


def test_interrupted_among_many_images():
    write_image("photos/000.png", 60, 60)
    for number in range(1, 400):
        os.link("photos/000.png", f"photos/{number:03}.png")
    arguments = ["upscale", "photos", "-o", "out", "--model", "bicubic", "--scale", "6"]
    with start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(Path("out/004.png"), process)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=30)[1]
    assert (process.returncode, err.count("\n")) == (130, 1)
    made = tree("out")
    assert 5 <= len(made) < 400
    assert made == [f"{number:03}.png" for number in range(len(made))]
    assert all(size(Path("out", name)) == (360, 360) for name in made)


def test_interrupted_while_writing(cli, monkeypatch):
    write_image("in.png")
    damaged("empty")
    write_image("old.png", 3, 3)
    before = tree()

    def replace(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    code, _, err = cli("bad.png", "in.png", "-o", "new/folder")
    assert code == 130
    assert err.splitlines()[0].startswith("fastsr: bad.png: ")  # what failed before is told
    assert cli("in.png", "-o", "old.png", "--force")[0] == 130
    assert tree() == before
    assert size("old.png") == (3, 3)


def test_interrupted_again_while_cleaning_up(cli, monkeypatch):
    write_image("in.png")
    unlink = Path.unlink

    def press(*_, **__):
        signal.raise_signal(signal.SIGINT)

    def press_and_unlink(*arguments, **options):
        press()
        unlink(*arguments, **options)

    monkeypatch.setattr(os, "replace", press)
    monkeypatch.setattr(Path, "unlink", press_and_unlink)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert cli("in.png", "-o", "new/out.png")[0] == 130
        assert tree() == ["in.png"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_handler_of_interrupts_is_put_back(cli):
    write_image("in.png")
    before = signal.getsignal(signal.SIGINT)
    assert cli("in.png", "-o", "out.png")[0] == 0
    assert cli("in.png", "-o", "in.png")[0] == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_progress_on_a_terminal_only(model, monkeypatch):
    monkeypatch.setenv("TQDM_MININTERVAL", "0")  # every tile is shown, however fast the machine
    write_image("photos/first.png", 400, 300)
    write_image("photos/second.png", 400, 300)
    shown = on_terminal("upscale", "photos", "-o", "out", "--model", model, "--tile", "32")
    assert "first.png:" in shown
    assert "second.png:" in shown
    assert re.search(r"first.png: .*\d+/\d+ \[\d+:\d+<\d+:\d+, .*tile", shown)  # done/all [elapsed<left]
    assert re.search(r"images: .* 2/2 \[", shown)
    assert finish("upscale", "photos", "-o", "again", "--model", model, "--tile", "32") == (0, "2 made\n", "")
