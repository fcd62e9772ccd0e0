"""Instructions a pixel of the CPU kernels: `python -m benchmarks.instruction_counts [--write] [CASE ...]`.

Times on a shared machine hide a slowdown of a few percent; counts do not vary. valgrind's callgrind counts what
`benchmarks.instruction_cases` runs, on one thread in AVX2, which is the widest set that valgrind knows. Each case runs
at two heights, and the difference is divided by the difference in pixels (of the frame before it is enlarged), so that
Python, checks of arguments and margins cancel.

Bounds stand in benchmarks/instruction_counts.toml, with the compiler they hold for; --write puts new ones there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from benchmarks.instruction_cases import CASES, MARKER, WIDTH, Run, plan
from fastsr import _core

ROOT = Path(__file__).parent.parent
BOUNDS = Path(__file__).with_suffix(".toml")
WRITE = "python -m benchmarks.instruction_counts --write"
TOLERANCE = 0.02
HEADER = f"""\
# Instructions a pixel of the frame before it is enlarged, on the AVX2 path: the bounds of `make test-slow`.
# Written by `{WRITE}`.
"""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What the counts may be, up to a share of `tolerance` more or less, for code made by `compiler`."""

    compiler: str
    tolerance: float
    instructions: dict[str, float]  # a pixel, by case


def read(path: Path = BOUNDS) -> Bounds:
    """The bounds in a file."""
    return Bounds(**tomllib.loads(path.read_text()))


def write(bounds: Bounds, path: Path = BOUNDS) -> None:
    """Write bounds as TOML."""
    lines = [f"compiler = {json.dumps(bounds.compiler)}", f"tolerance = {bounds.tolerance}", "", "[instructions]"]
    lines += [f"{json.dumps(name)} = {count}" for name, count in bounds.instructions.items()]
    path.write_text(HEADER + "\n".join(lines) + "\n")


def compiler() -> str:
    """What compiled the native module, as its ELF comment says, such as "GCC: (Debian 12.2.0-14) 12.2.0"."""
    found = re.findall(rb"(?:GCC: \([^)\0]*\) |clang version )[\w.+-]+", Path(_core.__file__).read_bytes())
    return ", ".join(sorted({text.decode() for text in found})) or "unknown"


def missing() -> str | None:
    """Why nothing can be counted here, or None."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed (Debian: apt-get install valgrind)"
    return None if "avx2" in _core.available_isas() else "this machine has no AVX2"


def count(names: list[str]) -> dict[str, float]:
    """Instructions a pixel of the named cases. Raises RuntimeError where valgrind fails."""
    environment = {
        **os.environ,
        "FASTSR_ISA": "avx2",
        "FASTSR_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "GLIBC_TUNABLES": "glibc.malloc.tcache_count=127",  # else what malloc takes depends on what was freed before
    }
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/counts", f"--dump-before={MARKER}"]
        command += [sys.executable, "-m", "benchmarks.instruction_cases", *names]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"valgrind ended with status {done.returncode}: {done.stderr[-2000:]}")
        return per_pixel(dict(zip(plan(names), totals(Path(folder), len(plan(names))), strict=True)))


def totals(folder: Path, runs: int) -> list[int]:
    """Instructions of each run, from the dumps counts.1, counts.2, ... of before and after it.

    Raises RuntimeError when there is another number of dumps.
    """
    dumps = len(list(folder.glob("counts.*")))
    if dumps != 2 * runs:
        raise RuntimeError(f"valgrind saw {dumps} calls of {MARKER}, not two for each of {runs} runs")
    found = [
        re.search(r"^totals: (\d+)", (folder / f"counts.{2 * i + 2}").read_text(), re.MULTILINE) for i in range(runs)
    ]
    return [int(total[1]) for total in found if total is not None]


def per_pixel(instructions: dict[Run, int]) -> dict[str, float]:
    """Instructions a pixel of each case, from those of its runs."""
    made = {}
    for name in dict.fromkeys(run.case for run in instructions):
        low, high = CASES[name].heights
        more = [
            instructions[Run(name, side, high)] - instructions[Run(name, side, low)]
            for side in range(len(CASES[name].sides()))
        ]
        made[name] = round((more[0] - sum(more[1:])) / (WIDTH * (high - low)), 2)
    return made


def compared(counts: dict[str, float], bounds: Bounds) -> list[str]:
    """What is wrong with counts, a sentence for each case."""
    wrong = []
    for name, counted in counts.items():
        bound = bounds.instructions.get(name)
        if bound is None:
            wrong.append(f"{name}: {counted:g} instructions a pixel, and no bound")
        elif abs(change := counted / bound - 1) > bounds.tolerance:
            than = f"{name}: {counted:g} instructions a pixel, {abs(change):.1%}"
            if change > 0:
                wrong.append(f"{than} more than its bound of {bound:g}")
            else:
                wrong.append(f"{than} less than its bound of {bound:g}: tighten it, or a slowdown could hide below it")
    return wrong


def table(counts: dict[str, float], bounds: Bounds | None) -> str:
    """Counts, and how they differ from their bounds, for reading."""
    lines = []
    for name, counted in counts.items():
        bound = bounds.instructions.get(name) if bounds is not None else None
        lines.append(f"{counted:12.2f}  {'' if bound is None else f'{counted / bound - 1:+.2%}':>8}  {name}")
    return "\n".join(lines)


def main() -> None:
    """Count and print; with --write also write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names, or parts of them; else all")
    parser.add_argument("--write", action="store_true", help="accept the counts as the new bounds")
    arguments = parser.parse_args()
    names = [name for name in CASES if not arguments.cases or any(part in name for part in arguments.cases)]
    if arguments.write and arguments.cases:
        parser.error("--write takes all cases: those left out would lose their bounds")
    if not names:
        parser.error(f"no such case; there are: {'; '.join(CASES)}")
    if (reason := missing()) is not None:
        raise SystemExit(reason)
    counts = count(names)
    bounds = read() if BOUNDS.exists() else None
    print(table(counts, bounds))
    if arguments.write:
        write(Bounds(compiler(), TOLERANCE, counts))
    elif bounds is not None and bounds.compiler != compiler():
        print(f"the bounds hold for {bounds.compiler}; this module was made by {compiler()}")
    elif bounds is not None and (wrong := compared(counts, bounds)):
        raise SystemExit("\n".join([*wrong, f"to accept: {WRITE}"]))


if __name__ == "__main__":
    main()
