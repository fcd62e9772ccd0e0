"""Convolution programs told to the C++ engine step by step: what is refused, and that a refusal leaves no trace.

`lowering.py` writes none of these; a wrong program must not reach memory that is not its own.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsr import _core

INF = float("inf")
NONE = np.empty(0, np.float32)
PRECISIONS = ("fp32", "int8", "bf16")


@pytest.fixture(autouse=True)
def with_bf16(monkeypatch):
    """An instruction set that has every precision, where the machine's own has not."""
    if "bf16" not in _core.precisions() and "wide" in _core.available_isas():
        monkeypatch.setenv("FASTSR_ISA", "wide")


def program(precision, *tensors):
    """A program with tensors of (channels, factor, floats, packed)."""
    if precision not in _core.precisions():
        pytest.skip(f"no {precision} here")
    made = _core.ConvProgram(precision)
    for tensor in tensors:
        made.tensor(*tensor)
    return made


def conv(made, source, target, kernel, bias=None, **changed):
    """`made.conv` of a kernel, given by shape where it is float."""
    kernel = np.zeros(kernel, np.float32) if isinstance(kernel, tuple) else kernel
    if bias is None:
        bias = np.zeros(len(kernel), np.int32 if kernel.dtype == np.int8 else np.float32)
    after = {"scales": NONE, "slopes": NONE, "add": -1, "low": -INF, "high": INF, "factor": 1}
    made.conv(source, target, kernel, bias, **(after | changed))


FIRST, FLOATS = (3, 1, True, False), (8, 1, True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": 0, "target": 5}, "target is made already"),
        ({"source": 3, "target": 1}, "no such tensor"),
        ({"kernel": (8, 4, 3, 3)}, "does not fit"),
        ({"kernel": (8, 3, 3)}, "kernel must be out x in"),
        ({"kernel": np.zeros((8, 3, 3, 3))}, "kernel must be float32 or int8"),
        ({"kernel": np.zeros((8, 3, 3, 3), ">f4")}, "bytes swapped"),
        ({"kernel": (8, 3, 0, 3)}, "out of bounds"),
        ({"kernel": (8, 3, 18, 1)}, "out of bounds"),
        ({"before": (1025, 0)}, "out of bounds"),
        ({"before": (0, -1025)}, "out of bounds"),
        ({"dilation": (0, 1)}, "out of bounds"),
        ({"dilation": (1, 2**30)}, "out of bounds"),
        ({"bias": np.zeros(7, np.float32)}, "bias does not fit"),
        ({"bias": np.zeros(8, np.int32)}, "bias does not fit: one float32 number per output"),
        ({"bias": np.array(["a"] * 8, object)}, "elements must be numbers"),
        ({"bias": np.array(["a"] * 8)}, "bias does not fit"),
        ({"slopes": np.zeros(3, np.float32)}, "slopes do not fit"),
        ({"scales": np.ones(8, np.float32)}, "scales belong to int8"),
        ({"add": 0}, "added does not fit"),
        ({"factor": 0}, "out of bounds"),
    ],
)
def test_a_refused_convolution_has_not_made_its_target(arguments, message):
    made = program("fp32", FIRST, FLOATS)
    given = {"source": 0, "target": 1, "kernel": (8, 3, 3, 3)}
    with pytest.raises(ValueError, match=message):
        conv(made, **(given | arguments))
    with pytest.raises(ValueError, match="no such tensor yet"):
        made.store(1, 1, "none")
    conv(made, **given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": 0, "kernel": (3, 1, 3, 3)}, "not held as this convolution reads it"),  # the input's pixels adjoin
        ({"source": 3}, "not held as this convolution reads it"),  # a view
        ({"kernel": (8, 8, 3, 3)}, "does not fit"),
        ({"kernel": (7, 1, 3, 3)}, "does not fit"),
        ({"kernel": (8, 3, 3)}, "kernel must be out x in"),
        ({"kernel": (8, 1, 18, 1)}, "out of bounds"),
        ({"kernel": np.zeros((8, 1, 3, 3), np.int8)}, "kernel must be float32"),
        ({"bias": np.zeros(7, np.float32)}, "bias does not fit"),
        ({"slopes": np.zeros(3, np.float32)}, "slopes do not fit"),
        ({"add": 0}, "added does not fit"),
        ({"before": (0, 1025)}, "out of bounds"),
        ({"dilation": (0, 1)}, "out of bounds"),
    ],
)
def test_depthwise_convolutions_that_do_not_fit_are_refused(arguments, message):
    made = program("fp32", FIRST, FLOATS, FLOATS, FLOATS)
    made.slice(3, 1, 0)
    conv(made, 0, 1, (8, 3, 3, 3))
    given = {
        "source": 1,
        "kernel": (8, 1, 3, 3),
        "bias": np.zeros(8, np.float32),
        "slopes": NONE,
        "add": -1,
    } | arguments
    if isinstance(given["kernel"], tuple):
        given["kernel"] = np.zeros(given["kernel"], np.float32)
    with pytest.raises(ValueError, match=message):
        made.depthwise(target=2, low=-INF, high=INF, **given)


