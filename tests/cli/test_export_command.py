"""`fastsr export`: what it writes, that nothing is left of what failed, and one line for every mistake."""

import argparse
import json

import numpy as np
import onnx
import onnxruntime
import pytest
from support.small_models import MODELS, compact, srresnet

from fastsr import files
from fastsr.cli import export
from fastsr.cli.command import main
from fastsr.engines.gpu import discovery
from fastsr.engines.tensorrt import engine_file
from fastsr.engines.tensorrt.builder import LARGEST_TENSOR, default_profile
from fastsr.errors import EngineError
from fastsr.network import catalog, onnx_reader, qdq, quantization, strong_typing


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run the command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["export", *map(str, arguments)])
        done = capsys.readouterr()
        assert "Traceback" not in done.err
        return code, done.out, done.err

    return run


@pytest.fixture
def model(tmp_path):
    """A small model with ranges."""
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "small.onnx"
    bare = onnx_reader.read(compact().save(path))
    ranges = {name: (-2, 3) for name in quantization.inputs(bare)}
    return compact().save(path, metadata={"name": "small", "ranges": json.dumps(ranges)})


def files_in(folder):
    return sorted(p.name for p in folder.iterdir() if p.is_file())


def test_onnx_without_a_precision_is_the_file_itself(cli, model, tmp_path):
    assert cli(model, "--onnx") == (0, f"small.onnx: {model.stat().st_size / 1e3:.0f} kB, as it is\n", "")
    assert (tmp_path / "small.onnx").read_bytes() == model.read_bytes()


@pytest.mark.parametrize("precision", strong_typing.PRECISIONS)
def test_onnx_in_the_types_of_a_precision(cli, model, tmp_path, precision):
    code, out, err = cli(model, "--onnx", "--precision", precision, "-o", "out.onnx")
    assert (code, err) == (0, "")
    assert out.startswith("out.onnx: ")
    made, network = onnx.load(tmp_path / "out.onnx"), onnx_reader.read(model)
    if precision == "int8":
        onnx.checker.check_model(made, full_check=True)
        assert {p.key: p.value for p in made.metadata_props} == {**network.metadata, "precision": "int8"}
        assert made.graph == qdq.to_qdq(network).graph
    else:
        assert made.SerializeToString() == strong_typing.strongly_typed(network, precision).SerializeToString()
    assert files_in(tmp_path) == ["out.onnx"]


def test_an_exported_model_runs(cli, tmp_path):
    name = next(iter(catalog.models()))
    assert cli(name, "--onnx", "--precision", "fp16")[0] == 0
    session = onnxruntime.InferenceSession(str(tmp_path / f"{name}-fp16.onnx"), providers=["CPUExecutionProvider"])
    scale = catalog.models()[name].scale
    (made,) = session.run(None, {session.get_inputs()[0].name: np.zeros((2, 3, 5, 7), np.float16)})
    assert made.shape == (2, 3, 5 * scale, 7 * scale)


def test_an_exported_model_is_written_again_as_it_is(cli, model, tmp_path):
    assert cli(model, "--onnx", "--precision", "fp16", "-o", "half.onnx")[0] == 0
    assert cli("half.onnx", "--onnx", "-o", "again.onnx")[0] == 0
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "half.onnx").read_bytes()


@pytest.mark.parametrize("name", ["../../outside", "/outside", "a\0b", "\x1b[31mred", "n" * 5000])
def test_a_model_cannot_choose_where_it_is_written(cli, tmp_path, name):
    (tmp_path / "models").mkdir()
    path = compact().save(tmp_path / "models" / "m.onnx", metadata={"name": name})
    code, out, err = cli(path, "--onnx")
    assert (code, err) == (0, "")
    (made,) = files_in(tmp_path)
    assert out.startswith(f"{made}: ")
    assert made.removesuffix(".onnx").isprintable()


def test_the_precisions_are_those_of_the_typed_form():
    assert export.PRECISIONS == strong_typing.PRECISIONS


def test_an_engine_file_says_what_it_is_for(cli, model, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason='TensorRT-RTX is not installed; pip install "fastsr[tensorrt]"')
    options = ("--tensorrt", "--target-sm", "8.6, 8.9,12.0,8.9", "--max-size", "640x360", "--max-batch", "2")
    code, out, err = cli(model, *options)
    assert (code, err) == (0, "")
    assert out.startswith("small-fp16.engine: ")
    assert out.endswith(" for SM 8.6, 8.9, 12.0\n")
    assert "fp16, up to 2 x 640x360, by TensorRT-RTX" in out
    description, engine = engine_file.read(tmp_path / "small-fp16.engine")
    assert description["profile"] == [[1, 1, 1], [1, 272, 480], [2, 360, 640]]
    assert (description["precision"], description["targets"], description["gpu"]) == (
        "fp16",
        ["8.6", "8.9", "12.0"],
        None,
    )
    # The shuffle and the addition at its end are left to what loads it.
    assert description["generator"] == {
        **{"channels": 3, "scale": 2, "radius": 4, "alignment": 1, "fixed_size": None, "fixed_batch": None},
        **{"cost": onnx_reader.read(model).cost, "factor": 2, "residual": "nearest"},
    }
    assert len(engine) > 10_000
    assert files_in(tmp_path) == ["small-fp16.engine"]


