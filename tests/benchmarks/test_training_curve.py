"""The curve of a training: what it reads, and where its points lie."""

import json

import numpy as np
import pytest

pytest.importorskip("tensorboard", reason="training's extra is not installed")

from safetensors.numpy import save_file
from torch.utils.tensorboard import SummaryWriter

from benchmarks import training_curve


def test_a_stage_is_read_from_its_last_state_and_all_logs(tmp_path):
    about = {"step": 3000, "seconds": 5400.0, "flop": 4e14, "recipe": {}}
    save_file({"x": np.zeros(1)}, tmp_path / "state.safetensors", {"about": json.dumps(about)})
    for steps, lpips in (((1000, 2000), 0.5), ((2000, 3000, 4000), 0.4)):  # the second begins from a state at 1000
        with SummaryWriter(tmp_path / "log", filename_suffix=f".{lpips}") as log:
            for step in steps:
                log.add_scalar("validation/lpips", lpips, step, walltime=10 * lpips)
                log.add_scalar("loss/pixel", 1.0, step)
    made = training_curve.stage(tmp_path)
    assert {key: made[key] for key in ("steps", "hours", "flop")} == {"steps": 3000, "hours": 1.5, "flop": 4e14}
    assert [row["step"] for row in made["measured"]] == [1000, 2000, 3000]  # 4000 came after the last state
    assert [row["lpips"] for row in made["measured"]] == [0.5, 0.4, 0.4]


def test_stages_follow_one_another_in_hours():
    stages = [
        {"steps": 1000, "hours": 2.0, "measured": [{"step": 500, "lpips": 0.6}, {"step": 1000, "lpips": 0.5}]},
        {"steps": 100, "hours": 1.0, "measured": [{"step": 50, "lpips": 0.4}]},
    ]
    assert training_curve.points(stages) == [[(1.0, 0.6), (2.0, 0.5)], [(2.5, 0.4)]]


def test_the_same_results_give_the_same_file(tmp_path):
    content = json.loads(training_curve.RESULTS.read_text())
    assert [run["name"] for run in content["stages"]] == list(training_curve.STAGES)
    assert list(content["others"]) == list(training_curve.OTHERS)
    for name in "ab":
        training_curve.draw(content, tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.svg").read_bytes().startswith(b"<?xml")
