"""`python -m fuzz`: run targets for a time, keep the cases at fault in build/fuzz and print the counts."""

import argparse
import sys
import time
from pathlib import Path

from fuzz import supervisor, target

KEPT = supervisor.ROOT / "build" / "fuzz"


def main() -> int:
    """Run; returns 1 if anything was at fault."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(target.NAMES)} (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default: 60)")
    parser.add_argument("--cases", type=int, default=0, help="so many for each target, whatever time they take")
    parser.add_argument("--first", type=int, help="seed of the first case (default: another each time)")
    parser.add_argument("--isa", help="instruction set (default: each of the machine in turn, where it matters)")
    parser.add_argument("--file", type=Path, help="run only this case, of the one target")
    arguments = parser.parse_args()
    wrong = set(arguments.targets) - set(target.NAMES)
    if wrong or (arguments.file and len(arguments.targets) != 1):
        parser.error(f"unknown: {', '.join(wrong)}" if wrong else "--file needs its target")
    first = int(time.time()) * 1000 if arguments.first is None else arguments.first
    faults = 0
    for name in arguments.targets or target.NAMES:
        missing = target.missing(name)
        if missing:
            print(f"{name}: left out, {', '.join(missing)} is not installed", flush=True)
            continue
        for isa in supervisor.instruction_sets(name) if arguments.isa is None else [arguments.isa]:
            if arguments.file:
                outcome = supervisor.run_kept(name, [arguments.file.absolute()], isa)
            elif arguments.cases:
                outcome = supervisor.run_made(name, first, arguments.cases, isa=isa)
            else:
                seconds = arguments.seconds / len(supervisor.instruction_sets(name))
                outcome = supervisor.run_made(name, first, seconds=seconds, isa=isa)
            print(f"{name}{f' on {isa}' if isa else ''}: {outcome.described()}", flush=True)
            for fault in outcome.faults:
                print(f"  kept as {fault.kept(KEPT / name)}", flush=True)
            faults += len(outcome.faults)
    print(f"first seed {first}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
