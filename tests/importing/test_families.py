"""The families of networks that people share: written as their users do, imported, run, compared with PyTorch."""

import numpy as np
import pytest

import fastsr
from fastsr.errors import EngineError
from fastsr.importing import conversion, store
from fastsr.network import onnx_reader

pytest.importorskip("torch", reason="torch is not installed")

from support import families
from support.families import CHECKPOINT, EXPORTS, FAMILIES, ONNX

LARGE = ("real-cugan", "swinir", "hat", "dat", "omnisr")  # take longer than a few seconds
NEEDS_SPANDREL = pytest.mark.skipif(not families.has_spandrel(), reason="spandrel is not installed")
EXPORTED = [name for name, family in FAMILIES.items() if family.file == ONNX]


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "store"))


def marks(name):
    return [pytest.mark.slow] * (name in LARGE) + [NEEDS_SPANDREL] * (FAMILIES[name].file == CHECKPOINT)


def check(family, row):
    assert row["inside"] > 0.9  # else what is clipped hides differences
    assert row["difference"] <= families.TOLERANCE
    assert row["engine"] == family.engine


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in FAMILIES])
def test_families_are_imported_and_equal_pytorchs(name, tmp_path):
    check(FAMILIES[name], families.examined(FAMILIES[name], FAMILIES[name].small, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("export", EXPORTS[1:], ids=str)
@pytest.mark.parametrize("name", EXPORTED)
def test_exports_of_every_kind_are_equal(name, export, tmp_path):
    check(FAMILIES[name], families.examined(FAMILIES[name], FAMILIES[name].small, tmp_path, export))


@NEEDS_SPANDREL
@pytest.mark.parametrize(("name", "alignment"), [("safmn", 8), ("esrgan-unshuffled-x2", 2), ("compact-x2", 1)])
def test_sides_that_are_no_multiples_are_filled_up(name, alignment, tmp_path):
    families.written(FAMILIES[name], FAMILIES[name](FAMILIES[name].small), tmp_path / "a.pth")
    loaded = fastsr.load(tmp_path / "a.pth", device="cpu")
    assert onnx_reader.read(store.card("a").path).alignment == alignment
    image = families.drawn(3, (20, 28))[:19, :27]
    assert loaded.upscale(image).shape == (19 * loaded.scale, 27 * loaded.scale, 3)


def test_a_border_is_added_and_named_where_it_lacks(tmp_path):
    family = FAMILIES["vgg-7"]
    families.written(family, family(family.small), tmp_path / "a.onnx")
    image = np.zeros((20, 30, 3), np.float32)
    with pytest.raises(EngineError, match=r"a\.onnx: made \(1, 3, 6, 16\) .* fastsr import .*a\.onnx"):
        fastsr.load(tmp_path / "a.onnx", device="cpu", engine="onnxruntime").upscale(image)
    conversion.import_file(str(tmp_path / "a.onnx"))
    assert fastsr.load("a", device="cpu").upscale(image).shape == (20, 30, 3)


@pytest.mark.parametrize("export", EXPORTS[:3], ids=str)
def test_how_far_a_network_with_crops_looks_is_known(export, tmp_path):
    family = FAMILIES["real-cugan-unpooled"]
    assert families.examined(family, family.small, tmp_path, export)["radius"] == 19
