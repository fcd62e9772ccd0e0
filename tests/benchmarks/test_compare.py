"""The page on which images are judged blind, and its pictures."""

import fnmatch
import json
import re

import numpy as np
import pytest
from PIL import Image
from support.pages import ROOT

pytest.importorskip("torch")

from benchmarks import compare, compare_pictures
from training.data import image_folders


def test_the_page_holds_every_round_and_no_placeholder():
    rounds = [{"word": 'a "sign" </script>', "low": "data:,1", "ours": "data:,2", "theirs": "data:,3"}] * 3
    text = compare.page("photo<x4>", rounds, ["a & b, CC0", "c"])
    assert not re.search(r"@[A-Z]+@", text)
    assert 'model = "photo&lt;x4&gt;"' in text
    assert "Pictures: a &amp; b, CC0; c.</footer>" in text
    (embedded,) = re.findall(r"rounds = (\[.*\]);", text)
    assert json.loads(embedded) == rounds
    assert embedded.count("</script>") == 0


def test_the_published_page_is_what_the_script_makes():
    text = compare.TARGET.read_text()
    (embedded,) = re.findall(r"rounds = (\[.*\]);", text)
    rounds = json.loads(embedded)
    credited = [*(p.credit for p in compare_pictures.PHOTOGRAPHS), "portrait", "drawn"]
    credits = [compare_pictures.CREDITS[key] for key in dict.fromkeys(credited)]
    assert len(rounds) == 20
    assert text == compare.page("photo-x4", rounds, credits)
    assert not re.search(r"(src|href)=.https?:", text)
    assert len(text) < 6e6


def test_drawn_pages_have_edges():
    for draw in compare_pictures.DRAWN.values():
        pixels = np.asarray(draw(), int)
        assert pixels.shape == (compare_pictures.SIDE, compare_pictures.SIDE, 3)
        assert (np.abs(np.diff(pixels, axis=1)).sum(2) > 200).sum() > 1000


def test_no_run_learns_from_the_photographs():
    aside = image_folders.patterns(ROOT / "training" / "set-aside.txt")
    for photograph in compare_pictures.PHOTOGRAPHS:
        name = photograph.pattern.replace("*", ".jpg")
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in aside), name


def test_pictures_are_twenty_and_missing_ones_are_named(tmp_path):
    photographs, portraits = tmp_path / "photographs", tmp_path / "portraits"
    for folder in (photographs, portraits):
        folder.mkdir()
    for i in range(40):
        Image.new("RGB", (67, 90), (i, i, i)).save(portraits / f"{i:02d}.png")
    with pytest.raises(ValueError, match="no images under"):
        compare_pictures.pictures(photographs, portraits)
    for photograph in compare_pictures.PHOTOGRAPHS:
        Image.linear_gradient("L").resize((512, 512)).save(photographs / photograph.pattern.replace("*", ".png"))
    made = compare_pictures.pictures(photographs, portraits)
    assert len(made) == 20
    assert made[0].high.size == (400, 400)
    assert made[0].low.size == (100, 100)
    bottom, top = compare_pictures.PHOTOGRAPHS[4].top, compare_pictures.PHOTOGRAPHS[5].top
    assert (bottom, top) == (1.0, 0.0)
    assert made[4].high.getpixel((0, 399))[0] == 255
    assert made[5].high.getpixel((0, 0))[0] == 0
    assert made[12].high.size == (64, 64)
    assert made[12].high.getpixel((0, 0)) == (9, 9, 9)  # every tenth, which no run may learn from
    next(iter(sorted(photographs.iterdir()))).unlink()
    with pytest.raises(ValueError, match=r"not under .*photographs"):
        compare_pictures.pictures(photographs, portraits)


def test_a_strip_shows_every_way():
    square = Image.new("RGB", (48, 48), "red")
    picture = compare_pictures.Picture("red", "drawn", square, square.resize((12, 12)))
    made = compare.by_all_ways(picture, square, square, ("ours", "theirs"))
    assert list(made) == ["bicubic", "fast-x4", "ours", "theirs", "original: red"]
    assert all(np.abs(np.asarray(image)[5, 20].astype(int) - (255, 0, 0)).max() < 12 for image in made.values())


def test_a_grid_is_told():
    noise = np.random.default_rng(0).integers(100, 150, (64, 64, 3), np.uint8)
    striped = noise.copy()
    striped[::4] += 40
    told = compare.grids({"noise": Image.fromarray(noise), "striped": Image.fromarray(striped)})
    plain, strong = (float(part.split()[1]) for part in told.split(", "))
    assert plain < 3 < strong
