"""Segments of a video made one by one, in any order, by stand-ins for workers: the bytes are those of one machine."""

import contextlib
import random

import pytest
from support.video_samples import video

import fastsr
from fastsr.cluster.worker import Place, done
from fastsr.errors import VideoError
from fastsr.video import cluster_segments
from fastsr.video.frame import PlannedFrame, ResumePoint
from fastsr.video.segment_plan import planned_segments

OPTIONS = {"model": "bicubic", "scale": 2, "segment": 6}


class Worker:
    place = Place(threads=1, share=1.0, gpu=False)

    def __init__(self):
        self.kept = {}

    def content(self, digest):
        raise AssertionError("bicubic has no file")


class Workers:
    """Does tasks in this process, in any order; notes which."""

    def __init__(self, seed=0):
        self.begun, self.stop_after = [], 1 << 30
        self._drawn = random.Random(seed)

    def run(self, tasks):
        tasks = list(tasks)
        self._drawn.shuffle(tasks)
        for task in tasks:
            if len(self.begun) >= self.stop_after:
                raise KeyboardInterrupt
            self.begun.append(task.planned.index)
            yield task, done(task.work("node")[0], Worker()), "host/1"


@pytest.fixture
def workers(monkeypatch):
    """Stand-ins for a cluster's, with seeds 0, 1, ..."""
    made = Workers()

    @contextlib.contextmanager
    def pool(choice, contents):
        yield made

    monkeypatch.setattr(cluster_segments, "segment_pool", pool)
    return made


def compared(source, folder, workers, **options):
    """Make a video both ways; what came of the second."""
    options = {**OPTIONS, **options}
    one = fastsr.upscale_video(source, folder / "one.mp4", **options)
    many = fastsr.upscale_video(source, folder / "many.mp4", cluster="none", **options)
    assert (many.frames, many.repeated) == (one.frames, one.repeated)
    assert (folder / "many.mp4").read_bytes() == (folder / "one.mp4").read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == sorted({source.name, "one.mp4", "many.mp4"})
    return many


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("keys", [4, 9, 250])
def test_the_same_bytes_in_any_order(tmp_path, workers, keys, seed):
    source = video(tmp_path / "in.mp4", 40, options={"g": str(keys)}, sound=True)
    workers._drawn.seed(seed)
    compared(source, tmp_path, workers)
    assert len(workers.begun) == len(set(workers.begun)) >= 4


@pytest.mark.parametrize(
    "options",
    [
        {"start": 0.3, "end": 1.1},
        {"fps_limit": 10},
        {"codec": "hevc", "size": (128, 96)},
        {"segment": 1},
        {"segment": 100},
    ],
)
def test_the_same_bytes_with_options(tmp_path, workers, options):
    source = video(tmp_path / "in.mp4", 40, options={"g": "7"})
    compared(source, tmp_path, workers, **{**options, "scale": None if "size" in options else 2})


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_the_same_bytes_of_other_containers(tmp_path, workers, suffix):
    source = video(tmp_path / f"in.{suffix}", 40, options={"g": "8", "bf": "0" if suffix == "avi" else "2"})
    compared(source, tmp_path, workers)


def test_uneven_times_and_equal_frames(tmp_path, workers):
    times = [n * 512 + (n % 3) * 100 for n in range(40)]
    source = video(tmp_path / "in.mp4", 40, times=times, options={"g": "8"})
    compared(source, tmp_path, workers)


def test_interlaced(tmp_path, workers):
    source = video(tmp_path / "in.mp4", 40, options={"g": "8", "flags": "+ilme+ildct"}, interlaced=True)
    compared(source, tmp_path, workers, deinterlace=True)


