"""The pipeline of both GPU engines: the CPU's image, graphs, streams, tensors that stay, memory that runs out."""

import numpy as np
import pytest

import fastsr
from fastsr.errors import EngineError

torch = pytest.importorskip("torch", reason='needs: pip install "fastsr[torch]"')
pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", params=["torch", "tensorrt"])
def up(request):
    try:
        return fastsr.load("fast-x4", device="cuda", engine=request.param, precision="fp16")
    except EngineError as error:
        if request.param == "torch":
            raise
        pytest.skip(f"no TensorRT that serves this GPU: {error}")


@pytest.fixture(scope="module")
def exact():
    return fastsr.load("fast-x4", device="cpu", precision="fp32")


def frame_of(seed, height=61, width=83, dtype=np.uint8):
    random = np.random.default_rng(seed)
    if dtype == np.float32:
        return random.random((height, width, 3), np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, 3), dtype)


def distance(a, b):
    full = 1 if a.dtype == np.float32 else np.iinfo(a.dtype).max
    return np.abs(a.astype(float) - b.astype(float)).max() * 255 / full


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_frames_are_the_cpus(up, exact, dtype):
    frame = frame_of(0, dtype=dtype)
    for _ in range(4):  # as it is, captured, by its graph
        assert distance(up.upscale(frame), exact.upscale(frame)) <= 2


def test_streams_keep_their_order(up, exact):
    frames = [frame_of(i, *((40, 50) if i % 5 == 4 else (64, 96))) for i in range(24)]
    made = list(up.stream(iter(frames)))
    for frame, result in zip(frames, made, strict=True):
        assert distance(result, exact.upscale(frame)) <= 2


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("shape", [(3, 40, 56), (2, 3, 40, 56)])
def test_tensors_stay_on_the_gpu(up, exact, dtype, shape):
    levels = torch.randint(0, 256, shape, dtype=torch.uint8)
    tensor = levels if dtype == "uint8" else (levels / 255).to(getattr(torch, dtype))
    for _ in range(3):
        made = up.upscale(tensor.cuda())
        assert made.is_cuda
        assert made.dtype == tensor.dtype
        assert made.shape == (*shape[:-2], 160, 224)
        scale = 1 if dtype == "uint8" else 255
        expected = exact.upscale(levels).float()
        assert (made.cpu().float() * scale - expected).abs().max() <= 2


@pytest.mark.parametrize("tile", [None, 64])
def test_regions(tile):
    up = fastsr.load("fast-x4", device="cuda", engine="torch", precision="fp32", tile=tile)
    frame = frame_of(4, 150, 200)
    whole = up.upscale(frame)
    for left, top, right, bottom in ((0, 0, 9, 9), (300, 200, 500, 333), (799, 599, 800, 600)):
        region = (left, top, right, bottom)
        made = up.upscale(frame, region=region)
        assert distance(made, whole[top:bottom, left:right]) <= 1
        tensor = torch.from_numpy(frame).permute(2, 0, 1).cuda()
        on_gpu = up.upscale(tensor, region=region)
        assert on_gpu.is_cuda
        assert distance(on_gpu.permute(1, 2, 0).cpu().numpy(), made) <= 1


def test_callers_streams_are_respected(up, exact):
    frame = frame_of(3)
    tensor = torch.from_numpy(frame).permute(2, 0, 1)
    mine = torch.cuda.Stream()
    with torch.cuda.stream(mine):
        late = torch.zeros_like(tensor, device="cuda")
        torch.cuda._sleep(50_000_000)
        late.copy_(tensor)
        made = up.upscale(late)
        after = made.clone()
    mine.synchronize()
    assert distance(after.permute(1, 2, 0).cpu().numpy(), exact.upscale(frame)) <= 2


def test_tiles_show_no_seam(exact):
    frame = frame_of(1, 150, 200)
    tiled = fastsr.load("fast-x4", device="cuda", engine="torch", precision="fp32", tile=64)
    assert distance(tiled.upscale(frame), exact.upscale(frame)) <= 1


def test_when_memory_runs_out_it_goes_on(exact):
    up = fastsr.load("fast-x4", device="cuda", engine="torch", precision="fp16")
    total = torch.cuda.get_device_properties(0).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction(min(1.0, 400e6 / total))
        frame = frame_of(2, 1100, 1100)
        assert distance(up.upscale(frame)[:256, :256], exact.upscale(frame[:96, :96])[:256, :256]) <= 2
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_what_a_window_takes_was_measured():
    """The bytes that the engine reckons with are those that it is seen to use, within a half."""
    up = fastsr.load("fast-x4", device="cuda", engine="torch", precision="fp16")
    network = up._generator.engine.network
    told = network.need(1, 512, 512)
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    network.prepare(1, 512, 512).run(torch.cuda.current_stream())
    torch.cuda.synchronize()
    used = torch.cuda.max_memory_allocated() - before
    assert 0.5 * used <= told <= 2 * used


def test_auto_is_the_gpu():
    up = fastsr.load("fast-x4")
    assert up.engine in ("tensorrt", "torch")
    assert up.precision != "fp32"
