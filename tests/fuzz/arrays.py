"""Arrays as plain data: what a case in JSON says of an array, and the array itself."""

import numpy as np

DTYPES = ("float32", "float16", "uint8", "uint16", "int8", "int32", "int64", "float64", "bool", "complex64", "U1", "O")
LAYOUTS = ("plain", "fortran", "reversed", "every other", "read-only", "misaligned", "one value", "swapped")
MOST = 1 << 22  # elements


def described(array):
    """An array's shape and type, and its values where they are few integers."""
    spec = {"array": list(array.shape), "dtype": array.dtype.name, "layout": "plain", "seed": int(array.size)}
    if array.dtype.kind == "i" and array.dtype.itemsize > 1 and array.size <= 4096:
        spec["values"] = array.ravel().tolist()
    return spec


def is_described(value):
    """Whether a value of a case stands for an array."""
    return isinstance(value, dict) and "array" in value


def made(spec):
    """The array. Raises ValueError for one that no test should make."""
    shape, dtype = tuple(spec["array"]), np.dtype(spec["dtype"])
    if any(side < 0 for side in shape) or np.prod([float(side) for side in shape]) > MOST:
        raise ValueError("an array out of bounds")
    array = _arranged(_filled(spec, shape, dtype), spec["layout"])
    assert array.shape == shape
    return array


def _filled(spec, shape, dtype):
    if "values" in spec:
        return np.resize(np.array(spec["values"], np.int64), shape).astype(dtype)
    draw = np.random.default_rng(spec["seed"])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return draw.integers(max(info.min, -300), min(info.max, 300), shape, dtype, endpoint=True)
    if dtype.kind in "fc":
        array = draw.standard_normal(shape).astype(dtype)
        if spec.get("odd") and array.size:
            array.flat[:: max(1, array.size // 7)] = spec["odd"]
        return array
    return np.zeros(shape, dtype)


def _arranged(array, layout):
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "reversed":
        return array[::-1] if array.ndim else array
    if layout == "every other":
        return array.repeat(2, axis=-1)[..., ::2] if array.ndim else array
    if layout == "read-only":
        array.flags.writeable = False
    elif layout == "misaligned" and array.dtype.kind != "O":
        place = np.zeros(array.nbytes + 1, np.uint8)[1:]
        odd = place.view(array.dtype) if array.nbytes else np.empty(0, array.dtype)
        odd = odd[: array.size].reshape(array.shape)
        odd[...] = array
        return odd
    elif layout == "one value":
        return np.broadcast_to(array.ravel()[:1].reshape(()) if array.size else np.zeros((), array.dtype), array.shape)
    elif layout == "swapped":
        return array.astype(array.dtype.newbyteorder())
    return array


def mutated(draw, spec):
    """Another array: a side, the type or the order in memory changed."""
    spec = {**spec, "array": list(spec["array"])}
    kind, shape = draw.randrange(8), spec["array"]
    if kind < 2 and shape:
        at = draw.randrange(len(shape))
        shape[at] = draw.choice((0, 1, 2, 3, 5, 17, 65, shape[at] + 1, max(0, shape[at] - 1), shape[at] * 2))
    elif kind == 2 and shape:
        del shape[draw.randrange(len(shape))]
    elif kind == 3:
        shape.insert(draw.randrange(len(shape) + 1), draw.choice((0, 1, 1, 2)))
    elif kind == 4:
        spec["dtype"] = draw.choice(DTYPES)
    elif kind == 5:
        spec["layout"] = draw.choice(LAYOUTS)
    elif kind == 6 and len(shape) > 1:
        draw.shuffle(shape)
    elif spec.get("values"):
        spec["values"] = list(spec["values"])
        spec["values"][draw.randrange(len(spec["values"]))] = draw.choice((-1, 0, 1, 2**31 - 1, -(2**31), 4096))
    else:
        spec["odd"] = draw.choice((float("nan"), float("inf"), float("-inf"), 1e38, -1e38, 1e-40))
    return spec
