"""The CUDA kernels on a GPU against the CPU's kernels, bit for bit: types, layouts, alignment, streams, graphs."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastsr import ops

torch = pytest.importorskip("torch", reason="the tests hold device memory with torch")

pytestmark = pytest.mark.gpu

PIXELS = (np.uint8, np.uint16, np.float32)
LAYOUTS = ("NCHW", "NHWC")
BATCHES = (np.float32, np.float16)


class Raw:
    """A device array that only speaks `__cuda_array_interface__`, with whatever stream it names."""

    def __init__(self, tensor, **more):
        self.tensor = tensor
        self.__cuda_array_interface__ = {**tensor.__cuda_array_interface__, "version": 3, **more}


def on_gpu(array, offset=0):
    """A copy on the GPU whose first element lies `offset` elements behind an allocation's start."""
    room = torch.empty(array.nbytes + offset * array.itemsize, dtype=torch.uint8, device="cuda")
    placed = room[offset * array.itemsize :].view(getattr(torch, array.dtype.name)).view(array.shape)
    placed.copy_(torch.from_numpy(array))
    return placed


def frame_of(rng, shape, dtype):
    if dtype == np.float32:
        return rng.random(shape, dtype=np.float32)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def deep_shape(layout, n, deep, height, width):
    return (n, deep, height, width) if layout == "NCHW" else (n, height, width, deep)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_dtype", BATCHES)
@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize(("channels", "offset"), [(1, 0), (3, 0), (3, 1), (3, 5), (4, 3)])
def test_gather_equals_the_cpu(layout, batch_dtype, dtype, channels, offset):
    frame = frame_of(np.random.default_rng(0), (61, 1203, channels), dtype)
    origins = [(-5, -9), (20, 1100), (0, 1), (-100, 3000)]
    for tile in ((64, 64), (33, 77), (61, 1203)):
        expected = ops.tile_gather(frame, origins, tile, batch_dtype, layout)
        made = ops.tile_gather(on_gpu(frame, offset), origins, tile, batch_dtype, layout)
        assert made.is_cuda
        assert_array_equal(made.cpu().numpy(), expected)
        out = on_gpu(np.zeros_like(expected), offset)
        assert ops.tile_gather(on_gpu(frame, offset), origins, tile, layout=layout, out=out) is out
        assert_array_equal(out.cpu().numpy(), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_dtype", BATCHES)
@pytest.mark.parametrize("dtype", PIXELS)
@pytest.mark.parametrize(("channels", "factor"), [(3, 1), (3, 2), (3, 4), (3, 3), (1, 4), (2, 5)])
@pytest.mark.parametrize("residual", ops.RESIDUALS)
def test_scatter_equals_the_cpu(layout, batch_dtype, dtype, channels, factor, residual):
    rng = np.random.default_rng(0)
    low = frame_of(rng, (40, 301, channels), dtype)
    windows = [(-2, -3, 0, 0, 35, 100), (0, 90, 1, 100, 40, 250), (3, 200, 5, 252, 40, 301)]
    shape = deep_shape(layout, 3, channels * factor**2, 44, 168)
    batch = (rng.random(shape, dtype=np.float32) * 1.6 - 0.3).astype(batch_dtype)
    batch.ravel()[::1001] = np.nan
    before = frame_of(rng, (40 * factor, 301 * factor, channels), dtype)
    expected = before.copy()
    ops.tile_scatter(batch, windows, expected, factor, residual, low, layout)
    for offset in (0, 1, 3):
        made = on_gpu(before, offset)
        ops.tile_scatter(on_gpu(batch, offset), windows, made, factor, residual, on_gpu(low, offset), layout)
        assert_array_equal(made.cpu().numpy(), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.int64])
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("width", [64, 37])
def test_pixel_shuffle_equals_the_cpu(layout, dtype, factor, width):
    x = np.random.default_rng(0).integers(0, 200, deep_shape(layout, 2, 3 * factor**2, 9, width)).astype(dtype)
    for offset in (0, 1):
        made = ops.pixel_shuffle(on_gpu(x, offset), factor, layout)
        assert_array_equal(made.cpu().numpy(), ops.pixel_shuffle(x, factor, layout))


