"""The native engine: agreement, exactness for any cut, number of threads and instruction set, int8, refusals."""

import dataclasses
import json
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.instruction_sets import with_fma
from support.native_networks import (
    FUNCTIONS,
    NATIVE,
    WIDE,
    chains,
    frame_of,
    wide,
)
from support.reference_program import FUNCTIONS as ALL_FUNCTIONS
from support.reference_program import run_program
from support.small_models import SAMPLE, Builder, compact, rrdb, srresnet

import fastsr
from fastsr import _core
from fastsr.engines import selection
from fastsr.engines.native.engine import NativeEngine, packed, unsupported
from fastsr.engines.native.lowering import lower
from fastsr.engines.native.program import (
    Conv,
    Epilogue,
    Normalization,
    Pointwise,
    Program,
    Remap,
    RowReduction,
    Tensor,
    pointwise,
)
from fastsr.engines.onnxruntime import OnnxRuntimeEngine
from fastsr.errors import EngineError
from fastsr.network import catalog, onnx_reader, quantization


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", NATIVE)
def test_fp32_agrees_with_onnx_runtime(networks, engines, name, dtype):
    network = networks[name]
    frame = frame_of(1, 23, 37, network.channels, dtype)
    made = engines[name, "fp32"].run(frame)
    expected = OnnxRuntimeEngine(network, "fp32", None).run(frame)
    assert (made.shape, made.dtype) == (expected.shape, expected.dtype)
    difference = np.abs(made.astype(np.float64) - expected)
    assert difference.max() <= {np.uint8: 1, np.uint16: 1, np.float32: 1e-5}[dtype]
    if dtype == np.uint8:
        assert (difference > 0).mean() < 1e-3  # only where the exact value lies between two levels


@pytest.mark.parametrize("name", NATIVE)
def test_int8_agrees_with_integers_in_numpy(networks, engines, name):
    """Sums are the same integers; a value between two levels may round to either where NumPy sums in another order."""
    frame = frame_of(2, 12, 24, networks[name].channels, np.float32)
    made = engines[name, "int8"].run(frame)
    expected = run_program(lower(networks[name], "int8"), frame)
    assert np.abs(made - expected).max() < 2e-6


# A level that rounded the other way moves what follows: much, where many layers read it again.
LOOSE = ("dense-x2", "gated-x2", "functions-x4", "chained-x2", "unet-x2", "strided-x2", "grouped-x1")