def test_borders_and_blocks_that_do_not_fit_are_refused():
    grown = (8, 1, True, False, 1.0, 0, (4, -2))
    made = program("fp32", (3, 2, True, False), (8, 2, True, False), grown, (32, 1, True, False), (32, 1, *grown[2:]))
    conv(made, 0, 1, (8, 3, 1, 1))
    for arguments, message in (
        ((1, 3, (0, 0), "zeros"), "tensors do not fit"),
        ((1, 2, (0, 0), "zeros"), "tensors do not fit"),  # of another resolution
        ((1, 2, (1025, 0), "zeros"), "do not fit|out of bounds"),
        ((1, 1, (0, 0), "zeros"), "made already"),
        ((1, 2, (0, 0), "wrap"), "border must be zeros, edge or reflect"),
    ):
        with pytest.raises(ValueError, match=message):
            made.pad(*arguments)
    for arguments in ((1, 3, 1), (1, 2, 2), (1, 3, 0), (1, 4, 2), (0, 3, 2)):
        with pytest.raises(ValueError, match="tensors do not fit"):
            made.space_to_depth(*arguments)
    made.space_to_depth(1, 3, 2)
    with pytest.raises(ValueError, match="growth out of bounds"):
        program("fp32", FIRST, (8, 1, True, False, 1.0, 0, (0, 1025)))
    made = program("fp32", FIRST, (3, 1, True, False, 1.0, 0, (0, 1)))
    conv(made, 0, 1, (3, 3, 1, 1))
    with pytest.raises(ValueError, match="the output has another size"):
        made.store(1, 1, "none")


def test_the_input_is_not_added_and_has_its_own_resolution():
    """Its pixels lie closer together than whole vectors."""
    made = program("fp32", FIRST, FIRST)
    with pytest.raises(ValueError, match="added does not fit"):
        conv(made, 0, 1, (3, 3, 1, 1), add=0)
    with pytest.raises(ValueError, match="the first tensor is the input, which has the frame's size"):
        program("fp32", (3, 1, True, False, 1.0, 0, (2, 0)))


def test_a_tensor_must_be_held():
    for precision, floats, packed in (("fp32", False, True), ("fp32", False, False), ("int8", False, False)):
        with pytest.raises(ValueError, match="held as floats, packed, or both"):
            program(precision, (3, 1, floats, packed))
    with pytest.raises(ValueError, match="quantization parameters out of bounds"):
        program("int8").tensor(3, 1, True, True, INF, 0)
    made = program("fp32", FIRST, FLOATS)
    conv(made, 0, 1, (8, 3, 1, 1))
    with pytest.raises(ValueError, match="tensors come before steps"):
        made.tensor(*FLOATS)


def test_kernels_belong_to_programs_that_hold_what_they_read():
    levels = np.zeros((8, 3, 3, 3), np.int8)
    with pytest.raises(ValueError, match="int8 kernels belong to int8 programs"):
        conv(program("bf16", (3, 1, True, True), FLOATS), 0, 1, levels, scales=np.ones(8, np.float32))
    with pytest.raises(ValueError, match="int8 kernels belong to int8 programs"):
        conv(program("fp32", FIRST, FLOATS), 0, 1, levels, scales=np.ones(8, np.float32))
    with pytest.raises(ValueError, match="not held as this convolution reads it"):
        conv(program("int8", (3, 1, False, True), FLOATS), 0, 1, (8, 3, 3, 3))
    with pytest.raises(ValueError, match="not held as this convolution reads it"):
        conv(program("int8", FIRST, FLOATS), 0, 1, levels, scales=np.ones(8, np.float32))


