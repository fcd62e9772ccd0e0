"""The commands `fastsr completion` and `fastsr man`: files that shells and `man` read, as they ship with fastsr.

They lie in `shell_files` beside this module, made from the command's parser by `python -m fastsr.cli.shell_files`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "shell_files"
SCRIPTS = {"bash": "bash/fastsr", "zsh": "zsh/_fastsr", "fish": "fish/fastsr.fish"}
"""Where the completion script of each shell lies, under the name that the shell looks for."""
MAN_PAGE = "man/fastsr.1"


def add_parsers(commands: Any) -> None:
    """Add both commands to a parser's subcommands."""
    parser = commands.add_parser(
        "completion",
        help="print what completes this command in a shell",
        description="Print the script that lets a shell complete this command. For bash: put it into "
        "~/.local/share/bash-completion/completions/fastsr; for fish: into ~/.config/fish/completions/fastsr.fish; for "
        "zsh: into a file _fastsr in a folder of $fpath.",
    )
    parser.add_argument("shell", choices=tuple(SCRIPTS))
    commands.add_parser(
        "man",
        help="print the manual page",
        description="Print the manual page, which man reads: fastsr man | man -l -",
    )


def script(arguments: argparse.Namespace) -> str:
    """What `fastsr completion` prints."""
    return _text(SCRIPTS[arguments.shell])


def man_page(arguments: argparse.Namespace) -> str:
    """What `fastsr man` prints."""
    return _text(MAN_PAGE)


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").rstrip("\n")
