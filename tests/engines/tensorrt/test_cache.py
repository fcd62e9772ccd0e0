"""Engines on disk: built once among threads and processes, whole or not at all, and never wrong."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastsr import files
from fastsr.engines.tensorrt import cache, engine_file
from fastsr.errors import EngineError

ASKED = {"model": "abc", "precision": "fp16", "profile": [[1, 16, 16], [1, 64, 64], [4, 128, 128]], "version": "1.7"}
ENGINE = bytes(range(256)) * 5


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty cache; a warning is a failure unless a test asks for it."""
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield tmp_path / "cache"


class Build:
    """Counts how often it is asked."""

    def __init__(self, engine=ENGINE, seconds=0.0):
        self.engine, self.seconds, self.calls = engine, seconds, 0
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.calls += 1
        time.sleep(self.seconds)
        return self.engine


def kept(place):
    return sorted(p.suffix for p in place.iterdir())


def test_an_engine_is_built_once(place):
    build = Build()
    for _ in range(3):
        assert cache.cached(ASKED, build) == ENGINE
    assert build.calls == 1
    assert kept(place) == [".engine", ".lock"]


@pytest.mark.parametrize(
    "change",
    [{"model": "abd"}, {"precision": "int8"}, {"version": "1.8"}, {"profile": [[1, 16, 16]] * 3}, {"gpu": None}],
)
def test_all_that_it_depends_on_is_in_its_key(change):
    assert cache.key(ASKED | change) != cache.key(ASKED)
    cache.cached(ASKED, Build())
    other = Build(b"other")
    assert cache.cached(ASKED | change, other) == b"other"
    assert cache.cached(ASKED, Build(b"wrong")) == ENGINE


def test_the_key_is_that_of_the_values_not_of_their_order():
    assert cache.key(dict(reversed(ASKED.items()))) == cache.key(ASKED)
    assert len(cache.key(ASKED)) == 64


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("FASTSR_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert cache.folder() == Path("/a")
    monkeypatch.setenv("FASTSR_CACHE", "")
    assert cache.folder() == Path("/b/fastsr")
    monkeypatch.setenv("XDG_CACHE_HOME", "b")
    assert cache.folder() == Path("/c/.cache/fastsr")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path("/c/.cache/fastsr")


descriptions = st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text() | st.lists(st.integers()))


@given(descriptions, st.binary(max_size=200))
def test_a_file_gives_back_what_was_put_in(description, engine):
    assert engine_file.unpack(engine_file.pack(description, engine)) == (description, engine)


@given(st.data())
def test_any_change_to_a_file_is_noticed(data):
    whole = engine_file.pack(ASKED, ENGINE)
    kind = data.draw(st.sampled_from(["flip", "cut", "grow"]))
    if kind == "flip":
        place, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
        changed = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
    elif kind == "cut":
        changed = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        changed = whole + data.draw(st.binary(min_size=1, max_size=9))
    with pytest.raises(EngineError, match="build it anew"):
        engine_file.unpack(changed)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_file_is_built_anew(place, data):
    cache.cached(ASKED, Build())
    path = place / f"{cache.key(ASKED)}.engine"
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(data.draw(st.sampled_from([whole[:at], whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]])))
    build = Build()
    assert cache.cached(ASKED, build) == ENGINE
    assert build.calls == 1
    assert path.read_bytes() == whole


def test_a_file_that_holds_another_engine_is_built_anew(place):
    cache.cached(ASKED, Build())
    path = place / f"{cache.key(ASKED)}.engine"
    engine_file.write(path, ASKED | {"version": "0"}, b"stale")
    build = Build()
    assert cache.cached(ASKED, build) == ENGINE
    assert build.calls == 1


def size_of(place):
    return sum(p.stat().st_size for p in place.iterdir())


def test_what_was_used_longest_ago_makes_room(place, monkeypatch):
    several = [ASKED | {"model": str(i)} for i in range(4)]
    for i, asked in enumerate(several[:3]):
        cache.cached(asked, Build())
        cache.keep_kernels(asked, b"k" * 10)
        for suffix in (".engine", ".kernels"):
            os.utime((place / cache.key(asked)).with_suffix(suffix), (i, i))
    (place / "notes.txt").write_bytes(b"not ours" * 999)
    cache.cached(several[0], Build(b"never"))  # used now, so the second is the oldest
    monkeypatch.setattr(cache, "LIMIT", size_of(place) - len(b"not ours" * 999) + 20)
    cache.cached(several[3], Build())
    left = {i for i, asked in enumerate(several) if (place / f"{cache.key(asked)}.engine").exists()}
    assert left == {0, 2, 3}
    assert (place / "notes.txt").exists()
    monkeypatch.setattr(cache, "LIMIT", 0)
    cache.cached(several[1], Build())
    assert [p.stem for p in place.glob("*.engine")] == [cache.key(several[1])]  # the new one stays


def test_kernels_are_kept_beside_their_engine_and_forgotten_with_it(place):
    assert cache.kernels(ASKED) is None
    cache.cached(ASKED, Build())
    cache.keep_kernels(ASKED, b"compiled")
    assert cache.kernels(ASKED) == b"compiled"
    assert cache.kernels(ASKED | {"version": "0"}) is None
    cache.forget(ASKED)
    assert kept(place) == [".lock"]
    cache.forget(ASKED)