def test_a_plan_that_is_wrong_costs_time_alone(tmp_path, workers, monkeypatch):
    source = video(tmp_path / "in.mp4", 40, options={"g": "8"})
    real = cluster_segments.planned_segments

    def wrong(frames, length, resume):
        """Keys where there are none."""
        moved = [PlannedFrame(f.pts, n % 8 == 3, f.decode_from) for n, f in enumerate(frames)]
        return real(moved, length, resume)

    monkeypatch.setattr(cluster_segments, "planned_segments", wrong)
    compared(source, tmp_path, workers)
    assert len(workers.begun) > 5


def test_a_run_that_was_stopped_goes_on(tmp_path, workers):
    source = video(tmp_path / "in.mp4", 60, options={"g": "6"})
    workers.stop_after = 6
    with pytest.raises(KeyboardInterrupt):
        fastsr.upscale_video(source, tmp_path / "many.mp4", cluster="none", **OPTIONS)
    begun, workers.stop_after = list(workers.begun), 1 << 30
    seen = []
    compared(source, tmp_path, workers, progress=seen.append)
    assert not set(begun) & set(workers.begun[len(begun) :])
    assert seen[-1].frames == 60


def test_one_machine_goes_on_where_many_were_stopped(tmp_path, workers):
    source = video(tmp_path / "in.mp4", 60, options={"g": "6"})
    workers.stop_after = 7
    with pytest.raises(KeyboardInterrupt):
        fastsr.upscale_video(source, tmp_path / "many.mp4", cluster="none", **OPTIONS)
    fastsr.upscale_video(source, tmp_path / "many.mp4", **OPTIONS)
    fastsr.upscale_video(source, tmp_path / "one.mp4", **OPTIONS)
    assert (tmp_path / "many.mp4").read_bytes() == (tmp_path / "one.mp4").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "many.mp4", "one.mp4"]


def test_a_worker_that_sees_another_file_is_sent_this_one(tmp_path, workers, monkeypatch):
    source = video(tmp_path / "in.mp4", 20, options={"g": "6"})
    asked = []

    class Received:
        def __init__(self, blocks, name):
            asked.append((blocks, name))
            self.path = source

    class Sent:
        blocks = ("content",)

        def __init__(self, path):
            pass

    monkeypatch.setattr("fastsr.video.segment_work.ReceivedFile", Received)
    monkeypatch.setattr("fastsr.video.cluster_segments.SentFile", Sent)
    monkeypatch.setattr("fastsr.video.segment_work.identity", lambda path: None)
    run = workers.run

    def again(tasks):
        for task, came, name in run(tasks):
            settled = task.settled(came, "node")
            while settled is None:
                settled = task.settled(done(task.work("node")[0], Worker()), "node")
            yield task, settled, name

    monkeypatch.setattr(workers, "run", again)
    compared(source, tmp_path, workers)
    assert asked[0] == (("content",), "in.mp4")


@pytest.mark.parametrize("options", [{"preview": True}, {"dst": "-"}, {"dst": "out/%03d.png"}])
def test_what_only_one_machine_makes(tmp_path, workers, options, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = video(tmp_path / "in.mp4", 3)
    target = options.pop("dst", "out.mp4")
    with pytest.raises(VideoError, match="a cluster makes videos from file to file"):
        fastsr.upscale_video(source, target, cluster="none", **options)


def frames_of(keys, count):
    return [PlannedFrame(100 * n, n in keys, 100 * n) for n in range(count)]


def test_the_plan_follows_the_rule_of_the_encoder():
    planned = planned_segments(frames_of({0, 5, 12, 40}, 50), 10, None)
    assert [segment.index for segment in planned] == [0, 12, 32]
    assert planned[0].exact is None


def test_a_plan_from_the_middle():
    resume = ResumePoint(12, 1200, 7)
    planned = planned_segments(frames_of({0, 5, 12, 40}, 60), 10, resume)
    assert [(s.index, s.first.pts, s.exact) for s in planned] == [
        (12, 1200, resume),
        (32, 3200, None),
        (52, 5200, None),
    ]
    assert planned_segments(frames_of({0}, 10), 10, ResumePoint(5, 512, 7)) == []