def test_an_engine_in_int8(cli, model, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason='TensorRT-RTX is not installed; pip install "fastsr[tensorrt]"')
    code, out, _ = cli(model, "--tensorrt", "--precision", "int8", "--target-sm", "8.9", "-o", "eight")
    assert code == 0
    assert "int8" in out
    assert engine_file.read(tmp_path / "eight")[0]["precision"] == "int8"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nothing", "--onnx"], "unknown model 'nothing'"),
        (["none.onnx", "--onnx"], "none.onnx: no such model file"),
        (["bicubic", "--onnx"], "'bicubic' is a filter without weights; export a model: fastsr models lists them"),
        (["MODEL", "--onnx", "--target-sm", "8.9"], "--target-sm is for engines; leave it out, or use --tensorrt"),
        (["MODEL", "--onnx", "--max-size", "8x8"], "--max-size is for engines"),
        (["MODEL", "--onnx", "--max-batch", "8"], "--max-batch is for engines"),
        (["MODEL", "--tensorrt", "--target-sm", "sm89"], "--target-sm 'sm89' is no compute capability; write them as"),
        (["MODEL", "--tensorrt", "--target-sm", "8.6,"], "--target-sm '' is no compute capability"),
        (["MODEL", "--tensorrt", "--max-size", "8"], "--max-size '8' is not a size in pixels; write it as 1920x1080"),
        (["MODEL", "--tensorrt", "--max-size", "0x8"], "--max-size '0x8' is not a size"),
        (["MODEL", "--tensorrt", "--max-batch", "0"], "--max-batch 0 is not a number of images"),
        (["MODEL", "--onnx", "-o", "no/out.onnx"], "no/out.onnx: the folder no does not exist"),
        (["MODEL", "--onnx", "-o", "m" * 300], f"{'m' * 300}: cannot be written"),
        (["MODEL", "--onnx", "-o", "models"], "models: is not a plain file; choose another name"),
        (["MODEL", "--onnx", "-o", "MODEL"], "is the model itself; choose another name with -o"),
    ],
)
def test_mistakes_are_one_line(cli, model, options, message, tmp_path):
    before = model.read_bytes()
    code, out, err = cli(*[model if option == "MODEL" else option for option in options])
    assert (code, out) == (1, "")
    assert err.startswith("fastsr: ")
    assert message in err
    assert err.count("\n") == 1
    assert files_in(tmp_path) == []
    assert model.read_bytes() == before


def test_without_ranges_int8_says_how_to_get_them(cli, tmp_path):
    (tmp_path / "m").mkdir()
    path = compact().save(tmp_path / "m" / "bare.onnx")
    code, _, err = cli(path, "--onnx", "--precision", "int8")
    assert code == 1
    assert "bare.onnx: int8 needs activation ranges" in err
    assert "python -m training quantize" in err


def test_targets_that_tensorrt_has_not_are_named(cli, model):
    pytest.importorskip("tensorrt_rtx", reason='TensorRT-RTX is not installed; pip install "fastsr[tensorrt]"')
    code, _, err = cli(model, "--tensorrt", "--target-sm", "8.9,9.0")
    assert code == 1
    assert "does not build for SM 9.0; it builds for: " in err


def test_without_a_gpu_it_says_how_to_build_for_others(cli, model, monkeypatch):
    def none(index=0):
        raise EngineError("there is no NVIDIA driver on this machine; install it")

    monkeypatch.setattr(discovery, "find", none)
    code, _, err = cli(model, "--tensorrt")
    assert code == 1
    assert "no NVIDIA driver on this machine; install it; to build for GPUs elsewhere, name them: --target-sm" in err


@pytest.mark.parametrize("kinds", [[], ["--onnx", "--tensorrt"]])
def test_one_kind_must_be_named(cli, model, kinds, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", str(model), *kinds])
    assert ended.value.code == 2
    assert "--onnx" in capsys.readouterr().err


def test_a_failed_write_leaves_what_was_there(cli, model, tmp_path, monkeypatch):
    (tmp_path / "out.onnx").write_bytes(b"old")
    write = files.replace

    def full(path, data, temporary=None):
        write(path.parent / "models" / "elsewhere", data)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    code, out, err = cli(model, "--onnx", "-o", "out.onnx")
    assert (code, out) == (1, "")
    assert "out.onnx: no space left on ." in err
    assert (tmp_path / "out.onnx").read_bytes() == b"old"


def test_an_interrupt_leaves_nothing(cli, model, tmp_path, monkeypatch):
    def interrupted(arguments: argparse.Namespace) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "_write", lambda target, data: interrupted(argparse.Namespace()))
    code, _, err = cli(model, "--onnx")
    assert code == 130
    assert "interrupted" in err
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("asked", [(1, 8, 8), (1, 33, 47), (4, 1088, 1920), (64, 4320, 7680)])
def test_default_profiles_fit_the_graph(name, asked, tmp_path):
    network = onnx_reader.read(MODELS[name]().save(tmp_path / "m.onnx"))
    profile = default_profile(network, *asked)
    profile.check(network)
    assert np.prod(profile.most) * network.cost < LARGEST_TENSOR * 1.1
    if asked == (1, 33, 47):
        assert profile.most == (1, -(-33 // network.alignment) * network.alignment, profile.most[2])


def test_default_profiles_of_wide_and_fixed_graphs(tmp_path):
    wide = onnx_reader.read(srresnet(channels=64).save(tmp_path / "wide.onnx"))
    batch, height, width = default_profile(wide).most
    assert batch == 1
    assert height * width < 1088 * 1920
    fixed = onnx_reader.read(compact().save(tmp_path / "fixed.onnx", height=32, width=48))
    assert default_profile(fixed).least == default_profile(fixed).most == (4, 32, 48)