def test_kernels_that_cannot_be_kept_cost_nothing(place):
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"a file, not a folder")
    cache.keep_kernels(ASKED, b"compiled")
    assert cache.kernels(ASKED) is None


def test_threads_build_once():
    build = Build(seconds=0.2)
    made = []
    threads = [threading.Thread(target=lambda: made.append(cache.cached(ASKED, build))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [ENGINE] * 8
    assert build.calls == 1


def test_different_engines_do_not_wait_for_each_other():
    inside, leave = threading.Event(), threading.Event()

    def slow():
        inside.set()
        assert leave.wait(20)
        return ENGINE

    thread = threading.Thread(target=cache.cached, args=(ASKED, slow))
    thread.start()
    assert inside.wait(20)
    assert cache.cached(ASKED | {"model": "b"}, Build(b"b")) == b"b"
    leave.set()
    thread.join()


def _process(log, seconds):
    def build():
        with open(log, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(seconds)
        return ENGINE

    sys.exit(cache.cached(ASKED, build) != ENGINE)


def test_processes_build_once(tmp_path):
    spawn = multiprocessing.get_context("fork")
    processes = [spawn.Process(target=_process, args=(tmp_path / "log", 0.5)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [p.exitcode for p in processes] == [0] * 4
    assert len((tmp_path / "log").read_text().splitlines()) == 1


KILLED = """
import sys, time
from fastsr.engines.tensorrt import cache, engine_file

def half(path, data, temporary=None):
    temporary.write_bytes(data[:len(data) // 2])
    print("half", flush=True)
    time.sleep(60)

def build():
    print("building", flush=True)
    if sys.argv[1] == "building":
        time.sleep(60)
    return bytes(range(256)) * 5

engine_file.files.replace = half
cache.cached(eval(sys.argv[2]), build)
"""


@pytest.mark.parametrize("moment", ["building", "half"])
def test_a_process_that_is_killed_leaves_no_lock_and_no_half_file(moment, place):
    process = subprocess.Popen([sys.executable, "-c", KILLED, moment, repr(ASKED)], stdout=subprocess.PIPE, text=True)
    try:
        while process.stdout.readline().strip() != moment:
            assert process.poll() is None
        waiting = Build()
        thread = threading.Thread(target=cache.cached, args=(ASKED, waiting))
        thread.start()
        time.sleep(0.1)
        assert waiting.calls == 0  # it waits for the other process
        assert not (place / f"{cache.key(ASKED)}.engine").exists()
        process.send_signal(signal.SIGKILL)
        thread.join(20)
        assert waiting.calls == 1
    finally:
        process.kill()
        process.communicate()
    assert cache.cached(ASKED, Build(b"wrong")) == ENGINE
    assert kept(place) == [".engine", ".lock"]


def test_a_build_that_fails_leaves_nothing_and_frees_the_lock(place):
    def fails():
        raise EngineError("cannot be built")

    for _ in range(2):
        with pytest.raises(EngineError, match="cannot be built"):
            cache.cached(ASKED, fails)
    assert kept(place) == [".lock"]
    assert cache.cached(ASKED, Build()) == ENGINE


def test_an_error_of_the_build_is_not_taken_for_one_of_the_cache():
    def fails():
        raise FileNotFoundError("of the builder's own")

    with pytest.raises(FileNotFoundError, match="own"):
        cache.cached(ASKED, fails)


def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FASTSR_CACHE", str(tmp_path / "file" / "cache"))
    build = Build()
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="cannot be kept for next time.*set FASTSR_CACHE"):
            assert cache.cached(ASKED, build) == ENGINE
    assert build.calls == 2


def test_a_full_disk_costs_a_warning(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "replace", full)
    build = Build()
    with pytest.warns(RuntimeWarning, match="No space left"):
        assert cache.cached(ASKED, build) == ENGINE
    assert build.calls == 1
    assert kept(place) == [".lock"]


def test_a_fork_while_the_lock_is_held_does_not_hold_it_on(place):
    def forks():
        global child
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        return ENGINE

    cache.cached(ASKED, forks)
    try:
        (place / f"{cache.key(ASKED)}.engine").unlink()
        build = Build()
        thread = threading.Thread(target=cache.cached, args=(ASKED, build), daemon=True)
        thread.start()
        thread.join(10)
        assert build.calls == 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_reading_a_file_names_it(tmp_path):
    with pytest.raises(EngineError, match=r"none\.engine: cannot be read \(No such file"):
        engine_file.read(tmp_path / "none.engine")
    (tmp_path / "odd.engine").write_bytes(b"something else")
    with pytest.raises(EngineError, match=r"odd\.engine: is not an engine file"):
        engine_file.read(tmp_path / "odd.engine")
    whole = engine_file.pack(ASKED, ENGINE)
    (tmp_path / "cut.engine").write_bytes(whole[:-1])
    with pytest.raises(EngineError, match=r"cut\.engine: is damaged or cut short"):
        engine_file.read(tmp_path / "cut.engine")


def test_replacing_goes_through_links_and_takes_away_what_failed(tmp_path, monkeypatch):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    files.replace(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="not a plain file"):
        files.replace(tmp_path / "folder", b"new")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        files.replace(tmp_path / "real", b"newer")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link", "real"]