def test_biases_of_int8_are_numbers():
    made = program("int8", (3, 1, False, True), FLOATS)
    levels, scales = np.zeros((8, 3, 1, 1), np.int8), np.ones(8, np.float32)
    for bias in (np.array(["a"] * 8, object), np.zeros(8, np.float32), np.zeros(8, np.int64), np.zeros(9, np.int32)):
        with pytest.raises(ValueError, match=r"numbers|bias does not fit"):
            conv(made, 0, 1, levels, bias, scales=scales)
    conv(made, 0, 1, levels, scales=scales)


def raw():
    """Sums of int8 kept as integers in tensor 1: three rows of three channels and what the middle one's miss."""
    made = program("int8", (3, 1, True, True), (12, 1, True, False), (3, 1, True, False), (12, 1, True, False))
    conv(made, 0, 1, np.zeros((12, 3, 1, 3), np.int8))
    return made


def test_integers_are_only_reduced():
    made = program("int8", (3, 1, True, True), (9, 1, True, False))
    with pytest.raises(ValueError, match="raw sums are only stored"):
        conv(made, 0, 1, np.zeros((9, 3, 1, 3), np.int8), low=0.0)
    for step in (
        lambda made: made.remap(1, 3, 1, np.arange(12, dtype=np.int32), NONE, -1, -INF, INF),
        lambda made: made.reduce_rows(1, 2, 3, np.zeros(3, np.float32), NONE),
        lambda made: made.reduce_rows(1, 2, 3, np.zeros(3, np.float32), np.ones(3, np.float32)),
        lambda made: made.reduce_rows(1, 2, 5, np.zeros(3, np.float32), np.ones(12, np.float32)),
        lambda made: conv(made, 1, 3, (12, 12, 1, 1)),
        lambda made: conv(made, 0, 3, (12, 3, 1, 1), add=1),
    ):
        with pytest.raises(ValueError, match=r"fit|scales belong|not held"):
            step(raw())
    made = raw()
    for bias in (np.array(["a"] * 3, object), np.zeros(3, np.int32), np.zeros(4, np.float32)):
        with pytest.raises(ValueError, match=r"numbers|bias does not fit"):
            made.reduce_rows(1, 2, 3, bias, np.ones(12, np.float32))
    made.reduce_rows(1, 2, 3, np.zeros(3, np.float32), np.ones(12, np.float32))
    made.store(2, 1, "none")


def test_sums_of_floats_take_floats():
    made = program("fp32", FIRST, (9, 1, True, False), FIRST)
    conv(made, 0, 1, (9, 3, 1, 1))
    for terms, bias in ((3, np.array(["a"] * 3, object)), (3, np.zeros(3, np.int32)), (-3, np.zeros(3, np.float32))):
        with pytest.raises(ValueError, match=r"numbers|fit"):
            made.reduce_rows(1, 2, terms, bias, NONE)
    with pytest.raises(ValueError, match="no such tensor yet"):
        made.store(2, 1, "none")


def test_what_is_stored_fits_the_frame():
    made = program("fp32", FIRST, (12, 2, True, False), (12, 1, True, False))
    with pytest.raises(ValueError, match="the program has no end"):
        made.unit_bytes(10)
    conv(made, 0, 2, (12, 3, 1, 1))
    for factor in (0, -1, 1, 3, 65, 2**31 - 1):
        with pytest.raises(ValueError, match=r"out of bounds|does not fit"):
            made.store(2, factor, "none")
    with pytest.raises(ValueError, match="the program has no end"):
        made.unit_bytes(10)
    with pytest.raises(ValueError, match="the program has no end"):
        made.run(np.zeros((2, 2, 3), np.uint8))
    made.store(2, 2, "nearest")
    assert made.unit_bytes(10) > 0
    for width in (0, -1, 2**25, 2**62):
        with pytest.raises(ValueError, match="width must be"):
            made.unit_bytes(width)
    with pytest.raises(ValueError, match="no such tensor yet"):  # nothing may follow
        made.store(2, 2, "nearest")


