"""Machines that die while they work: their tasks are done elsewhere, and nothing else is done again."""

import random
import threading
from pathlib import Path

import pytest
from support import ray_cluster
from support.cli_images import write_image
from support.cluster_tasks import NumberTask
from support.command import files

import fastsr

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(3))
def test_nodes_that_are_killed_cost_their_tasks_alone(surroundings, tmp_path, seed):
    from fastsr.cluster.connection import Connection
    from fastsr.cluster.pool import Pool, Size

    chosen, log = random.Random(seed), tmp_path / "log"
    with ray_cluster.cluster(num_cpus=1) as made:
        others = [ray_cluster.add(made, num_cpus=1) for _ in range(2)]
        tasks = [NumberTask(n, log, seconds=0.4, size=1 << 20) for n in range(24)]
        kill_at, results = chosen.randrange(1, 12), []
        with Connection(made.address) as connection, Pool(connection, Size(1, 1), {}) as pool:
            for count, (task, done, _) in enumerate(pool.run(tasks)):
                results.append((task.name, done.value[0]))
                if count == kill_at:
                    made.remove_node(others[chosen.randrange(2)], allow_graceful=False)
    assert sorted(results) == sorted((f"number {n}", n * n) for n in range(24))
    begun = [int(line.split()[0]) for line in log.read_text().splitlines()]
    assert len(begun) - 24 <= 3  # what the node was given: one task at work, one ahead


def test_a_folder_and_a_film_while_a_node_is_killed(surroundings, tmp_path, monkeypatch):
    pytest.importorskip("av", reason="PyAV is not installed")
    from support.video_samples import video

    monkeypatch.chdir(tmp_path)
    pairs = {}
    for number in range(12):
        pairs[write_image(f"in/{number}.png", 120, 90, seed=number)] = Path(f"many/{number}.png")
    video(tmp_path / "in.mp4", 60, options={"g": "5"}, sound=True)
    killing = []
    with ray_cluster.cluster(num_cpus=1) as made:
        others = [ray_cluster.add(made, num_cpus=1) for _ in range(2)]

        def kill(_):
            """One node, with the first result that comes."""
            if not killing:
                killing.append(threading.Thread(target=made.remove_node, args=(others.pop(), False)))
                killing[0].start()

        results = fastsr.upscale_many(pairs, cluster=made.address, model="photo-x4", progress=kill)
        killing[0].join()
        killing.clear()
        options = {"model": "fast-x2", "segment": 5}
        fastsr.upscale_video("in.mp4", "many.mp4", cluster=made.address, progress=kill, **options)
        killing[0].join()
    assert [result.error for result in results] == [None] * 12
    fastsr.upscale_many({source: f"alone/{source.name}" for source in pairs}, model="photo-x4", device="cpu")
    for name in files("alone"):
        assert Path("many", name).read_bytes() == Path("alone", name).read_bytes()
    fastsr.upscale_video("in.mp4", "alone.mp4", **options)
    assert Path("many.mp4").read_bytes() == Path("alone.mp4").read_bytes()
