"""Reading ahead and writing behind: the order of results and messages, and how much is there at a time."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli_images import damaged, size, write_image
from support.command import tree

from fastsr import images
from fastsr.cli.background_io import Writer, read_ahead


def test_one_is_read_ahead():
    began = {}

    def read(item):
        began[item] = threading.current_thread() is threading.main_thread()
        return item * 2

    for item, reading in read_ahead(read, [1, 2, 3, 4, 5], lambda item: item != 4):
        timed = reading()
        assert (timed.value, timed.seconds >= 0) == (item * 2, True)
        expected = {1: 2, 2: 3, 3: 3, 4: 5, 5: 5}[item]  # the next, and no more
        end = time.monotonic() + 5
        while len(began) < expected and time.monotonic() < end:
            time.sleep(0.01)
        assert len(began) == expected
    assert began == {1: True, 2: False, 3: False, 4: True, 5: False}


def test_what_reading_raises_comes_when_it_is_asked_for():
    def read(item):
        if item == 2:
            raise ValueError("bad")
        return item

    seen = []
    for item, reading in read_ahead(read, [1, 2, 3], lambda _: True):
        try:
            seen.append(reading().value)
        except ValueError:
            seen.append(-item)
    assert seen == [1, -2, 3]


@pytest.mark.parametrize("threaded", [False, True])
def test_writes_are_told_of_in_order(threaded):
    writer, told, threads = Writer(threaded), [], set()

    def write(number):
        threads.add(threading.current_thread())
        if number == 3:
            raise ValueError("full")

    def tell(number, writing):
        assert threading.current_thread() is threading.main_thread()
        try:
            writing()
            told.append(number)
        except ValueError:
            told.append(-number)

    for number in range(6):
        writer.submit(lambda number=number: write(number), lambda writing, number=number: tell(number, writing))
        assert len(told) >= number
    writer.settle()
    assert told == [0, 1, 2, -3, 4, 5]
    assert (threading.main_thread() in threads) != threaded
    writer.close()


@pytest.mark.parametrize("fails", [False, True])
def test_what_was_written_is_told_of_when_the_run_ends_early(fails):
    writer, told, may_end = Writer(threaded=True), [], threading.Event()

    def write():
        may_end.wait()
        if fails:
            raise ValueError

    writer.submit(write, lambda writing: told.append(writing()))
    threading.Timer(0.2, may_end.set).start()
    writer.close()
    assert len(told) == (not fails)


@pytest.mark.usefixtures("here")
def test_results_and_faults_in_the_order_of_the_images(cli):
    names = []
    for number in range(9):
        name = f"in/{number}.{('png', 'jpg', 'tif')[number % 3]}"
        write_image(name, 40 + number, 30, seed=number)
        names.append(name)
    damaged("text").rename("in/4.jpg")
    damaged("truncated png").rename("in/6.png")
    code, out, err = cli("in", "-o", "out", "--json", "--scale", "2")
    assert code == 1
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["source"] for line in lines] == names
    assert [line["status"] for line in lines] == ["made"] * 4 + ["failed", "made", "failed", "made", "made"]
    assert all(line["seconds"] > 0 for line in lines if line["status"] == "made")
    assert err.index("4.jpg") < err.index("6.png")
    assert {name: size(f"out/{name}") for name in tree("out")} == {
        name.removeprefix("in/"): (2 * (40 + number), 60) for number, name in enumerate(names) if number not in (4, 6)
    }


@pytest.mark.usefixtures("here")
def test_two_results_are_held_at_most(cli, monkeypatch, model):
    alive, most = 0, []
    lock = threading.Lock()
    write = images.write

    def counted(image, frames, *arguments, **options):
        nonlocal alive
        with lock:
            most.append(alive)
        write(image, frames, *arguments, **options)
        with lock:
            alive -= 1

    read = images.read

    def kept(source, **options):
        nonlocal alive
        image = read(source, **options)
        with lock:
            alive += 1
        return image

    monkeypatch.setattr(images, "write", counted)
    monkeypatch.setattr(images, "read", kept)
    for number in range(12):
        write_image(f"in/{number:02}.jpg", 30, 30, seed=number)
    assert cli("in", "-o", "out", "--model", model)[0] == 0
    assert len(most) == 12
    assert max(most) <= 3  # one written, one enlarged, one read ahead


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_compress(cli, model, kind):
    Image.fromarray(np.tile(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8), (4, 5, 1))).save("in.png")
    assert cli("in.png", "-o", f"plain.{kind}", "--model", model)[0] == 0
    assert cli("in.png", "-o", f"small.{kind}", "--model", model, "--compress")[0] == 0
    plain, small = (np.asarray(Image.open(f"{name}.{kind}")) for name in ("plain", "small"))
    np.testing.assert_array_equal(small, plain)
    sizes = [Path(f"{name}.{kind}").stat().st_size for name in ("small", "plain")]
    assert sizes[0] < sizes[1]


@pytest.mark.usefixtures("here")
def test_a_large_result_is_written_by_bands(cli, model, monkeypatch):
    monkeypatch.setattr("fastsr.engines.native.engine.BAND_BYTES", 20000)
    write_image("in.png", 60, 300)
    for scale in ("2", "3"):
        for kind in ("png", "tif", "bmp"):
            assert cli("in.png", "-o", f"out-{scale}.{kind}", "--model", model, "--scale", scale)[0] == 0
        whole = np.asarray(Image.open(f"out-{scale}.bmp"))
        for kind in ("png", "tif"):
            np.testing.assert_array_equal(np.asarray(Image.open(f"out-{scale}.{kind}")), whole)
