"""Starts workers, watches how they end, and keeps the cases that are at fault."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from support import sanitizers

from fuzz.shared_state import SharedState
from fuzz.target import NATIVE

ROOT = Path(__file__).parents[2]
BATCH = 2000  # cases of one worker, after which memory that libraries keep is given back
MOST_FAULTS = 20  # of one run; then it stops
TOLD = 3000  # characters of a report
POLL = 0.1  # seconds between looks at a worker
IDLE = 10  # times as long may a case take that computes little, as on a machine that others keep busy
START = 900  # seconds until the first case, at most
MEMORY = Path("/dev/shm")  # a file system in memory, where there is one


@dataclasses.dataclass(frozen=True)
class Fault:
    """A case that did not end as it should.

    Attributes:
        kind: "crash", "hang", "memory" (more than the target may take) or "error" (one that is not documented).
        signature: what it has in common with other cases of the same fault.
        content: the case.
        report: traceback or what the process said.

    """

    kind: str
    signature: str
    content: bytes = dataclasses.field(repr=False)
    report: str = dataclasses.field(repr=False)

    def kept(self, folder: Path) -> Path:
        """Write the case, and the report beside it; returns the case's file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / hashlib.sha256(self.content).hexdigest()[:12]
        path.write_bytes(self.content)
        path.with_suffix(".txt").write_text(f"{self.kind}: {self.signature}\n\n{self.report}\n")
        return path


@dataclasses.dataclass
class Outcome:
    """What became of the cases of one target."""

    accepted: int = 0
    refused: int = 0
    faults: list[Fault] = dataclasses.field(default_factory=list)

    @property
    def cases(self) -> int:
        """How many were run."""
        return self.accepted + self.refused + len(self.faults)

    def described(self) -> str:
        """A line of counts and one for each fault."""
        counts = f"{self.cases} cases, {self.accepted} accepted, {self.refused} refused, {len(self.faults)} at fault"
        return "\n".join([counts, *(f"  {f.kind}: {f.signature}" for f in self.faults)])


@functools.cache
def instruction_sets(target: str) -> tuple[str | None, ...]:
    """Those that are worth a run of a target; None is the machine's best."""
    if target not in NATIVE:
        return (None,)
    code = "from fastsr import _core; print(*_core.available_isas())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=_environment(None), capture_output=True, text=True, check=True)
    return tuple(done.stdout.split())


def run_made(target: str, first: int, cases: int = 0, seconds: float = 0, isa: str | None = None) -> Outcome:
    """Run `cases` cases of a target, or as many as `seconds` allow, from seed `first` on."""
    outcome, seed, taken = Outcome(), first, 0.0
    while (taken < seconds if seconds else seed < first + cases) and len(outcome.faults) < MOST_FAULTS:
        many = BATCH if seconds else min(BATCH, first + cases - seed)
        arguments = ["--first", str(seed), "--cases", str(many)]
        last, more = _worker(target, arguments, outcome, isa, seconds - taken if seconds else None)
        seed, taken = last + 1, taken + more
    return outcome


def run_kept(target: str, files: Sequence[Path], isa: str | None = None) -> Outcome:
    """Run cases that are kept as files."""
    outcome, next_one = Outcome(), 0
    while next_one < len(files):
        paths = [str(path) for path in files[next_one:]]
        next_one += _worker(target, ["--files", *paths], outcome, isa, None)[0] + 1
    return outcome


def _worker(
    target: str, arguments: list[str], outcome: Outcome, isa: str | None, seconds: float | None
) -> tuple[int, float]:
    """Run one worker to its end, or for so many seconds from its first case on.

    Adds to `outcome`; returns the seed of the last case and the seconds that the cases took.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=MEMORY if MEMORY.is_dir() else None) as name:
        folder = Path(name)
        state, said = SharedState(folder), folder / "said"
        with said.open("wb") as file:
            command = [sys.executable, "-m", "fuzz.worker", target, str(folder), *arguments]
            process = subprocess.Popen(command, cwd=ROOT, env=_environment(isa), stdout=file, stderr=file)
            try:
                ending, taken = _watched(process, state, seconds)
            finally:
                process.kill()
                process.wait()
        report = said.read_text(errors="replace")[-TOLD:]
        state.load()
        if not state.started:
            raise RuntimeError(f"{target}: the worker did not begin: {report}")
        outcome.accepted += state.accepted
        outcome.refused += state.refused
        if (folder / "faults").exists():
            for line in (folder / "faults").read_text().splitlines():
                found = json.loads(line)
                _add(outcome, Fault(*found["fault"][:2], bytes.fromhex(found["content"]), found["fault"][2]))
        if ending == "hung":
            _add(outcome, Fault("hang", _hung_at(report), state.content, report))
        elif ending == "ended" and not state.done:
            _add(outcome, Fault("crash", _crashed_by(process.returncode, report), state.content, report))
        return state.seed, taken


def _watched(process: subprocess.Popen[bytes], state: SharedState, seconds: float | None) -> tuple[str, float]:
    """Wait for a worker: "ended" by itself, "stopped" when its time is over, or "hung" in one case; after how long."""
    begun = since = time.monotonic()
    last, computed = 0, 0.0
    while True:
        try:
            process.wait(POLL)
        except subprocess.TimeoutExpired:
            state.load()
        else:
            return "ended", time.monotonic() - begun
        now = time.monotonic()
        if state.started != last:
            begun = begun if last else now
            last, since, computed = state.started, now, _computed(process.pid)
        busy, waited = _computed(process.pid) - computed, now - since
        if (busy > state.seconds or waited > IDLE * state.seconds) if last else waited > START:
            process.send_signal(signal.SIGABRT)  # at which it tells where it is
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            return "hung", now - begun
        if last and seconds is not None and now - begun > seconds:
            return "stopped", now - begun


def _computed(process: int) -> float:
    """Seconds of processor time that a process has taken; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _add(outcome: Outcome, fault: Fault) -> None:
    """Keep one case of each fault; more of the same only count as refused."""
    if all((fault.kind, fault.signature) != (f.kind, f.signature) for f in outcome.faults):
        outcome.faults.append(fault)
    else:
        outcome.refused += 1


def _hung_at(report: str) -> str:
    """Where a worker was, by its traceback: the innermost line of ours."""
    ours = [line.strip() for line in report.splitlines() if "/fastsr/" in line or "/training/" in line]
    return ours[0] if ours else "outside of fastsr"


def _crashed_by(code: int, report: str) -> str:
    lines = report.splitlines()
    summary = [line for line in lines if line.startswith("SUMMARY:") or "runtime error:" in line]
    if summary:
        return summary[-1]
    return f"signal {-code}" if code < 0 else f"exit code {code}: {lines[-1] if lines else ''}"


def _environment(isa: str | None) -> dict[str, str]:
    """Of a worker: one thread for libraries, and the sanitizers' where the module was built with them."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",
        "MALLOC_ARENA_MAX": "2",
        **(sanitizers.preloaded() if sanitizers.sanitized() else {}),
    }
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests"), str(ROOT), *([others] if others else [])])
    if isa is not None:
        environment["FASTSR_ISA"] = isa
    return environment