def test_pixel_shuffle_equals_torch():
    x = torch.randn((2, 48, 33, 70), device="cuda", dtype=torch.bfloat16)
    assert torch.equal(ops.pixel_shuffle(x, 4), torch.nn.functional.pixel_shuffle(x, 4))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_bias_and_prelu_cover_every_half_value(layout, dtype):
    """Every bit pattern of the 16-bit types, which also compares a GPU's conversions with those in integers."""
    bits = np.arange(1 << 16, dtype=np.uint16)
    x = torch.from_numpy(bits.view(np.int16)).view(torch.float16 if dtype == torch.float32 else dtype).to(dtype)
    x = x.view(deep_shape(layout, 1, 16, 64, 64)).cuda()
    bias, slope = torch.tensor([0.1, -2.0, 3e4, -1e-7]), torch.tensor([0.25, -1.5, 1e-3, 0.7])
    made = ops.pixel_shuffle(x, 2, layout, bias.cuda(), slope.cuda()).cpu()
    along = (1, 4, 1, 1) if layout == "NCHW" else (4,)
    moved = ops.pixel_shuffle(x, 2, layout).cpu().float() + bias.view(along)
    expected = torch.where(moved > 0, moved, slope.view(along) * moved).to(dtype)
    finite = ~expected.isnan()
    assert torch.equal(made[finite], expected[finite])
    assert made[~finite].isnan().all()
    if dtype != torch.bfloat16:
        expected = ops.pixel_shuffle(x.cpu().numpy(), 2, layout, bias.numpy(), slope.numpy())
        assert made.numpy().tobytes() == expected.tobytes()


def test_raw_arrays_and_their_stream():
    frame = frame_of(np.random.default_rng(0), (50, 70, 3), np.uint8)
    expected = ops.tile_gather(frame, [(-3, -4)], (32, 48))
    stream = torch.cuda.Stream()
    out = torch.zeros((1, 3, 32, 48), device="cuda")
    held = on_gpu(frame)
    torch.cuda.synchronize()
    with pytest.raises(ValueError, match="hand in out="):
        ops.tile_gather(Raw(held), [(-3, -4)], (32, 48))
    ops.tile_gather(Raw(held, stream=stream.cuda_stream), [(-3, -4)], (32, 48), out=Raw(out))
    stream.synchronize()
    assert_array_equal(out.cpu().numpy(), expected)


def test_work_runs_on_the_stream_that_is_asked_for():
    """A stream that is kept busy delays what was put on it, and nothing else."""
    x = torch.arange(4 * 64 * 64, device="cuda", dtype=torch.float32).view(1, 4, 64, 64)
    expected = torch.nn.functional.pixel_shuffle(x, 2)
    torch.cuda.synchronize()
    busy = torch.cuda.Stream()
    for chosen in (busy, busy.cuda_stream):
        out = torch.zeros_like(expected)
        torch.cuda.synchronize()
        with torch.cuda.stream(busy):
            torch.cuda._sleep(200_000_000)
        ops.pixel_shuffle(x, 2, out=out, stream=chosen)
        assert out.count_nonzero() == 0
        busy.synchronize()
        assert torch.equal(out, expected)
    with torch.cuda.stream(busy):
        made = ops.pixel_shuffle(x, 2)
    busy.synchronize()
    assert torch.equal(made, expected)
    made = ops.pixel_shuffle(x, 2, stream=busy)
    busy.synchronize()
    assert torch.equal(made, expected)


def test_calls_are_captured_in_a_graph():
    rng = np.random.default_rng(0)
    frames = [frame_of(rng, (48, 80, 3), np.uint8) for _ in range(2)]
    frame, out = on_gpu(frames[0]), torch.zeros((96, 160, 3), dtype=torch.uint8, device="cuda")
    windows = [(0, 0, 0, 0, 48, 80)]

    def enlarge():
        batch = ops.tile_gather(frame, [(0, 0)], (48, 80), np.float16)
        ops.tile_scatter(batch.repeat(1, 4, 1, 1) * 0, windows, out, 2, "nearest", frame)
        return ops.pixel_shuffle(batch.repeat(1, 4, 1, 1), 2)

    enlarge()  # loads the kernels, which a capture forbids
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        shuffled = enlarge()
    for pixels in frames:
        frame.copy_(torch.from_numpy(pixels))
        graph.replay()
        torch.cuda.synchronize()
        assert_array_equal(out.cpu().numpy(), pixels.repeat(2, 0).repeat(2, 1))
        batch = np.tile(ops.tile_gather(pixels, [(0, 0)], (48, 80), np.float16), (1, 4, 1, 1))
        assert_array_equal(shuffled.cpu().numpy(), ops.pixel_shuffle(batch, 2))


