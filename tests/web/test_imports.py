"""Models that are dropped on the page: imported, offered, run; wrong files told."""

import pytest
from PIL import Image
from support import ncnn_networks
from support.small_models import SAMPLE, compact

import fastsr
from fastsr.errors import ModelError
from fastsr.web import choices, imports
from fastsr.web.photos import PhotoRequest
from fastsr.web.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "models"))
    return Store(tmp_path / "web", keep_hours=1)


def dropped(store, *paths):
    return imports.import_models(paths, store.session(store.new_token()), store)


def test_an_onnx_file_is_offered_then(store, tmp_path):
    path = compact(2, seed=5).save(tmp_path / "mine.onnx")
    assert dropped(store, path) == {"mine": "x2, ONNX, from mine.onnx"}
    assert choices.checked_model("mine") == "mine"
    wish = PhotoRequest("mine", "2x")
    with Image.open(SAMPLE) as image:
        small = image.convert("RGB").resize((20, 10))
    assert wish.upscaler(*small.size).upscale(small) == fastsr.load("mine").upscale(small)


def test_both_files_of_an_ncnn_model(store, tmp_path):
    ncnn_networks.write(ncnn_networks.compact(), tmp_path, "pair")
    assert list(dropped(store, tmp_path / "pair.bin", tmp_path / "pair.param")) == ["pair"]


def test_one_file_of_two(store, tmp_path):
    ncnn_networks.write(ncnn_networks.compact(), tmp_path, "pair")
    for name, other in (("pair.param", "pair.bin"), ("pair.bin", "pair.param")):
        with pytest.raises(ModelError, match=f"{other} is not beside it"):
            dropped(store, tmp_path / name)


def test_no_model(store, tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "photo.jpg").write_text("no model")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        dropped(store, tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="is no file that models are imported from"):
        dropped(store, tmp_path / "photo.jpg")
    with pytest.raises(ModelError, match="no model's file yet"):
        dropped(store)


def test_a_path_is_no_model_of_the_page(store, tmp_path):
    path = compact(2, seed=5).save(tmp_path / "mine.onnx")
    with pytest.raises(fastsr.FastsrError, match="unknown model"):
        PhotoRequest(str(path))
