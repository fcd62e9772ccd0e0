"""Which arithmetic "auto" is."""

import pytest
import torch

from training import compute_precision


@pytest.mark.parametrize(("plain", "half", "expected"), [(2.0, 1.0, "bf16-mixed"), (1.0, 1.0, "32-true")])
def test_auto_is_the_faster_one(monkeypatch, plain, half, expected):
    seconds = {torch.float32: plain, torch.bfloat16: half}
    monkeypatch.setattr(compute_precision, "_seconds", lambda device, dtype: seconds[dtype])
    assert compute_precision.choose("auto", torch.device("cpu")) == expected


def test_what_is_asked_for_is_taken():
    assert compute_precision.choose("bf16-mixed", torch.device("cpu")) == "bf16-mixed"


def test_this_machine_has_an_answer():
    assert compute_precision.choose("auto", torch.device("cpu")) in ("32-true", "bf16-mixed")