def test_more_tiles_than_a_launch_holds():
    frame = frame_of(np.random.default_rng(0), (40, 300, 3), np.uint8)
    origins = [(y, x) for y in range(0, 40, 10) for x in range(0, 300, 10)]
    batch = ops.tile_gather(on_gpu(frame), origins, (10, 10))
    assert_array_equal(batch.cpu().numpy(), ops.tile_gather(frame, origins, (10, 10)))
    out = torch.zeros(frame.shape, dtype=torch.uint8, device="cuda")
    ops.tile_scatter(batch, [(y, x, y, x, y + 10, x + 10) for y, x in origins], out)
    assert_array_equal(out.cpu().numpy(), frame)


def test_what_is_refused():
    frame = torch.zeros((8, 8, 3), dtype=torch.uint8, device="cuda")
    with pytest.raises(ValueError, match="out in CPU memory"):
        ops.tile_gather(frame, [(0, 0)], (4, 4), out=torch.zeros((1, 3, 4, 4)))
    with pytest.raises(ValueError, match="contiguous"):
        ops.tile_gather(frame.transpose(0, 1), [(0, 0)], (4, 4))
    with pytest.raises(ValueError, match="detach"):
        ops.pixel_shuffle(torch.zeros((1, 4, 2, 2), device="cuda", requires_grad=True), 2)
    with pytest.raises(ValueError, match="not memory of a CUDA device"):
        ops.pixel_shuffle(Raw(torch.zeros((1, 4, 2, 2), device="cuda"), data=(4096, False)), 2, out=frame)
    if torch.cuda.device_count() > 1:
        with pytest.raises(ValueError, match="different devices"):
            ops.tile_gather(frame, [(0, 0)], (4, 4), out=torch.zeros((1, 3, 4, 4), device="cuda:1"))


@pytest.mark.parametrize("operation", ["gather", "scatter", "shuffle"])
def test_bandwidth_at_4k(operation, record_property):
    """At least half of a plain copy's bandwidth, so that a kernel which lost its wide accesses is noticed."""
    low, scale = torch.zeros((540, 960, 3), dtype=torch.uint8, device="cuda"), 4
    frame = torch.zeros((2160, 3840, 3), dtype=torch.uint8, device="cuda")
    batch = torch.rand((1, 3, 2160, 3840), device="cuda").half()
    deep, shuffled = torch.rand((1, 48, 540, 960), device="cuda").half(), torch.empty_like(batch)
    calls = {
        "gather": (lambda: ops.tile_gather(frame, [(0, 0)], (2160, 3840), out=batch), frame.nbytes + batch.nbytes),
        "scatter": (
            lambda: ops.tile_scatter(deep, [(0, 0, 0, 0, 540, 960)], frame, scale, "nearest", low),
            deep.nbytes + frame.nbytes + low.nbytes,
        ),
        "shuffle": (lambda: ops.pixel_shuffle(deep, scale, out=shuffled), deep.nbytes + shuffled.nbytes),
    }
    call, moved = calls[operation]
    source = torch.empty(moved // 2, dtype=torch.uint8, device="cuda")
    copied = torch.empty_like(source)
    share = _seconds(lambda: copied.copy_(source)) / _seconds(call)
    record_property("share_of_copy_bandwidth", share)
    print(f"{operation}: {share:.0%} of the bandwidth of a copy of as many bytes")
    assert share > 0.5


def _seconds(call, times=50):
    """Of one call inside a graph, so that starting it from Python does not count; the caches flushed in between."""
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    call()
    torch.cuda.synchronize()
    graphs = [torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()]
    for graph, work in zip(graphs, (lambda: flush.zero_(), lambda: (flush.zero_(), call())), strict=True):
        with torch.cuda.graph(graph):
            for _ in range(times):
                work()
    spent = []
    for graph in graphs:
        graph.replay()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        spent.append(begin.elapsed_time(end) / 1000 / times)
    return spent[1] - spent[0]
