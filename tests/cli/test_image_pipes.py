"""Images through standard input and output."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from support.cli_images import damaged, size, write_image
from support.command import ROOT, files

pytestmark = pytest.mark.usefixtures("here")


def piped(*arguments, given=b""):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fastsr", "upscale", *map(str, arguments), "--model", "nearest", "--scale", "2"]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False, env=environment)


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("name", ["in.png", "in.jpg", "in.gif", "in.tga"])
@pytest.mark.parametrize("output", [["-o", "-"], []])
def test_images_through_both(name, output):
    given = write_image(name).read_bytes()
    done = piped("-", *output, given=given)
    assert (done.returncode, done.stderr) == (0, b"1 made\n")
    made = opened(done.stdout)
    assert (made.format, made.size) == ("PNG", (16, 12))
    np.testing.assert_array_equal(np.asarray(made.convert("RGB"))[::2, ::2], opened(given).convert("RGB"))
    assert files() == [name]


def test_standard_output_takes_a_format():
    write_image("in.png")
    done = piped("in.png", "-o", "-", "--format", "webp")
    assert (done.returncode, opened(done.stdout).format) == (0, "WEBP")
    done = piped("in.png", "-o", "-", "--format", "jp2", "--quiet")
    assert (done.stderr, opened(done.stdout).format) == (b"", "JPEG2000")
    assert piped("in.png", "-o", "./-/").returncode == 0  # a folder of this name, for who wants one
    assert files() == ["-/in.png", "in.png"]


def test_standard_input_into_a_file_and_a_folder():
    given = write_image("in.png").read_bytes()
    assert piped("-", "-o", "out.bmp", given=given).returncode == 0
    assert size("out.bmp") == (16, 12)


@pytest.mark.parametrize("given", [b"", b"this is text", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_told(given):
    done = piped("-", "-o", "out.png", given=given)
    assert done.returncode == 1
    assert done.stderr.startswith(b"fastsr: standard input: ")
    assert done.stderr.count(b"\n") == 1
    assert files() == []


def test_a_bad_image_leaves_standard_output_empty():
    path = damaged("truncated jpg")
    done = piped(path, "-o", "-")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"bad.jpg: damaged or cut short" in done.stderr


def test_a_terminal_gets_no_pixels(cli, monkeypatch):
    write_image("in.png")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, _, err = cli("in.png", "-o", "-")
    assert (code, err) == (2, "fastsr: standard output is a terminal; redirect it, or name a file with -o\n")


def test_nobody_reads_what_is_written():
    write_image("in.png", 200, 200)
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "fastsr", "upscale", "in.png", "-o", "-", "--model", "nearest"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False, env=environment)
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr.startswith(b"fastsr: standard output: cannot be written (Broken pipe)")


def test_animations_become_videos_where_an_option_says_so():
    pytest.importorskip("av")
    images = [Image.new("RGB", (8, 6), color) for color in ("red", "blue")]
    images[0].save("in.gif", save_all=True, append_images=images[1:], duration=100)
    assert opened(piped("in.gif", "-o", "-").stdout).n_frames == 2
    assert len(piped("in.gif", "-o", "-", "--raw").stdout) == 2 * 16 * 12 * 3
