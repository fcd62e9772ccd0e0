"""Training state on disk: one safetensors file, written whole or not at all. Nothing is ever unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from fastsr import files

FILE = "state.safetensors"  # of a run, in RUNS/NAME/
BEST = "best.safetensors"  # the average alone, at the step that scored best


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and the remedy."""


def save(path: Path, groups: dict[str, dict[str, Tensor]], about: dict[str, Any]) -> None:
    """Write named groups of tensors and a JSON-able description; replaces `path` in one step."""
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, members in groups.items()
        for name, tensor in members.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"about": json.dumps(about)})


def load(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """What `save` wrote: (groups, about)."""
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            for key in file.keys():  # noqa: SIM118 (safe_open is no mapping)
                group, name = key.split("/", 1)
                groups.setdefault(group, {})[name] = file.get_tensor(key)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except Exception as error:  # safetensors raises its own type for a damaged file
        raise CheckpointError(f"{path}: not a readable checkpoint ({error}); delete it to start again") from None
    return groups, about


def averaged(groups: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The averaged weights under the network's own names."""
    return {k.removeprefix("module."): v for k, v in groups["average"].items() if k.startswith("module.")}


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's per-parameter state as flat names `index.key` (rates are recomputed from the step)."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{key}": torch.as_tensor(value) for i, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, flat: dict[str, Tensor]) -> None:
    """Put back what `flatten_optimizer` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in flat.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
