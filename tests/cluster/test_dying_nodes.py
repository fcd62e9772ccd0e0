"""Machines that die while they work: their tasks are done elsewhere, and nothing else is done again."""

import random

import pytest
from support import ray_cluster
from support.cluster_tasks import NumberTask

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
