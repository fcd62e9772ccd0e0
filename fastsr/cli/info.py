"""The command `fastsr info`: what a bug report needs to know, in one block."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import Any

WIDTH = 100  # of lists that are wrapped


def add_parser(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    parser = commands.add_parser(
        "info",
        help="what a bug report needs to know",
        description="Print versions, machine, engines, models and folders in one block, to paste into a bug report. "
        "It names folders of yours and the FASTSR_ variables that are set.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def info(arguments: argparse.Namespace) -> str:
    """Do as the command line says; returns what is printed."""
    from fastsr.cli import system_info  # asks what is installed, which takes a while

    known = system_info.gathered()
    return json.dumps(known, indent=1) if arguments.json else text(known)


def text(known: dict[str, Any]) -> str:
    """What `system_info.gathered` gives, for people."""
    sets, cores, memory, gpus = (known[key] for key in ("instruction_sets", "cores", "memory", "gpus"))
    in_use = sets["in_use"] or sets["fault"]
    machine = {
        "fastsr": known["fastsr"],
        "Python": known["python"],
        "system": known["system"],
        "processor": known["processor"] or "unknown",
        "instructions": f"{in_use} (available: {', '.join(sets['available'])})",
        "cores": f"{cores['usable']} of {cores['machine']}, {cores['threads'] or 'unknown'} threads",
        "memory": f"{size(memory['machine'])}, of which {size(memory['available'])} can be taken",
        "GPUs": ", ".join(gpus["names"]) or f"none: {gpus['why_none']}",
    }
    versions = {
        "libraries": ", ".join(f"{name} {version}" for name, version in known["libraries"].items()),
        "environment": ", ".join(f"{k}={v}" for k, v in known["environment"].items()) or "no FASTSR_ variable is set",
    }
    parts = [
        _lines(machine),
        _section("engines", {name: _engine(engine) for name, engine in known["engines"].items()}),
        _section("models", {model["name"]: _model(model) for model in known["models"]}),
        _section("folders", {name: _folder(folder) for name, folder in known["folders"].items()}),
        _lines(versions),
    ]
    return "\n\n".join(parts)


def size(count: int | None) -> str:
    """Bytes in a unit that people read."""
    if count is None:
        return "unknown"
    for unit, bytes_of_it in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= bytes_of_it:
            return f"{count / bytes_of_it:.3g} {unit}"
    return f"{count} bytes"


def _lines(values: dict[str, str], indent: str = "") -> str:
    """A line for each value, or some where it is long, the names before them in one column."""
    column = max(map(len, values), default=0) + 2
    made = []
    for name, value in values.items():
        options = {"break_long_words": False, "break_on_hyphens": False}
        wrapped = textwrap.wrap(value, WIDTH, **options) or [""]  # type: ignore[arg-type]
        made += [
            f"{indent}{start:{column}}{line}"
            for start, line in zip([name, *[""] * (len(wrapped) - 1)], wrapped, strict=True)
        ]
    return "\n".join(made)


def _section(title: str, values: dict[str, str]) -> str:
    return f"{title}\n{_lines(values, '  ')}"


def _engine(engine: dict[str, Any]) -> str:
    version = f"{engine['version']}: " if engine["version"] else ""
    if not engine["usable"]:
        return f"not usable: {version}{engine['why_not']}"
    return f"{version}{', '.join(engine['precisions'])}"


def _model(model: dict[str, Any]) -> str:
    cost = "" if model["mflop_per_pixel"] is None else f", {model['mflop_per_pixel']:.3g} MFLOP a pixel"
    return f"x{model['scale']}{cost}, {model['engine']}{', imported' if model['kind'] == 'imported' else ''}"


def _folder(folder: dict[str, Any]) -> str:
    if folder["folder"] is None:
        return f"none: {folder['fault']}"
    return f"{folder['folder']} ({folder['files']} files, {size(folder['bytes'])})"
