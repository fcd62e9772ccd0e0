"""Runs cases of one target: `python -m fuzz.worker`. A case that crashes or hangs ends this process.

Where it is stands in FOLDER/state (`shared_state`), so that whoever started this process knows where it ended. Faults
that leave the process alive are appended to FOLDER/faults as lines of JSON.
"""

import argparse
import faulthandler
import gc
import json
import os
import random
import resource
import shutil
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

from fuzz.shared_state import SharedState
from fuzz.target import Target, load

SPARE = 2 << 30  # bytes of address space beyond what a case may take: stacks, reserved and unused
SLOWER = 4  # times, under a sanitizer
SANITIZED = "ASAN_OPTIONS" in os.environ


def main() -> None:
    """Run cases until all are done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    parser.add_argument("--cases", type=int, default=0, help="so many made ones")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="cases kept as files, instead of made ones")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    faulthandler.enable()  # tells where a crash was, and a hang, which is ended by SIGABRT
    target = load(arguments.target)
    cases = _kept(arguments.files) if arguments.files else _made(target, arguments)
    run_all(target, arguments.folder, cases)


def _kept(files: list[Path]) -> Iterator[tuple[int, bytes]]:
    yield from enumerate(path.read_bytes() for path in files)


def _made(target: Target, arguments: argparse.Namespace) -> Iterator[tuple[int, bytes]]:
    for seed in range(arguments.first, arguments.first + arguments.cases):
        yield seed, target.make(random.Random(f"{arguments.target} {seed}"))


def run_all(target: Target, folder: Path, cases: Iterator[tuple[int, bytes]]) -> None:
    """Run cases one after the other and write down what becomes of them."""
    scratch = folder / "scratch"
    scratch.mkdir()
    state = SharedState(folder)
    state.seconds = target.seconds * (SLOWER if SANITIZED else 1)
    for seed, content in cases:
        if not state.started:  # after the first case was made, for which a target may load and prepare much
            _limit_address_space(target)
        state.begin(seed, content)
        before = _reset_peak()
        fault, ending = None, "accepted"
        try:
            target.run(content, scratch)
        except target.refusals as error:
            ending = "refused"
            if MemoryError not in target.refusals and _out_of_memory(error):
                fault = ("memory", _signature(error), traceback.format_exc())
        except Exception as error:
            fault = ("error", _signature(error), traceback.format_exc())
        taken = (_peak() - before) >> 20
        if fault is None and taken > target.megabytes * (SLOWER if SANITIZED else 1):
            fault = ("memory", f"over {target.megabytes} MB", f"{taken} MB were taken")
        if fault is None:
            state.accepted += ending == "accepted"
            state.refused += ending == "refused"
        else:
            with (folder / "faults").open("a") as file:
                file.write(json.dumps({"content": content.hex(), "fault": fault}) + "\n")
            gc.collect()
        state.save()
        for path in scratch.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    state.done = True
    state.save()


def _limit_address_space(target: Target) -> None:
    """Let what would take all memory fail; a sanitizer needs the whole address space for itself."""
    if SANITIZED:
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (target.megabytes << 20) + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether a documented error says that memory ran out, which no small file may cause."""
    told, behind = "memory" in str(error), error
    while behind is not None and not isinstance(behind, MemoryError):
        behind = behind.__cause__ or behind.__context__
    return told and behind is not None


def _signature(error: BaseException) -> str:
    """What tells faults apart: the kind of error, and the last line of fastsr that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/fastsr/" in f.filename or "/training/" in f.filename] or list(frames)
    return f"{type(error).__name__} {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def _reset_peak() -> int:
    """Bytes in memory now; the peak counts from here on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # a kernel or sandbox without it: the peak of all cases so far is what there is
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    sys.exit(main())
