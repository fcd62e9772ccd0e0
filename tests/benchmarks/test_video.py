"""The benchmark of videos: its loops make what they should, and what is left out is named."""

from fractions import Fraction

import numpy as np
import pytest
from support import ncnn_networks
from support.small_models import compact

pytest.importorskip("av", reason="PyAV is not installed")

from support import video_samples

from benchmarks import ncnn_peer, video, video_loops
from benchmarks.video_loops import OURS, Job, Peer
from fastsr.engines.native.engine import NativeEngine
from fastsr.network import onnx_reader

FRAME = np.random.default_rng(0).integers(0, 256, (24, 31, 3), np.uint8)


@pytest.fixture
def job(tmp_path):
    """Of 5 frames, of which 3 are wanted, with a small model."""
    model = compact(2, 4, 1, seed=3).save(tmp_path / "own.onnx")
    source = video_samples.video(tmp_path / "in.mp4", frames=5)
    rate = Fraction(video_samples.RATE)
    return Job(str(source), str(tmp_path / "out.mp4"), str(model), 2, 3, rate, "ultrafast")


def doubled(pixels):
    return pixels.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("make", [video_loops.ours, video_loops.pytorch, video_loops.onnx_runtime])
def test_ways_make_the_frames_that_are_asked_for(make, job):
    assert make(job)(FRAME).tolist() == [job.frames]
    made = video_samples.decoded(job.target)
    assert [(frame.width, frame.height) for frame in made] == [(96, 64)] * job.frames


def test_without_reuse_every_part_is_computed(job, monkeypatch):
    asked = []

    def for_stream(engine):
        asked.append(engine.reuses)
        return engine

    monkeypatch.setattr(NativeEngine, "for_stream", for_stream)
    for make in (video_loops.ours, video_loops.without_reuse):
        assert make(job)(FRAME).tolist() == [job.frames]
    assert asked == [True, False]
    assert NativeEngine.reuses


def test_loops_make_the_same_whether_they_overlap_or_not(job):
    made = []
    for ahead in (False, True):
        assert video_loops.looped(doubled, job, ahead)(FRAME).tolist() == [job.frames]
        made.append([frame.to_ndarray() for frame in video_samples.decoded(job.target)])
    np.testing.assert_array_equal(*made)
    seen = [frame.to_ndarray(format="rgb24").astype(int) for frame in video_samples.decoded(job.target)]
    assert np.abs(seen[2] - doubled(video_samples.frame_pixels(2))).mean() < 6


def test_a_pipe_gets_every_frame(job, tmp_path, monkeypatch):
    monkeypatch.setattr(video_loops, "READER", ("sh", "-c", f"cat > {tmp_path}/read.y4m"))
    assert video_loops.into_a_pipe(job)(FRAME).tolist() == [job.frames]
    header, *frames = (tmp_path / "read.y4m").read_bytes().split(b"FRAME\n")
    assert header.startswith(b"YUV4MPEG2 W96 H64 F25:1 ")
    assert [len(frame) for frame in frames] == [96 * 64 * 3 // 2] * job.frames


def test_tiles_by_openvino(tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr(video_loops, "TILE", 16)
    network = onnx_reader.read(compact(2, 4, 1, seed=3).save(tmp_path / "m.onnx"))
    made = video_loops.tiled(network.serialized, 2, threads=1)(FRAME)
    assert np.abs(made.astype(int) - NativeEngine(network, "fp32", None).run(FRAME)).max() <= 1


def test_networks_published_for_ncnn(tmp_path):
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    ncnn_networks.write(ncnn_networks.compact(), tmp_path, "model")
    files = (tmp_path / "model.param").read_bytes(), (tmp_path / "model.bin").read_bytes()
    from fastsr.importing import ncnn, ncnn_to_onnx

    model = ncnn_to_onnx.converted(ncnn.read(*files, "model"), "model").model
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    expected = NativeEngine(onnx_reader.read(tmp_path / "m.onnx"), "fp32", None).run(FRAME)
    assert np.abs(ncnn_peer.published(*files, 1)(FRAME).astype(int) - expected).max() <= 1


def counting(job):
    return lambda _: np.array([job.frames])


def short(job):
    return lambda _: np.array([job.frames - 1])


def crashing(job):
    raise SystemExit(3)


def test_what_is_left_out_is_named(job, monkeypatch):
    ways = {"a": Peer(counting), "b": Peer(counting, needs=("no_such_module",)), "c": Peer(short), "d": Peer(crashing)}
    monkeypatch.setattr(video, "WAYS", ways)
    runners, absent = video.started(dict.fromkeys(ways, job))
    for runner in runners.values():
        runner.close()
    assert list(runners) == ["a"]
    assert absent == [
        "b (no_such_module not installed)",
        "c (2 frames instead of 3)",
        "d (its process ended with status 3)",
    ]


def test_slow_ways_make_fewer_frames(monkeypatch):
    monkeypatch.setattr(video, "WAYS", {"slow": Peer(counting, 8), "fast": Peer(counting)})
    assert [video._of(name, frames) for name, frames in (("slow", 60), ("slow", 4), ("fast", 60))] == [8, 4, 60]


def test_table():
    result = {
        "model": "m",
        "size": [480, 270, 1920, 1080],
        "encoder": "x264 ultrafast crf 18",
        "frames": 60,
        "clip": "c.mp4",
        "frames_per_second": {"upscale alone": 40.0, OURS: 30.0, "a loop": 7.5},
        "times_as_fast_as": {"a loop": 4.0},
        "share_of_slower_stage": 0.75,
    }
    first, *_, ours, loop, _, last = video.table(result).splitlines()
    assert first == "480x270 -> 1920x1080, `m` in fp32, x264 ultrafast crf 18, 60 frames of `c.mp4`"
    assert ours == "| fastsr | 30.0 |  |"
    assert loop == "| a loop | 7.5 | 4.0x |"
    assert last == "fastsr reaches 75% of the speed of its slower stage (upscale or encode) alone."
