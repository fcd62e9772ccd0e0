"""Cases of every target: those that failed once, a few new ones in each run of the tests, many in the slow suite."""

import pytest

from fuzz import supervisor
from fuzz.__main__ import main
from fuzz.target import CORPUS, NAMES, missing

FEW = {
    "images": 300,
    "onnx_models": 150,
    "ncnn_models": 400,
    "checkpoints": 60,
    "cards": 400,
    "recipes": 200,
    "videos": 40,
    "array_calls": 400,
    "conv_programs": 150,
}
"""Cases that take about as long as the target's imports do."""
MANY = 20  # times as many in the slow suite, there on every instruction set
FAULTY = "fuzz.faulty_target"


def checked(outcome):
    assert outcome.faults == [], "\n\n".join(f"{fault}\n{fault.report}" for fault in outcome.faults)
    assert outcome.accepted > 0  # else it tests little
    assert outcome.refused > 0


@pytest.fixture(params=NAMES)
def name(request):
    lacking = missing(request.param)
    if lacking:
        pytest.skip(f"{', '.join(lacking)} is not installed")
    return request.param


def test_what_failed_once_is_accepted_or_refused(name):
    files = sorted((CORPUS / name).glob("*"))
    if not files:
        pytest.skip("nothing has failed yet")
    outcome = supervisor.run_kept(name, files)
    assert outcome.faults == []
    assert outcome.cases == len(files)


def test_new_cases_are_accepted_or_refused(name):
    checked(supervisor.run_made(name, 0, FEW[name]))


@pytest.mark.slow
def test_many_cases_are_accepted_or_refused(name):
    for isa in supervisor.instruction_sets(name):
        checked(supervisor.run_made(name, FEW[name], FEW[name] * MANY, isa=isa))


def test_each_kind_of_fault_is_found(tmp_path):
    kinds = ("crash", "hang", "memory", "error", "refused", "fine")
    for kind in kinds:
        (tmp_path / kind).write_text(kind)
    outcome = supervisor.run_kept(FAULTY, [tmp_path / kind for kind in kinds])
    assert [fault.kind for fault in outcome.faults] == ["crash", "hang", "memory", "error"]
    assert [fault.content.decode() for fault in outcome.faults] == ["crash", "hang", "memory", "error"]
    assert (outcome.accepted, outcome.refused, outcome.cases) == (1, 1, 6)
    assert "faulty_target.py" in outcome.faults[1].report
    assert "IndexError: pop from empty list" in outcome.faults[3].report
    path = outcome.faults[0].kept(tmp_path / "kept")
    assert path.read_bytes() == b"crash"
    assert path.with_suffix(".txt").read_text().startswith("crash: signal 11\n")


def test_made_cases_go_on_behind_a_fault():
    outcome = supervisor.run_made(FAULTY, 0, 60)
    assert outcome.cases == 60
    assert len(outcome.faults) > 1


def test_the_command_prints_counts_and_fails_at_a_fault(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["fuzz", "recipes", "--seconds", "0.1", "--first", "5"])
    monkeypatch.setattr("fuzz.target.missing", lambda name: [])
    monkeypatch.setattr("fuzz.__main__.KEPT", tmp_path)
    found = supervisor.Outcome(7, 2, [supervisor.Fault("error", "KeyError x.py:3", b"case", "Traceback")])
    monkeypatch.setattr(supervisor, "run_made", lambda *arguments, **options: found)
    assert main() == 1
    said = capsys.readouterr().out
    assert "recipes: 10 cases, 7 accepted, 2 refused, 1 at fault\n  error: KeyError x.py:3\n" in said
    assert "first seed 5" in said
    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.suffix] == [b"case"]
