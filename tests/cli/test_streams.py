"""What the command prints and where: closed streams, names that steer terminals, warnings, want of memory."""

import io
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from support.cli_images import damaged, size, write_image
from support.command import ROOT, files, finish, on_terminal
from support.image_samples import png_bytes, png_chunk, tiff_bytes

from fastsr.cli.console import printable

pytestmark = pytest.mark.usefixtures("here")

UPSCALE = ["upscale", "in.png", "bad.png", "-o", "out", "--model", "bicubic"]
CLOSED = "fastsr: standard output: cannot be written (it is closed); redirect it elsewhere\n"


def closed(arguments, *numbers):
    """The command with descriptors closed: exit code, standard output and standard error, as far as they are open."""
    shut = " ".join(f"{number}>&-" for number in numbers)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = ["sh", "-c", f'exec "$@" {shut}', "sh", sys.executable, "-m", "fastsr", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", [["models"], ["--help"], ["--version"]])
def test_closed_standard_output(arguments):
    assert closed(arguments, 1) == (1, "", CLOSED)


@pytest.mark.parametrize("numbers", [(1,), (2,), (1, 2), (0, 1, 2)])
def test_work_is_done_with_closed_streams(numbers):
    write_image("in.png")
    damaged("text")
    code, out, err = closed(UPSCALE, *numbers)
    assert code == 1
    assert out == ("" if 1 in numbers else "1 made, 1 failed\n")
    assert "Traceback" not in err
    assert err.startswith("" if 2 in numbers else "fastsr: bad.png: ")
    assert err.endswith("" if 2 in numbers else CLOSED)
    assert files("out") == ["in.png"]
    assert size("out/in.png") == (32, 24)


def test_closed_streams_and_wrong_usage():
    assert closed(["upscale", "--nope"], 1, 2) == (2, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["models"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_standard_output(arguments, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with Path("/dev/full").open("w") as full:
        code, _, err = finish(*arguments, stdout=full)
    assert code == 1
    assert err == "fastsr: standard output: cannot be written (No space left on device); redirect it elsewhere\n"


# ---------------------------------------------------------------- names

NAME = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202etxt\r\nfastsr: all is well"
SHOWN = r"\x1b[31mred\x1b]0;title\x07\x9b2J\u202etxt\r\nfastsr: all is well"


def test_names_in_messages_steer_no_terminal(cli):
    Path(f"{NAME}.png").write_text("text")
    code, out, err = cli(f"{NAME}.png", "-o", "out.png")
    assert (code, out) == (1, "0 made, 1 failed\n")
    assert err.startswith(f"fastsr: {SHOWN}.png: not an image")
    assert err.count("\n") == 1
    code, _, err = cli("missing\x1b[2J.png", "-o", "out.png")
    assert "missing\\x1b[2J.png: no such file" in err


def test_names_on_a_terminal_and_in_usage(monkeypatch):
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    write_image("photos/a.png").rename(f"photos/{NAME}.png")
    write_image("photos/b.png", 40, 30)
    shown = on_terminal("upscale", "photos", "-o", "out", "--model", "fast-x2", "--tile", "64")
    assert SHOWN in shown
    assert "\x1b[31m" not in shown
    assert "\x07" not in shown
    code, _, err = finish("upscale", "a.png", "-o", "out", "\x1b[31m")
    assert code == 2
    assert "\x1b" not in err


def test_plain_names_are_printed_as_they_are():
    for name in ("ünï 写真 🙂.png", "a\u00a0b", "café", "a'b\"c\\d"):
        assert printable(name) == name
    assert printable("a\tb\udce9") == "a\\tb\\udce9"


# ---------------------------------------------------------------- warnings


def corrupt_exif():
    """A JPEG whose EXIF ends early, of which Pillow warns."""
    exif = Image.Exif()
    exif[0x010F] = "Maker" * 9
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "JPEG", exif=exif.tobytes()[:-30])
    return file.getvalue()


def many_samples():
    """A TIFF with more samples a pixel than can be, which Pillow logs as an error."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in {256: 8, 257: 6, 258: 8, 259: 1, 262: 2, 273: 8, 277: 4000, 278: 6, 279: 48}.items():
        tags[tag] = value
    file = io.BytesIO()
    tags.save(file)
    return file.getvalue()


def damaged_lzw():
    """A TIFF of which libtiff itself prints that it is damaged."""
    data = bytearray(tiff_bytes(np.zeros((6, 8, 3), np.uint16), order="<", compression=5))
    at = 8 + 6
    data[at + 20 : at + 60] = b"\xff" * 40
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "made"),
    [("a.jpg", corrupt_exif(), 1), ("a.tif", many_samples(), 0), ("a.tif", damaged_lzw(), 0)],
    ids=["exif", "samples", "lzw"],
)
def test_what_libraries_say_stays_away(name, data, made):
    Path(name).write_bytes(data)
    code, out, err = finish("upscale", name, "-o", "out.png", "--model", "bicubic")
    assert (code, out) == (1 - made, "1 made\n" if made else "0 made, 1 failed\n")
    lines = err.splitlines()
    assert len(lines) == 1 - made
    assert all(line.startswith(f"fastsr: {name}: ") for line in lines)


def test_what_changes_in_a_result_is_said(cli):
    data = png_bytes(np.full((6, 8, 3), 55, np.uint8))
    at = data.index(b"IDAT") - 4
    Path("linear.png").write_bytes(data[:at] + png_chunk(b"gAMA", struct.pack(">I", 100000)) + data[at:])
    assert cli("linear.png", "-o", "out.png") == (0, "1 made\n", "")
    code, out, err = cli("linear.png", "-o", "out.jpg")
    assert (code, out) == (0, "1 made\n")
    assert err.startswith("fastsr: out.jpg: JPEG cannot say that its colours are gamma 1; they were converted to sRGB")
    assert err.count("\n") == 1


def test_floats_stay_floats_or_it_is_said(cli):
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    Image.fromarray(values).save("in.tif")
    assert cli("in.tif", "-o", "out.tif", "--model", "nearest", "--scale", "2") == (0, "1 made\n", "")
    with Image.open("out.tif") as made:
        assert made.mode == "F"
        np.testing.assert_array_equal(np.asarray(made)[::2, ::2], values)
    assert cli("in.tif", "-o", "out.png", "--model", "nearest", "--scale", "2") == (0, "1 made\n", "")
    with Image.open("out.png") as made:
        np.testing.assert_array_equal(np.asarray(made)[::2, ::2], np.floor(values * 65535.0 + 0.5).astype(np.uint16))
    code, _, err = cli("in.tif", "-o", "out.bmp")
    assert code == 0
    assert err == "fastsr: out.bmp: BMP holds 8 bits a sample, which its floats are rounded to; PNG holds 16\n"


# ---------------------------------------------------------------- memory


def test_a_limit_of_memory_is_told_and_the_rest_is_made():
    write_image("photos/1.png", 8, 6)
    Image.new("RGB", (5000, 5000)).save("photos/2.png")
    Image.new("RGB", (5000, 5000)).save("photos/3.webp", lossless=True)
    write_image("photos/4.png", 8, 6)

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FASTSR_NUM_THREADS": "1"}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "fastsr", "upscale", "photos", "-o", "out", "--model", "nearest", "--scale", "2"]
    done = subprocess.run(
        command, env=environment, preexec_fn=limit, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (1, "2 made, 2 failed\n")
    lines = done.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["photos/2.png", "photos/3.webp"]
    assert all("not enough memory" in line for line in lines)
    assert files("out") == ["1.png", "4.png"]
