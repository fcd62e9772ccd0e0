"""How much memory a process may still take: of the machine, and of the control groups that it runs in."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")


def available(root: Path = ROOT) -> int | None:
    """Bytes that can be taken before the system or a control group's limit stops it; None where nothing tells."""
    known = [_machine(root), *_groups(root)]
    return min((n for n in known if n is not None), default=None)


def _machine(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _groups(root: Path) -> list[int | None]:
    """What each control group of this process, and each one around it, leaves (versions 1 and 2 of the interface)."""
    left: list[int | None] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            folder, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            folder = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inner = folder / path.strip("/")
        # A container may see its own group as the root, and its path as that outside.
        left += [_left(group, *names) for group in {folder, inner, *inner.parents} if group.is_relative_to(folder)]
    return left


def _left(group: Path, limit_name: str, used_name: str, cached: str) -> int | None:
    limit, used = _text(group / limit_name).strip(), _text(group / used_name).strip()
    if not limit.isdecimal() or not used.isdecimal():  # "max"
        return None
    entries = (line.split() for line in _text(group / "memory.stat").splitlines())
    reclaimable = sum(int(entry[1]) for entry in entries if len(entry) == 2 and entry[0] == cached)
    return max(0, int(limit) - int(used) + reclaimable)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
