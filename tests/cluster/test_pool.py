"""Workers that die, and what kills them: only their own tasks are done again, and the rest goes on."""

import pytest
from support.cluster_tasks import NumberTask

from fastsr.errors import ImageError

pytestmark = pytest.mark.slow


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.touch()
    return path


def run(address, tasks, **options):
    """What came of the tasks, by name."""
    from fastsr.cluster.connection import Connection
    from fastsr.cluster.pool import Pool, Size

    with Connection(address) as connection, Pool(connection, Size(1, 1), {}, **options) as pool:
        made = list(pool.run(tasks))
    assert len({task.name for task, _, _ in made}) == len(made)
    return {task.name: done for task, done, _ in made}


def test_all_workers_take_part(three_nodes, log):
    made = run(three_nodes.address, [NumberTask(n, log, fault="meet", size=1 << 20) for n in range(12)])
    assert {name: done.value[0] for name, done in made.items()} == {f"number {n}": n * n for n in range(12)}
    assert len({done.value[1] for done in made.values()}) == 3


def test_what_kills_its_worker_three_times_is_reported(three_nodes, log):
    tasks = [NumberTask(n, log, fault="kill" if n == 5 else "") for n in range(30)]
    made = run(three_nodes.address, tasks)
    poisoned = made.pop("number 5")
    assert "number 5: 3 workers died" in str(poisoned.error)
    assert [done.error for done in made.values()] == [None] * 29
    begun = [int(line.split()[0]) for line in log.read_text().splitlines()]
    assert 3 <= begun.count(5) <= 4  # once more where it was handed out together with others


def test_errors_come_back_as_they_were_raised(three_nodes, log):
    tasks = [NumberTask(1, log, fault="raise"), NumberTask(2, log, fault="odd error"), NumberTask(3, log)]
    made = run(three_nodes.address, tasks)
    assert isinstance(made["number 1"].error, ImageError)
    assert str(made["number 1"].error) == "is odd"
    assert "KeyError: 'x'" in str(made["number 2"].error)
    assert made["number 3"].value[0] == 9
