"""How much memory is free, read from trees like the kernel's."""

import pytest

from fastsr.available_memory import available


def tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MACHINE = {"proc/meminfo": "MemTotal: 8000 kB\nMemAvailable:    4000 kB\n"}
V2 = {"proc/self/cgroup": "0::/a/b\n"}
V1 = {"proc/self/cgroup": "5:cpu:/a\n4:memory:/a\n"}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        (MACHINE, 4000 * 1024),
        (MACHINE | V2, 4000 * 1024),
        (MACHINE | V2 | {"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "9\n"}, 4096000),
        (
            MACHINE
            | V2
            | {
                "sys/fs/cgroup/a/memory.max": "1000\n",
                "sys/fs/cgroup/a/memory.current": "700\n",
                "sys/fs/cgroup/a/memory.stat": "anon 5\ninactive_file 50\n",
                "sys/fs/cgroup/a/b/memory.max": "900\n",
                "sys/fs/cgroup/a/b/memory.current": "100\n",
            },
            350,
        ),
        (MACHINE | V2 | {"sys/fs/cgroup/memory.max": "100\n", "sys/fs/cgroup/memory.current": "700\n"}, 0),
        (
            MACHINE
            | V1
            | {
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000\n",
                "sys/fs/cgroup/memory/a/memory.usage_in_bytes": "400\n",
                "sys/fs/cgroup/memory/a/memory.stat": "total_inactive_file 30\n",
            },
            630,
        ),
        (MACHINE | {"proc/self/cgroup": "odd\n\n::\n"}, 4096000),
    ],
)
def test_the_least_of_machine_and_groups(tmp_path, files, free):
    assert available(tree(tmp_path, files)) == free


def test_this_machine_tells():
    assert available() > 1 << 20