@pytest.mark.parametrize("name", NATIVE)
def test_int8_is_near_onnx_runtimes(networks, engines, name):
    frame = frame_of(3, 30, 33, networks[name].channels)
    made = engines[name, "int8"].run(frame).astype(int)
    expected = OnnxRuntimeEngine(networks[name], "int8", None).run(frame).astype(int)
    difference = np.abs(made - expected)
    by_rows = any(
        isinstance(step, RowReduction) for step in lower(networks[name], "int8").steps
    )  # whose kernels are finer here
    loose = by_rows or name in LOOSE
    assert (difference > 1).mean() < (0.1 if loose else 0.02)
    assert difference.mean() < (0.5 if loose else 0.2)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(NATIVE)),
    precision=st.sampled_from(["fp32", "int8"]),
    height=st.integers(1, 70),
    width=st.integers(1, 130),
    side=st.integers(1, 110),
    seed=st.integers(0, 1000),
)
def test_parts_equal_the_whole_bit_for_bit(engines, name, precision, height, width, side, seed):
    engine = engines[name, precision]
    height, width = (-(-side // engine.block) * engine.block for side in (height, width))
    frame = frame_of(seed, height, width, engine.channels, np.float32)
    np.testing.assert_array_equal(engine._program.run(frame, side), engine._program.run(frame))


def test_a_cut_out_of_a_larger_frame_is_the_same(networks, engines):
    """What lies beyond the receptive radius changes nothing, not even the last bit.

    In float only rows can be cut off by hand: what the outputs of a Winograd tile share cancels up to rounding.
    """
    for name, precision, left in (("srresnet-x4", "fp32", 0), ("compact-x2", "int8", 7)):
        radius, scale = networks[name].radius, networks[name].scale
        frame = frame_of(5, 90, 100, dtype=np.float32)
        whole = engines[name, precision].run(frame)[10 * scale : 85 * scale, left * scale :]
        part = engines[name, precision].run(np.ascontiguousarray(frame[10:85, left:]))
        rows, columns = slice(radius * scale, -radius * scale), slice(radius * scale if left else 0, None)
        np.testing.assert_array_equal(part[rows, columns], whole[rows, columns])


def test_one_engine_from_many_threads(engines):
    engine = engines["srresnet-x4", "fp32"]
    frames = [frame_of(i, 30 + i, 40) for i in range(6)]
    expected, made = [engine.run(f) for f in frames], [None] * 6

    def work(i):
        made[i] = engine.run(frames[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for value, result in zip(expected, made, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("name", ["fast-x2", "dense-x2"])
def test_memory_does_not_grow_with_the_height(networks, engines, name):
    """Rings of rows, whose number the network alone decides; wide frames are cut into strips."""
    program = engines["compact-x4", "fp32"]._program
    assert program.unit_bytes(500) < 1 << 20  # 8 channels, 3 rows, 4 tensors: some hundred kilobytes
    code = (
        "import sys, resource, numpy as np; sys.path.insert(0, 'tests'); from fastsr.network import onnx_reader\n"
        "from fastsr.engines.native.engine import NativeEngine\n"
        "engine = NativeEngine(onnx_reader.read(sys.argv[1]), 'fp32', None)\n"
        "engine.run(np.zeros((16, 200, 3), np.uint8))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "made = engine.run(np.zeros((1500, 200, 3), np.uint8))\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(grown - made.nbytes // 1024 - 1500 * 200 * 3 // 1024)"
    )
    path = networks[name].path if name in networks else catalog.find(name)
    arguments = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 << 10  # kilobytes


def test_layers_of_tiles_wait_for_one_row_each(engines):
    """Their rings then hold 103 rows together; 150 if each layer waited for four rows of the one before."""
    row = 4 * 32 * 516  # bytes: a row's margins come to some 16 columns
    assert engines["deep-x2", "fp32"]._program.unit_bytes(500) < 120 * row


def test_operators_that_nothing_depends_on_are_left_out(tmp_path):
    b = Builder().conv(8)
    read = b.x
    b.conv(4).prelu().conv(5)
    b.x, b.deep = read, 8
    network = onnx_reader.read(b.conv(3).save(tmp_path / "m.onnx"))
    frame = frame_of(0, 12, 15, dtype=np.float32)
    made, expected = (engine(network, "fp32", None).run(frame) for engine in (NativeEngine, OnnxRuntimeEngine))
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_progress_counts_to_the_end(networks):
    seen = []
    engine = NativeEngine(networks["compact-x2"], "fp32", 20)
    engine.run(frame_of(0, 70, 70), lambda done, total: seen.append((done, total)))
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(set(done))
    assert set(totals) == {done[-1]}


def test_what_progress_raises_ends_the_run(engines):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engines["compact-x2", "fp32"].run(frame_of(0, 70, 70), stop)
    engines["compact-x2", "fp32"].run(frame_of(0, 70, 70))


def test_tiles_too_small_are_refused_and_others_change_nothing(networks, engines):
    network = networks["compact-x2"]
    with pytest.raises(EngineError, match="use at least"):
        NativeEngine(network, "fp32", 2 * network.radius)
    frame = frame_of(1, 50, 60)
    made = NativeEngine(network, "fp32", 2 * network.radius + 1).run(frame)
    np.testing.assert_array_equal(made, engines["compact-x2", "fp32"].run(frame))


def with_constant(op, value):
    b = Builder().conv(3)
    return b.add(op, b.constant(value))


def aligned_corners():
    return Builder().conv(3).resize(2, "linear", coordinate_transformation_mode="align_corners")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Builder().conv(3, 19), "a kernel of 19x19"),
        (lambda: Builder().pad(1, 1, 1, 1, "wrap").conv(3, pads=[0] * 4), "a Pad of this kind"),
        (lambda: Builder().conv(3).add("Softsign"), "operator Softsign"),
        (lambda: Builder().conv(3).add("Max", "input"), "operator Max"),
        (lambda: with_constant("Pow", 1.5), "Pow by 1.5"),
        (lambda: with_constant("Div", 0), "Div of or by zero"),
        (lambda: Builder().conv(3).resize(2, "cubic"), "Resize that is neither bilinear nor repeats"),
        (
            lambda: Builder().conv(3).resize(2, "linear", coordinate_transformation_mode="align_corners"),
            "a Resize that",
        ),
        (lambda: Builder().resize(1), None),
    ],
)
def test_what_it_cannot_run_is_named(make, reason, tmp_path):
    network = onnx_reader.read(make().save(tmp_path / "m.onnx"))
    if reason is None:
        assert unsupported(network) is None
        return
    assert reason in unsupported(network)
    with pytest.raises(EngineError, match=rf"m\.onnx: .*{reason}.*use engine='onnxruntime'"):
        fastsr.load(tmp_path / "m.onnx", engine="cpu")
    selection._say_once.cache_clear()
    with pytest.warns(RuntimeWarning, match=reason):
        assert fastsr.load(tmp_path / "m.onnx").engine == "onnxruntime"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastsr.load(tmp_path / "m.onnx")


def test_shipped_models_run_on_it():
    for name, model in catalog.models().items():
        network = onnx_reader.read(model.path)
        assert unsupported(network) is None
        if name.startswith("fast"):  # nothing but convolutions is left: the store does the rest
            program = lower(network, "fp32")
            assert all(isinstance(s, Conv) for s in program.steps)
            assert (program.factor, program.base) == (model.scale, "nearest")
        assert fastsr.load(name, device="cpu").engine == "cpu"


def test_an_srresnet_is_convolutions_and_one_sum(tmp_path):
    """Additions, activations and shuffles are folded in; the 9x9 tail's rows fill the vectors."""
    program = lower(onnx_reader.read(srresnet(4).save(tmp_path / "m.onnx")), "fp32")
    assert [type(s) for s in program.steps] == [Conv] * 6 + [RowReduction]
    assert [s.factor for s in program.steps[:-1]] == [1, 1, 1, 2, 2, 1]
    assert program.steps[2].epilogue.add == 1
    assert not any(isinstance(s, Remap) for s in program.steps)


def test_dense_blocks_are_convolutions_and_one_sum_each(tmp_path):
    """Concatenations are views and residual scaling goes into kernels; left are what scales a sum, copies of what is
    added long after, and the enlargement.
    """
    program = lower(onnx_reader.read(rrdb(depth=2).save(tmp_path / "m.onnx")), "fp32")
    others = [step for step in program.steps if not isinstance(step, Conv)]
    assert [type(step) for step in others] == [Remap] * 5
    assert [len(step.table) for step in others] == [1, 1, 1, 1, 2]
    assert [len(t.parts) for t in program.tensors if t.parts] == [2, 3, 4, 5] * 6


def test_functions_follow_convolutions_in_place(tmp_path):
    """Each in the convolution's own rows: a step of its own would need a ring, and read and write all values again."""
    b = Builder().conv(16)
    for op in FUNCTIONS:
        b.conv(16).add(op)
    for i in range(len(chains(Builder(), "input"))):
        b.conv(16)
        chains(b, b.x)[i]()
    x = b.conv(16).x
    b.conv(16).add("Sigmoid").both("Mul", x, b.x).conv(3)
    program = lower(onnx_reader.read(b.save(tmp_path / "m.onnx")), "fp32")
    kinds = [type(step) for step in program.steps]
    assert kinds.count(Conv) == len(kinds) - 2  # HardSigmoid is read twice where a HardSwish is written so
    assert program.steps[-2].follows.times == program.steps[-3].target


def test_functions_that_are_operators_of_their_own_since_later_opsets(tmp_path):
    b = Builder().conv(16)
    for op, rules in (("Mish", {}), ("Gelu", {}), ("Gelu", {"approximate": "tanh"})):
        b.conv(16).add(op, **rules)
    network = onnx_reader.read(b.conv(3).save(tmp_path / "m.onnx", opset=20))
    assert all(isinstance(step, Conv) for step in lower(network, "fp32").steps)
    frame = frame_of(2, 20, 30, dtype=np.float32)
    expected = OnnxRuntimeEngine(network, "fp32", None).run(frame)
    np.testing.assert_allclose(NativeEngine(network, "fp32", None).run(frame), expected, atol=1e-5)


def test_a_chain_that_something_else_reads_is_left_as_it_is(tmp_path):
    b = Builder().conv(16)
    x = b.x
    gate = b.add("Sigmoid").x
    product = b.both("Mul", gate, x).x
    b.both("Add", product, gate).conv(3)
    network = onnx_reader.read(b.save(tmp_path / "m.onnx"))
    functions = {values.function for step in lower(network, "fp32").steps if (values := pointwise(step)) is not None}
    assert "silu" not in functions
    frame = frame_of(2, 20, 30, dtype=np.float32)
    expected = OnnxRuntimeEngine(network, "fp32", None).run(frame)
    np.testing.assert_allclose(NativeEngine(network, "fp32", None).run(frame), expected, atol=1e-5)


def test_normalizations_that_name_their_axes_as_inputs(tmp_path):
    """As opset 18 and later have it."""
    b = Builder().conv(16)
    x = b.x
    b.add("ReduceMean", b.weight(np.array([1])), keepdims=1)
    b.both("Sub", x, b.x)
    apart = b.x
    b.add("Mul", apart).add("ReduceMean", b.weight(np.array([1])), keepdims=1).add("Add", b.constant(1e-5)).add("Sqrt")
    b.both("Div", apart, b.x).conv(3)
    network = onnx_reader.read(b.save(tmp_path / "m.onnx", opset=18))
    assert [type(step) for step in lower(network, "fp32").steps] == [Conv, Normalization, Conv]
    frame = frame_of(2, 20, 30, dtype=np.float32)
    expected = OnnxRuntimeEngine(network, "fp32", None).run(frame)
    np.testing.assert_allclose(NativeEngine(network, "fp32", None).run(frame), expected, atol=1e-5)


def test_sums_and_activations_behind_them_need_no_step(tmp_path):
    b = Builder().conv(16)
    x = b.x
    b.conv(16).add("Add", x).add("Relu").conv(16).add("Add", x).add("LeakyRelu", alpha=0.2).conv(3)
    program = lower(onnx_reader.read(b.save(tmp_path / "m.onnx")), "fp32")
    assert [type(step) for step in program.steps] == [Conv] * 4
    assert [step.follows is None for step in program.steps] == [True, True, False, True]


def test_what_a_gate_multiplies_is_made_first(tmp_path):
    """As SPAN has it: (y + x) * (sigmoid(y) - 0.5), the sum written last; else the product is a step of its own."""
    b = Builder().conv(16)
    x = b.x
    y = b.conv(16).x
    gate = b.add("Sigmoid").add("Sub", b.constant(0.5)).x
    b.both("Add", y, x).both("Mul", b.x, gate).conv(3)
    steps = lower(onnx_reader.read(b.save(tmp_path / "m.onnx")), "fp32").steps
    assert [type(step) for step in steps] == [Conv, Conv, Remap, Remap, Conv]
    assert steps[3].pointwise.function == "centred_sigmoid"
    assert steps[3].pointwise.times == steps[2].target


@pytest.mark.parametrize("name", sorted(set(ALL_FUNCTIONS) - {"none"}))
def test_functions_are_exact_enough_and_the_same_everywhere(name, monkeypatch):
    """Over all values that may come; from far outside of what their polynomials are for to the smallest numbers."""
    low, high = {"exp": (-20, 3), "sqrt": (0, 50), "reciprocal": (0.2, 50)}.get(name, (-30, 30))
    values = np.linspace(low, high, 7001, dtype=np.float32).reshape(1, -1, 1)
    exact = ALL_FUNCTIONS[name](values.astype(np.float64))
    shift, size = exact.min(), exact.max() - exact.min()
    tensors = [Tensor(str(i), 1, 1, floats=True) for i in range(3)]
    into, out = Pointwise(function=name), Pointwise()
    into.gains, into.offsets = (np.array([v], np.float32) for v in (high - low, low))
    out.gains, out.offsets = (np.array([v], np.float32) for v in (1 / size, -shift / size))
    table = np.zeros((1, 1, 1), np.int32)
    program = Program(tensors, [Remap(0, 1, table, into), Remap(1, 2, table, out)], 2, 1, "none")
    pixels = (values - low) / np.float32(high - low)
    made = {}
    for isa in _core.available_isas():
        monkeypatch.setenv("FASTSR_ISA", isa)
        made[isa] = packed(program, "fp32").run(pixels)
        given = pixels * np.float32(high - low) + np.float32(low)
        expected = ALL_FUNCTIONS[name](given.astype(np.float64))
        np.testing.assert_allclose(made[isa] * size + shift, expected, atol=4e-7 * size, err_msg=isa)
    assert len({values.tobytes() for values in made.values()}) == 1


def test_ranges_of_one_ring_take_the_memory_of_their_tensors(engines):
    """A block's ring holds five tensors, each of which all later layers read: 96 channels in some 15 rows."""
    pixel = 4 * 96 * 15
    assert engines["dense-x2", "fp32"]._program.unit_bytes(2000) < 2000 * (6 + 4) * pixel


CHANGED_VALUES = ("chained-x2", "gates-x1", "normalized-x2", "sliced-x2")


@pytest.mark.parametrize("name", ["dense-x2", "dense-odd-x2", "gated-x2", "parted-x1", *CHANGED_VALUES])
def test_views_and_functions_in_bf16_are_near_float_and_the_same_for_any_cut(networks, name, monkeypatch):
    if "wide" not in _core.available_isas():
        pytest.skip("needs AVX2")
    monkeypatch.setenv("FASTSR_ISA", "wide")
    frame = frame_of(4, 40, 61, dtype=np.float32)
    exact = NativeEngine(networks[name], "fp32", None).run(frame)
    engine = NativeEngine(networks[name], "bf16", None)
    made = engine.run(frame)
    assert 0 < np.abs(made - exact).mean() < 0.01
    for side in (7, 33):
        np.testing.assert_array_equal(engine._program.run(frame, side), made)


def test_a_tail_in_int8_keeps_what_its_middle_row_weighs():
    """A trained 9x9 tail has taps near 1 in its middle and near 0.01 around: one grid for all would lose the latter."""
    bare = onnx_reader.read(catalog.find("srgan-x4"))
    last = [node for node in bare.nodes if node.op == "Conv"][-1]
    network = dataclasses.replace(bare, metadata={**bare.metadata, "ranges": json.dumps({last.inputs[0]: (-0.5, 2.5)})})
    with Image.open(SAMPLE) as photo:
        pixels = np.asarray(photo.convert("RGB").crop((60, 60, 95, 87)))
    made, exact = (NativeEngine(network, p, None).run(pixels).astype(int) for p in ("int8", "fp32"))
    assert np.sqrt(np.square(made - exact).mean()) < 1.1  # levels, of which the input's grid of u8 costs most; else 2.9


def test_int8_without_ranges_says_how_to_get_them(tmp_path):
    path = compact().save(tmp_path / "m.onnx")
    with pytest.raises(EngineError, match=r"m\.onnx: int8 needs .*: python -m training quantize .*m\.onnx --data"):
        fastsr.load(path, engine="cpu", precision="int8")


def test_some_convolutions_may_stay_float(tmp_path):
    b = compact(2)
    path = b.save(tmp_path / "m.onnx", metadata={"ranges": json.dumps({"PRelu1": WIDE})})
    network = onnx_reader.read(path)
    program = lower(network, "int8")
    assert [s.kernel.dtype == np.int8 for s in program.steps] == [False, True, False, False]
    frame = frame_of(4, 20, 21, dtype=np.float32)
    made = NativeEngine(network, "int8", None).run(frame)
    np.testing.assert_allclose(made, run_program(program, frame), atol=2e-6)


@pytest.mark.parametrize("first", [0, 1])
def test_convolutions_left_in_float_between_those_in_int8(first, tmp_path, monkeypatch):
    """Tiles of four rows that read and make levels, in every cut and on every instruction set."""
    builder = wide()
    bare = onnx_reader.read(builder.save(tmp_path / "bare.onnx"))
    ranges = {name: WIDE for name in quantization.inputs(bare)[first::2]}
    network = onnx_reader.read(builder.save(tmp_path / "m.onnx", metadata={"ranges": json.dumps(ranges)}))
    program = lower(network, "int8")
    assert {step.kernel.dtype for step in program.steps if isinstance(step, Conv)} == {np.dtype("i1"), np.dtype("f4")}
    frame = frame_of(6, 31, 75, dtype=np.float32)
    monkeypatch.setenv("FASTSR_ISA", with_fma()[0])
    expected = NativeEngine(network, "int8", None).run(frame)
    # A level that rounds the other way, as sums in another order may have it, moves what follows by a few hundredths.
    assert np.abs(expected - run_program(program, frame)).mean() < 1e-3
    for isa in with_fma():
        monkeypatch.setenv("FASTSR_ISA", isa)
        engine = NativeEngine(network, "int8", None)
        for side in (0, 13, 30):
            np.testing.assert_array_equal(engine._program.run(frame, side), expected, err_msg=f"{isa} {side}")


def with_bf16():
    """The machine's instruction sets that have it, among them "wide", which emulates it."""
    found = [isa for isa in _core.available_isas() if isa in ("wide", "avx512bf16")]
    if not found:
        pytest.skip("needs AVX2")
    return found


def in_bf16(*layers, output, size=1.0):
    """A program whose convolutions are all in bf16 but for the first, which is exact for pixels in 256ths.

    `layers`: (outputs, rows, columns, shuffle, tensor that is added or -1), the last stored shuffled by `output`.
    """
    random = np.random.default_rng(0)
    first = random.integers(-8, 9, (layers[0][0], 3, 1, 1)).astype(np.float32) / 8
    tensors = [Tensor("input", 3, 1, floats=True), Tensor("0", len(first), 1, packed=True)]
    steps = [Conv(0, 1, first, np.zeros(len(first), np.float32), None, Epilogue())]
    for i, (outputs, rows, columns, factor, add) in enumerate(layers[1:], 1):
        source = tensors[i]
        kernel = random.standard_normal((outputs, source.channels, rows, columns)).astype(np.float32)
        kernel *= np.float32(size / np.sqrt(kernel[0].size))
        bias, slopes = random.random(outputs, np.float32) * np.float32(size), random.random(outputs, np.float32)
        steps.append(Conv(i, i + 1, kernel, bias, None, Epilogue(slopes=slopes, add=add), factor))
        tensors.append(Tensor(str(i), outputs // factor**2, source.factor * factor, packed=True))
    for step in steps:
        if step.epilogue.add >= 0:
            tensors[step.epilogue.add].floats = True
    tensors[-1].floats = True
    return Program(tensors, steps, len(tensors) - 1, output, "none")


# Winograd's tiles behind one another, shuffled, at each place that they can begin; other kernels between them.
IN_BF16 = {
    "tiles": (in_bf16((32,), (40, 3, 3, 1, -1), (40, 3, 3, 1, 2), (27, 3, 3, 1, -1), (48, 3, 3, 1, -1), output=4)),
    "shuffles": (in_bf16((33,), (128, 3, 3, 2, -1), (32, 3, 3, 1, -1), (108, 3, 3, 3, -1), output=2)),
    "others": (in_bf16((7,), (30, 5, 3, 1, -1), (64, 3, 3, 1, -1), (32, 1, 1, 1, -1), (3, 3, 3, 1, -1), output=1)),
    "subnormal": (in_bf16((32,), (48, 3, 3, 1, -1), output=4, size=3e-38)),
}


@pytest.mark.parametrize("name", IN_BF16)
def test_bf16_agrees_with_numpy_to_the_bit(name, monkeypatch):
    program = IN_BF16[name]
    frame = frame_of(7, 11, 103, dtype=np.uint8).astype(np.float32) / 256  # wide enough for threads to share rows
    expected = run_program(program, frame)
    assert ((expected > 0) & (expected < 1)).mean() > 0.1
    for isa in with_bf16():
        monkeypatch.setenv("FASTSR_ISA", isa)
        made = packed(program, "bf16")
        for side in (0, 5, 16, 64):
            np.testing.assert_array_equal(made.run(frame, side), expected, err_msg=f"{isa} {side}")


def of_two_bf16_convolutions(first, kernel, bias, *views):
    """One tap of the pixels, `first`, then a 3x3 convolution of that (of the last view), stored shuffled by 4."""
    tensors = [Tensor("input", 3, 1, floats=True), Tensor("0", len(first), 1, True, True), *views]
    tensors.append(Tensor("1", len(kernel), 1, floats=True))
    last = len(tensors) - 1
    steps = [
        Conv(0, 1, first.reshape(-1, 3, 1, 1), bias, None, Epilogue()),
        Conv(last - 1, last, kernel, np.full(len(kernel), 0.5, np.float32), None, Epilogue()),
    ]
    return Program(tensors, steps, last, 4, "none")


def test_bf16_scales_tiles_by_the_channels_that_it_reads(monkeypatch):
    """Others lie in the same vectors, a thousand times as large: they must not make the integers' steps coarse."""
    random = np.random.default_rng(1)
    first = random.integers(-8, 9, (64, 3)).astype(np.float32) / 8
    first[[0, 1, 2, 40, 41]] *= 1024
    kernel = random.standard_normal((48, 30, 3, 3)).astype(np.float32) / 64
    view = Tensor("part", 30, 1, True, True, source=1, first=5)
    program = of_two_bf16_convolutions(first, kernel, np.zeros(64, np.float32), view)
    frame = frame_of(8, 9, 21, dtype=np.uint8).astype(np.float32) / 256
    expected = run_program(program, frame)
    for isa in with_bf16():
        monkeypatch.setenv("FASTSR_ISA", isa)
        np.testing.assert_array_equal(packed(program, "bf16").run(frame, 0), expected, err_msg=isa)


@pytest.mark.parametrize("pixels", ["ones", "signs of a plane"])
def test_the_largest_sums_of_bf16_fit_into_their_integers(pixels, monkeypatch):
    """All products of a plane have one sign, and the tile's values are the largest that there can be."""
    frame = np.ones((16, 16, 3), np.float32)
    if pixels != "ones":
        near, far = 2 / 3, 3 / 2
        row = np.sign([0, -near * far**2, -(far**2), near, 1, 0])  # of the input transform, at the point `near`
        frame[3:9, 3:9] = np.where(np.outer(row, row) < 0, 0, 1)[:, :, None]
    first = np.zeros((32, 3), np.float32)
    first[:, 0] = 1
    kernel = np.full((48, 32, 3, 3), 1 / 512, np.float32)
    program = of_two_bf16_convolutions(first, kernel, np.full(32, -0.5, np.float32))
    exact = packed(program, "fp32").run(frame, 0)
    assert np.ptp(exact) > 0.1
    for isa in with_bf16():
        monkeypatch.setenv("FASTSR_ISA", isa)
        np.testing.assert_allclose(packed(program, "bf16").run(frame, 0), exact, atol=2e-3, err_msg=isa)


@pytest.mark.parametrize("name", ["wide-x2", "deep-x2", "compact-x4", "folded-x4"])
def test_bf16_is_one_result_for_any_cut(networks, name, monkeypatch):
    frame = frame_of(10, 38, 122, dtype=np.float32)
    expected = None
    for isa in with_bf16():
        monkeypatch.setenv("FASTSR_ISA", isa)
        engine = NativeEngine(networks[name], "bf16", None)
        for side in (0, 9, 33, 70):
            made = engine._program.run(frame, side)
            expected = made if expected is None else expected
            np.testing.assert_array_equal(made, expected, err_msg=f"{isa} {side}")


def test_bf16_is_near_float(networks):
    if "wide" not in _core.available_isas():
        pytest.skip("needs AVX2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTSR_ISA", "wide")
        frame = frame_of(4, 40, 41, dtype=np.float32)
        for name in ("compact-x4", "srresnet-x4"):
            exact = NativeEngine(networks[name], "fp32", None).run(frame)
            made = NativeEngine(networks[name], "bf16", None).run(frame)
            assert 0 < np.abs(made - exact).mean() < 0.01
        patch.setenv("FASTSR_ISA", "portable")
        with pytest.raises(EngineError, match="has no bf16 on this machine"):
            NativeEngine(networks["compact-x4"], "bf16", None)


@pytest.mark.parametrize("name", sorted(catalog.models()))
def test_bf16_is_within_a_level_of_float(name, monkeypatch):
    if "wide" not in _core.available_isas():
        pytest.skip("needs AVX2")
    monkeypatch.setenv("FASTSR_ISA", "wide")
    with Image.open(SAMPLE) as photo:
        pixels = np.asarray(photo.convert("RGB").crop((60, 60, 100, 100)))
    network = onnx_reader.read(catalog.find(name))
    exact, made = (NativeEngine(network, p, None).run(pixels).astype(int) for p in ("fp32", "bf16"))
    assert (np.abs(made - exact) <= 1).mean() >= 0.999


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 5, 1), (5, 5)])
def test_wrong_pixels_are_refused(engines, shape):
    with pytest.raises(ValueError, match="pixels"):
        engines["compact-x2", "fp32"].run(np.zeros(shape, np.uint8))


def test_the_rate_of_every_precision_can_be_measured():
    """Benchmarks compare with it; products in registers are faster than any network."""
    assert all(_core.multiply_add_rate(1000, precision) > 0 for precision in _core.precisions())
    with pytest.raises(ValueError, match="this instruction set has no fp8"):
        _core.multiply_add_rate(1000, "fp8")