def test_sums_of_int8_wrap_around_alike(monkeypatch):
    """Biases at both ends of s32, which no calibration makes: the same bytes on every instruction set."""
    frame = np.random.default_rng(0).random((5, 30, 3), dtype=np.float32)
    levels = np.rint(frame * 255).astype(np.int64)
    bias = np.array([2**31 - 1, -(2**31), 5], np.int32)
    steps = np.full(3, 2.0**-31, np.float32)
    total = (levels.sum(axis=2, keepdims=True) * 127 + bias + 2**31) % 2**32 - 2**31
    expected = np.clip(total.astype(np.float32) * steps, 0, 1)
    for isa in _core.available_isas():
        monkeypatch.setenv("FASTSR_ISA", isa)
        made = program("int8", (3, 1, False, True, 1 / 255, 0), FIRST)
        conv(made, 0, 1, np.full((3, 3, 1, 1), 127, np.int8), bias, scales=steps)
        made.store(1, 1, "none")
        np.testing.assert_array_equal(made.run(frame), expected, err_msg=isa)
        made = program("int8", (3, 1, False, True, 1 / 255, 0), (6, 1, True, False), FIRST)
        kernel = np.zeros((6, 3, 1, 1), np.int8)
        kernel[:3] = 127
        conv(made, 0, 1, kernel, np.concatenate([bias, bias * 0]))
        made.reduce_rows(1, 2, 1, np.zeros(3, np.float32), np.concatenate([steps, steps]))
        made.store(2, 1, "none")
        np.testing.assert_array_equal(made.run(frame), expected, err_msg=isa)


def joined(*views):
    """A program with two tensors to be made, and two views: of 16 and of 8 channels."""
    made = program("fp32", FIRST, FLOATS, FLOATS, (16, 1, True, False), FLOATS, (16, 1, True, False))
    for method, *arguments in views:
        getattr(made, method)(*arguments)
    return made


@pytest.mark.parametrize(
    ("views", "message"),
    [
        ([("concat", 3, [])], "made of other tensors"),
        ([("concat", 3, [1, 1])], "made of other tensors"),
        ([("concat", 3, [3])], "made of other tensors"),
        ([("concat", 3, [1])], "the channels of its parts"),
        ([("concat", 3, [0, 1])], "no such tensor to share"),
        ([("concat", 3, [1, 9])], "no such tensor to share"),
        ([("concat", 9, [1, 2])], "no such tensor to share"),
        ([("concat", 3, [1, 2]), ("concat", 3, [1, 2])], "made of other tensors"),
        ([("concat", 4, [1]), ("concat", 3, [1, 2])], "lies in one concatenation"),  # the longest one comes first
        ([("concat", 3, [1, 2]), ("concat", 5, [2, 1])], "lies in one concatenation"),
        ([("slice", 4, 3, 9)], "some of another tensor's channels"),
        ([("slice", 4, 3, -1)], "some of another tensor's channels"),
        ([("slice", 4, 4, 0)], "some of another tensor's channels"),
        ([("slice", 4, 0, 0)], "no such tensor to share"),
        ([("slice", 4, 3, 2), ("concat", 5, [1, 4])], "made of other tensors"),
    ],
)
def test_tensors_of_one_ring_that_do_not_fit_are_refused(views, message):
    made = joined(*views[:-1])
    method, *arguments = views[-1]
    with pytest.raises(ValueError, match=message):
        getattr(made, method)(*arguments)


def test_tensors_of_one_ring_are_held_alike():
    for whole, part in (((8, 1, True, True), FLOATS), ((8, 1, True, True, 0.5, 3), (8, 1, True, True, 0.5, 4))):
        made = program("int8", FIRST, part, whole)
        with pytest.raises(ValueError, match="held alike"):
            made.concat(2, [1])
        with pytest.raises(ValueError, match="held alike"):
            made.slice(2, 1, 0)
    made = program("fp32", FIRST, (8, 2, True, False), FLOATS)
    with pytest.raises(ValueError, match="held alike"):
        made.concat(2, [1])


def test_views_are_read_when_all_their_parts_are_made_and_made_by_no_step():
    made = joined(("concat", 3, [1, 2]), ("slice", 4, 3, 5))
    conv(made, 0, 1, (8, 3, 3, 3))
    for view, channels in ((3, 16), (4, 8)):
        with pytest.raises(ValueError, match="no such tensor yet"):
            conv(made, view, 5, (16, channels, 3, 3))
        with pytest.raises(ValueError, match="target is made already"):
            conv(made, 0, view, (channels, 3, 3, 3))
    with pytest.raises(ValueError, match="tensors come before steps"):
        made.tensor(*FLOATS)
    with pytest.raises(ValueError, match="no such tensor to share"):
        made.slice(5, 3, 0)
    conv(made, 1, 2, (8, 8, 3, 3))
    with pytest.raises(ValueError, match="added does not fit"):
        conv(made, 1, 5, (16, 8, 3, 3), add=3)
    with pytest.raises(ValueError, match="output does not fit"):
        made.store(3, 1, "none")
    conv(made, 4, 5, (16, 8, 3, 3))


