"""Completion scripts and the manual page: `python -m fastsr.cli.shell_files` writes the others here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import shtab

import fastsr
from fastsr.cli import command, completion
from fastsr.cli.shell_files.man_page import man_page
from fastsr.network import catalog

FILES = {"inputs", "input", "file", "output"}  # arguments that are paths
MODELS = {"model"}  # arguments that are names of models, or their files
IMPORTED = {"remove"}  # arguments that are names of imported models alone

# `{names}` are those of shipped models; the cards of imported ones are looked for when the shell completes.
_BASH = """
_fastsr_imported() {
  local folder="${FASTSR_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/fastsr/models}" card
  for card in "$folder"/*.json; do
    [ -e "$card" ] && card="${card##*/}" && compgen -W "${card%.json}" -- "$1"
  done
}
_fastsr_models() {
  compgen -W "{names}" -- "$1"
  _fastsr_imported "$1"
  compgen -f -- "$1"
}
"""
_ZSH = """
_fastsr_imported() {
  local folder="${FASTSR_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/fastsr/models}"
  local -a cards=("$folder"/*.json(N:t:r))
  compadd -a cards
}
_fastsr_models() {
  compadd {names}
  _fastsr_imported
  _files
}
"""
_FISH = """
function __fastsr_imported
  set -l folder $HOME/.local/share/fastsr/models
  set -q XDG_DATA_HOME; and set folder $XDG_DATA_HOME/fastsr/models
  set -q FASTSR_MODELS; and set folder $FASTSR_MODELS
  for card in $folder/*.json
    string replace -r '.*/(.*)\\.json$' '$1' -- $card
  end
end
function __fastsr_models
  printf '%s\\n' {names}
  __fastsr_imported
  __fish_complete_path (commandline -ct)
end
"""


def made() -> dict[str, str]:
    """The content of every file, by its path in the folder."""
    parser = command.argument_parser()
    _mark(parser)
    files = {path: shtab.complete(parser, shell) for shell, path in completion.SCRIPTS.items()}
    return {**files, completion.MAN_PAGE: man_page(parser, fastsr.__version__)}


def _mark(parser: argparse.ArgumentParser) -> None:
    """Tell shtab what stands for which argument."""
    names = " ".join([*catalog.models(), *catalog.INTERPOLATIONS])
    templates = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
    preamble = {shell: text.replace("{names}", names) for shell, text in templates.items()}
    kinds: dict[str, shtab.CompleteType] = {dest: shtab.FILE for dest in FILES}
    for dests, function in ((MODELS, "models"), (IMPORTED, "imported")):
        called = {"bash": f"_fastsr_{function}", "zsh": f"_fastsr_{function}", "fish": f"(__fastsr_{function})"}
        kinds |= {dest: {**called, "preamble": preamble} for dest in dests}
    for action in _actions(parser):
        if action.dest in kinds:
            action.complete = kinds[action.dest]  # type: ignore[attr-defined]


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)


def main() -> None:
    """Write the files."""
    for path, text in made().items():
        target = completion.FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
