"""Ray clusters on this machine for tests: small nodes on loopback, with tokens and without usage statistics."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef" * 3
STORE = 80 << 20  # bytes of each node's object store


def environment(home):
    """What nodes, workers and drivers of a test cluster run with."""
    packages = [str(ROOT), str(ROOT / "tests"), *(path for path in sys.path if "site-cluster" in path)]
    return {
        "HOME": str(home),
        "FASTSR_CACHE": str(home / "cache"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_raylet_start_wait_time_s": "60",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
        "PYTHONPATH": os.pathsep.join(packages),
        "OMP_NUM_THREADS": "1",
    }


@contextlib.contextmanager
def cluster(**head):
    """A cluster with its head, whose options these are; more nodes are added with `add`."""
    from ray.cluster_utils import Cluster

    options = {"object_store_memory": STORE, "include_dashboard": False, **head}
    made = patient(lambda: Cluster(initialize_head=True, head_node_args=options))
    try:
        yield made
    finally:
        made.shutdown()


def add(made, **options):
    """Another node."""
    return patient(lambda: made.add_node(object_store_memory=STORE, **options))


def patient(start):
    """Start a node, once more where a busy machine took longer than Ray waits for it."""
    for left in (2, 1, 0):
        try:
            return start()
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise


@contextlib.contextmanager
def node_apart(address, hidden, cpus=1):
    """A node that does not see a folder of this machine: it has an empty one of its own there."""
    script = f"mount -t tmpfs none {hidden} && exec {sys.executable} -m ray.scripts.scripts start --address={address}"
    options = f"--num-cpus={cpus} --object-store-memory={STORE} --block"
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", f"{script} {options}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def driver(*arguments, code=None):
    """The command, or Python code, as its own process, where Ctrl-C works even if the tests run in the background."""
    default = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    program = ["-m", "fastsr"] if code is None else ["-c", code]
    command = [sys.executable, *program, *map(str, arguments)]
    return subprocess.Popen(
        command, preexec_fn=default, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(condition, seconds=60):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.05)
