"""The families of networks that people share, imported and compared with PyTorch: `python -m benchmarks.families`.

Each network (tests/support/families.py) gets random weights and the sizes that models are shared in, is written as its
users write it, imported, run by the engine that "auto" takes on a CPU, and compared with PyTorch on one small image.
Writes benchmarks/results/families.json; `--only` renews some rows and leaves the others, `--dry` only prints.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine

RESULTS = Path(__file__).parent / "results" / "families.json"
TESTS = Path(__file__).parent.parent / "tests"
ENGINES = {"cpu": "native", "runtime": "a runtime"}


def definitions() -> Any:
    """The module that the tests take the families from too."""
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    return importlib.import_module("support.families")


def measure(name: str) -> dict[str, Any]:
    """A row of the table."""
    families = definitions()
    family = families.FAMILIES[name]
    before = os.environ.get("FASTSR_MODELS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FASTSR_MODELS"] = str(Path(folder) / "store")
        try:
            row: dict[str, Any] = families.examined(family, family.full, Path(folder))
        finally:
            os.environ.pop("FASTSR_MODELS")
            if before is not None:
                os.environ["FASTSR_MODELS"] = before
    if row["difference"] > families.TOLERANCE:
        raise SystemExit(f"{name}: {row['difference']:.2g} off from PyTorch, where {families.TOLERANCE:g} is allowed")
    return row


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: those that run natively first."""
    lines = [
        "| family | file | engine | largest difference | MFLOP a pixel | receptive radius |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows.values(), key=lambda row: row["engine"] != "cpu"):
        work = "" if row["mflop_per_pixel"] is None else f"{row['mflop_per_pixel']:.3g}"
        reach = "whole image" if row["radius"] is None else str(row["radius"])
        cells = [row["family"], f"`{row['file']}`", ENGINES[row["engine"]], f"{row['difference']:.0e}", work, reach]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="FAMILY", help="renew only these rows")
    parser.add_argument("--dry", action="store_true", help="print, but write nothing")
    arguments = parser.parse_args()
    known = definitions().FAMILIES
    if not definitions().has_spandrel():
        raise SystemExit('spandrel is not installed: pip install "fastsr[import]"')
    kept = json.loads(RESULTS.read_text())["rows"] if arguments.only and RESULTS.exists() else {}
    rows = {name: kept.get(name) for name in known}
    for name in arguments.only or known:
        begun = time.perf_counter()
        rows[name] = measure(name)
        print(f"{name}: {rows[name]} ({time.perf_counter() - begun:.0f} s)", flush=True)
    made = {name: row for name, row in rows.items() if row}
    print(table(made))
    if not arguments.dry:
        RESULTS.write_text(json.dumps({"machine": machine.describe(), "rows": made}, indent=2) + "\n")


if __name__ == "__main__":
    main()
