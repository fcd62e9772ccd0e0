"""The page on which images are judged blind."""

import json
import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from benchmarks import compare


def test_the_page_holds_every_round_and_no_placeholder():
    rounds = [{"word": 'a "sign" </script>', "low": "data:,1", "ours": "data:,2", "theirs": "data:,3"}] * 3
    text = compare.page("photo<x4>", rounds)
    assert not re.search(r"@[A-Z]+@", text)
    assert 'model = "photo&lt;x4&gt;"' in text
    (embedded,) = re.findall(r"rounds = (\[.*\]);", text)
    assert json.loads(embedded) == rounds
    assert embedded.count("</script>") == 0


def test_drawn_pages_have_edges():
    for kind in ("text", "chart", "sign"):
        pixels = np.asarray(compare.drawn(kind), int)
        assert pixels.shape == (compare.SIDE, compare.SIDE, 3)
        assert (np.abs(np.diff(pixels, axis=1)).sum(2) > 200).sum() > 1000


def test_originals_are_twenty_and_missing_ones_are_named(tmp_path):
    photographs, portraits = tmp_path / "photographs", tmp_path / "portraits"
    for folder in (photographs, portraits):
        folder.mkdir()
    for i in range(40):
        Image.new("RGB", (67, 90), (i, i, i)).save(portraits / f"{i:02d}.png")
    with pytest.raises(ValueError, match="no images under"):
        compare.originals([photographs], [portraits])
    for pattern, _ in compare.PHOTOGRAPHS:
        Image.new("RGB", (600, 530)).save(photographs / pattern.replace("*", ".png"))
    made = compare.originals([photographs], [portraits])
    assert len(made) == 20
    assert made[0][1].size == (512, 512)
    assert made[13][1].size == (64, 88)
    assert made[13][1].getpixel((0, 0)) == (9, 9, 9)  # every tenth, which no run may learn from
    next(iter(sorted(photographs.iterdir()))).unlink()
    with pytest.raises(ValueError, match=r"not under .*photographs"):
        compare.originals([photographs], [portraits])