def test_steps_of_single_values_fit_their_tensors():
    for arguments, message in (
        ({"gains": np.ones(7, np.float32)}, "gains or offsets do not fit"),
        ({"offsets": np.ones(9, np.float32)}, "gains or offsets do not fit"),
        ({"times": 0}, "multiplied does not fit"),
        ({"times": 3}, "no such tensor yet"),
        ({"function": "sine"}, "no such function: sine"),
    ):
        made = program("fp32", FIRST, FLOATS, FLOATS, FLOATS)
        conv(made, 0, 1, (8, 3, 1, 1))
        with pytest.raises(ValueError, match=message):
            made.remap(1, 2, 1, np.arange(8, dtype=np.int32), NONE, -1, -INF, INF, **arguments)


def test_only_what_the_last_step_has_made_is_changed_in_place():
    fine = {"slopes": NONE, "add": -1, "low": -INF, "high": INF}
    for arguments, message in (
        ({"target": 1}, "only what the last step has made"),
        ({"target": 9}, "only what the last step has made"),
        ({"slopes": np.ones(7, np.float32)}, "slopes do not fit"),
        ({"gains": np.ones(7, np.float32)}, "gains or offsets do not fit"),
        ({"times": 2}, "do not fit"),
        ({"times": 0}, "multiplied does not fit"),
        ({"add": 1}, "do not fit"),
        ({"function": "sine"}, "no such function"),
    ):
        made = program("fp32", FIRST, FLOATS, FLOATS)
        with pytest.raises(ValueError, match="only what the last step has made"):
            made.follow(0, **fine)
        conv(made, 0, 1, (8, 3, 1, 1))
        conv(made, 1, 2, (8, 8, 3, 3), add=1)
        with pytest.raises(ValueError, match=message):
            made.follow(**{"target": 2, **fine, **arguments})
        made.follow(2, **fine, function="sqrt")
        with pytest.raises(ValueError, match="only what the last step has made"):
            made.follow(2, **fine)
    made = program("int8", (3, 1, True, True), (9, 1, True, False))
    conv(made, 0, 1, np.zeros((9, 3, 1, 3), np.int8))
    with pytest.raises(ValueError, match="do not fit"):
        made.follow(1, **fine)
    made = program("int8", (3, 1, True, True), (9, 1, False, True))
    conv(made, 0, 1, np.zeros((9, 3, 1, 3), np.int8), scales=np.ones(9, np.float32))
    with pytest.raises(ValueError, match="do not fit"):
        made.follow(1, **fine)


def test_normalizations_and_enlargements_fit_their_tensors():
    one = np.ones(8, np.float32)
    for arguments, message in (
        ({"source": 0}, "do not fit"),
        ({"target": 3}, "do not fit"),
        ({"epsilon": -1.0}, "epsilon out of bounds"),
        ({"epsilon": float("nan")}, "epsilon out of bounds"),
        ({"gains": np.ones(7, np.float32)}, "gains or offsets do not fit"),
        ({"offsets": NONE}, "gains or offsets do not fit"),
    ):
        made = program("fp32", FIRST, FLOATS, FLOATS, (8, 2, True, False))
        conv(made, 0, 1, (8, 3, 1, 1))
        given = {"source": 1, "target": 2, "centred": True, "epsilon": 1e-5, "gains": one, "offsets": one}
        with pytest.raises(ValueError, match=message):
            made.normalize(**(given | arguments))
        made.normalize(**given)
        for source, target, factor in ((0, 3, 2), (1, 3, 3), (1, 2, 1), (1, 3, 0), (1, 3, -2), (1, 3, 2**31 - 1)):
            with pytest.raises(ValueError, match=r"fit|made already"):
                made.bilinear(source, target, factor)
        made.bilinear(2, 3, 2)


