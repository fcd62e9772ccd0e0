"""`--region`: a part of each result, as ImageMagick writes a geometry."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli_images import size, write_image
from support.command import files

from fastsr.images import provenance

pytestmark = pytest.mark.usefixtures("here")

THERE = "0 made, 1 already there (--force makes them again)\n"


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("options", [[], ["--scale", "3"], ["--size", "50x70"]])
def test_a_part_of_the_result(cli, model, suffix, options):
    """Written as its rows are made, and at once."""
    write_image("in.png", 30, 40)
    to = ["--model", model, *options]
    for name, more in (("whole", []), ("part", ["--region", "20x30+17+9"])):
        quality = ["--quality", "100"] if suffix == ".webp" else []
        assert cli("in.png", "-o", f"{name}{suffix}", *to, *quality, *more)[:2] == (0, "1 made\n")
    assert size(f"part{suffix}") == (20, 30)
    if suffix != ".webp":
        np.testing.assert_array_equal(pixels(f"part{suffix}"), pixels(f"whole{suffix}")[9:39, 17:37])


def test_every_image_of_a_folder_and_those_that_are_too_small(cli, model):
    write_image("photos/a.png", 30, 20)
    write_image("photos/b.png", 5, 5)
    write_image("photos/c.png", 20, 30)
    code, out, err = cli("photos", "-o", "parts", "--model", model, "--region", "20X15+20+24")
    assert (code, out) == (1, "2 made, 1 failed\n")
    assert err == (
        "fastsr: photos/b.png: --region 20x15+20+24 reaches beyond the result, which is 10x10 pixels: 20 + 20 is more "
        "than 10; make it smaller, or move it\n"
    )
    assert files("parts") == ["a.png", "c.png"]
    assert size("parts/a.png") == size("parts/c.png") == (20, 15)


def test_names_say_which_part(cli):
    write_image("in.png", 20, 20)
    assert cli("in.png", "--region", "9x8+7+6")[0] == 0
    assert cli("in.png", "--scale", "2", "--region", "9x8+7+6")[0] == 0
    assert cli("in.png", "--size", "30x", "--region", "9x8+7+6")[0] == 0
    assert cli("in.png", "--region", "9x8+7+6", "--suffix", "-part")[0] == 0
    names = ["in-30x-9x8+7+6.png", "in-part.png", "in-x2-9x8+7+6.png", "in-x4-9x8+7+6.png"]
    assert files() == sorted(["in.png", *names])
    assert {size(name) for name in names} == {(9, 8)}


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_another_region_is_another_request(cli, suffix):
    """By what the result says, and where it says nothing by its size."""
    write_image("in.png", 20, 20)
    call = ["in.png", "-o", f"out{suffix}"]
    assert cli(*call, "--region", "9x8+0+0")[1] == "1 made\n"
    assert cli(*call, "--region", "9x8+0+0")[1] == THERE
    assert cli(*call, "--region", "8x9+0+0")[1] == "1 made\n"
    moved = cli(*call, "--region", "8x9+1+0")[1]
    assert moved == ("1 made\n" if suffix == ".png" else THERE)
    assert cli(*call)[1] == "1 made\n"
    if suffix == ".png":
        assert "region" not in json.loads(provenance.mark_of("out.png"))["request"]


def test_what_is_told(cli):
    write_image("in.png", 20, 20)
    told = json.loads(cli("in.png", "-o", "out.png", "--region", "9x8+70+6", "--json")[1])
    assert (told["source_size"], told["size"]) == ([20, 20], [9, 8])
    assert "in.png -> o.png (9x8" in cli("in.png", "-o", "o.png", "--region", "9x8+70+6", "--dry-run")[1]
    code, _, err = cli("in.png", "-o", "o.png", "--region", "9x8+72+6", "--dry-run")
    assert (code, Path("o.png").exists()) == (1, False)
    assert "9 + 72 is more than 80" in err


def test_the_cost_is_that_of_the_part(cli, model):
    write_image("in.png", 600, 600)
    call = ["in.png", "-o", "out.png", "--model", model, "--memory", "300K"]
    assert "work done twice" in cli(*call)[2]
    assert cli(*call, "--region", "20x20+600+600") == (0, "1 made\n", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("800x600", "is not a part of a result; write it as 800x600+1200+400"),
        ("800x600-5+2", "is not a part of a result; write it as"),
        ("x600+0+0", "is not a part of a result; write it as"),
        ("0x600+0+0", "holds no pixels; give a width and a height of at least 1"),
        ("5x5+1e3+0", "is not a part of a result; write it as"),
    ],
)
def test_regions_that_are_none(cli, text, message):
    write_image("in.png", 20, 20)
    code, out, err = cli("in.png", "--region", text)
    assert (code, out) == (2, "")
    assert f"fastsr: --region {text!r} {message}" in err
    assert files() == ["in.png"]


def test_videos_are_refused(cli):
    Path("film.mp4").write_bytes(b"")
    write_image("in.png", 20, 20)
    code, out, err = cli("in.png", "film.mp4", "-o", "large", "--region", "9x8+7+6")
    assert (code, out) == (2, "")
    assert err == "fastsr: --region is for images, but film.mp4 is a video; leave it out, or the video\n"
    assert files() == ["film.mp4", "in.png"]