DTYPES = ("float32", "int8", "int32", "float64", "object", ">f4")
CHANNELS = (1, 3, 4, 8, 12, 24, 33)
BASES = ("none", "nearest", "bilinear", "bicubic")
KINDS = (
    "conv",
    "conv",
    "int8",
    "raw",
    "remap",
    "reduce_rows",
    "normalize",
    "bilinear",
    "depthwise",
    "pad",
    "space_to_depth",
)
FUNCTIONS = ("none", "sigmoid", "mish", "exp", "reciprocal")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_calls_are_refused_or_make_an_image(data):
    """Steps drawn at random, most of them right but for one argument; `test_sanitizers.py` runs this too."""
    precision = data.draw(st.sampled_from([p for p in PRECISIONS if p in _core.precisions()]))
    made = _core.ConvProgram(precision)

    def tell(method, *arguments):
        try:
            method(*arguments)
        except ValueError:
            return False
        return True

    held = []
    for i in range(data.draw(st.integers(1, 6))):
        channels, factor = data.draw(st.sampled_from(CHANNELS)), data.draw(st.sampled_from((1, 1, 1, 2)))
        floats, packed = data.draw(st.sampled_from(((True, True), (True, True), (True, False), (False, True))))
        growth = (0, 0) if i == 0 else data.draw(st.sampled_from(((0, 0),) * 6 + ((2, 1), (-1, 4), (-3, -5))))
        if tell(made.tensor, channels, factor, floats, packed, 1 / 255, 3, growth):
            held.append((channels, factor))
    if not held:
        return
    views = []
    for _ in range(data.draw(st.integers(0, 3))):
        parts = data.draw(st.lists(st.integers(0, len(held) - 1), min_size=1, max_size=3))
        first = data.draw(st.integers(0, 5))
        channels = sum(held[part][0] for part in parts) if data.draw(st.booleans()) else max(1, held[parts[0]][0] - 5)
        if tell(made.tensor, channels, held[parts[0]][1], True, data.draw(st.booleans()), 1 / 255, 3):
            held.append((channels, held[parts[0]][1]))
            views.append((len(held) - 1, parts, first))
    for _ in range(data.draw(st.integers(0, 2)) if views else 0):
        channels = data.draw(st.sampled_from(CHANNELS))
        if tell(made.tensor, channels, 1, True, True, 1 / 255, 3):
            held.append((channels, 1))
    for view, parts, first in views:
        if not tell(made.concat, view, parts):
            tell(made.slice, view, parts[0], first)
    numbers = st.integers(-1, len(held))

    def function():
        return data.draw(st.sampled_from(FUNCTIONS)), data.draw(numbers) if data.draw(st.booleans()) else -1

    mostly = st.sampled_from((True,) * 9 + (False,))
    for target in range(1, len(held)):
        source = data.draw(st.integers(0, target - 1))
        (deep, before), (out, after) = held[source], held[target]
        factor = max(1, after // before) if data.draw(mostly) else data.draw(st.integers(-1, 3))
        add = data.draw(numbers) if data.draw(st.booleans()) else -1
        bound = data.draw(st.sampled_from((INF, 0.9)))
        outputs = out * factor**2
        kind = data.draw(st.sampled_from(KINDS))
        before = data.draw(st.none() | st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
        if kind == "pad":
            tell(made.pad, source, target, before or (0, 0), data.draw(st.sampled_from(("zeros", "edge", "reflect"))))
        elif kind == "blocks":
            tell(made.space_to_depth, source, target, before[0] if before else 2)
        elif kind == "depthwise":
            size = [data.draw(st.sampled_from((1, 2, 3, 5, 17))) for _ in range(2)]
            kernel, bias = np.ones((out, 1, *size), np.float32), np.zeros(out, np.float32)
            tell(made.depthwise, source, target, kernel, bias, NONE, add, -INF, bound, before)
        elif kind == "remap":
            table = np.arange(factor**2 * out, dtype=np.int32) % deep
            gains = np.full(out, 0.5, np.float32) if data.draw(st.booleans()) else NONE
            tell(made.remap, source, target, factor, table, NONE, add, -INF, bound, gains, NONE, *function())
        elif kind == "normalize":
            tell(made.normalize, source, target, data.draw(st.booleans()), 1e-5, np.ones(out), np.zeros(out))
        elif kind == "bilinear":
            tell(made.bilinear, source, target, factor)
        elif kind == "reduce_rows":
            scales = data.draw(st.sampled_from((NONE, np.ones(deep, np.float32))))
            terms = deep // out - (len(scales) > 0) if data.draw(mostly) else 3
            rows = before[0] if before else None
            tell(made.reduce_rows, source, target, terms, np.zeros(out, np.float32), scales, rows)
        else:
            dtype = "float32" if kind == "conv" else "int8"
            dtype = dtype if data.draw(mostly) else data.draw(st.sampled_from(DTYPES))
            size = [data.draw(st.sampled_from((1, 2, 3, 3, 5, 9, 17))) for _ in range(2)]
            kernel = np.ones((outputs, deep, *size), dtype)
            bias = np.zeros(outputs, "float32" if kind == "conv" else "int32")
            bias = bias if data.draw(mostly) else bias.astype(data.draw(st.sampled_from(DTYPES)))
            scales = np.full(outputs, 1e-3, np.float32) if kind == "int8" else NONE
            slopes = np.zeros(outputs, np.float32) if data.draw(st.booleans()) else NONE
            apart = data.draw(st.sampled_from(((1, 1), (1, 1), (2, 3))))
            tell(made.conv, source, target, kernel, bias, scales, slopes, add, -INF, bound, factor, before, apart)
        if data.draw(st.booleans()):
            added = data.draw(numbers) if data.draw(st.booleans()) else -1
            tell(made.follow, target, NONE, added, -INF, bound, NONE, NONE, *function())
    last = data.draw(st.integers(0, len(held)))
    fold = data.draw(st.sampled_from((1, 1, 2, 3)))
    colours = max(1, held[0][0] // fold**2)
    factor = 1 if last >= len(held) else max(1, round((held[last][0] / colours) ** 0.5))
    gains = data.draw(st.sampled_from(((1, 0), (1, 0), (0.5, 0), (0.5, 0.25))))
    stored = tell(made.store, last, factor, data.draw(st.sampled_from(BASES)), fold, *gains)
    block = fold * held[0][1]
    height, width = (data.draw(st.integers(1, most)) * block for most in (9, 40))
    frame = np.full((height, width, colours), 7, np.uint8)
    if not stored:
        with pytest.raises(ValueError, match="no end"):
            made.run(frame)
        return
    try:
        image = made.run(frame, data.draw(st.sampled_from((0, 1, 5))))
    except ValueError as refused:
        if "too small" not in str(refused):
            raise
        return
    scale = held[last][1] * factor // block
    assert image.shape == (frame.shape[0] * scale, frame.shape[1] * scale, frame.shape[2])
    assert (image == made.run(frame)).all()  # nothing in it was anything else's memory


def test_folds_and_bases_that_do_not_fit_are_refused():
    made = program("fp32", (12, 1, True, False), (48, 1, True, False))
    conv(made, 0, 1, (48, 12, 1, 1))
    for factor, base, fold, message in (
        (4, "cubic", 2, "base must be none, nearest, bilinear or bicubic"),
        (4, "none", 3, "fold does not fit the input"),
        (4, "none", 0, "fold does not fit the input"),
        (4, "none", -2, "fold does not fit the input"),
        (2, "bicubic", 2, "output does not fit"),
        (4, "nearest", 2, "the repeated input can only be added"),
    ):
        with pytest.raises(ValueError, match=message):
            made.store(1, factor, base, fold)
    for base, gain, repeated, message in (
        ("nearest", 0.5, 0, "the repeated input can only be added"),
        ("none", 0.5, 0, "can be weighted, by a finite number"),
        ("bicubic", np.nan, 0, "can be weighted, by a finite number"),
        ("none", 1, 0.5, "the repeated input can only be added"),
        ("bicubic", 1, np.inf, "the repeated input can only be added"),
        ("bicubic", 1, 0.5, "the repeated input can only be added"),
    ):
        with pytest.raises(ValueError, match=message):
            made.store(1, 4, base, 2, gain, repeated)
    made.store(1, 4, "bicubic", 2)
    with pytest.raises(ValueError, match="sides must be multiples of 2"):
        made.run(np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(ValueError, match="height x width x 3"):
        made.run(np.zeros((4, 4, 12), np.uint8))
    assert made.run(np.zeros((4, 6, 3), np.uint8)).shape == (8, 12, 3)


def test_an_output_that_is_no_multiple_of_the_input_is_refused():
    made = program("fp32", (12, 1, True, False), (27, 1, True, False))
    conv(made, 0, 1, (27, 12, 1, 1))
    with pytest.raises(ValueError, match="the output must be a multiple of the input"):
        made.store(1, 3, "none", 2)
