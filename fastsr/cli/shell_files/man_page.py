"""The manual page of a command, from its argparse parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

EXIT_STATUS = (
    ("0", "All was done."),
    ("1", "Something failed; messages on standard error name it, and the rest was done."),
    ("2", "The call was wrong; nothing was done."),
    ("130", "Interrupted; what was finished is kept."),
)
ENVIRONMENT = (
    ("FASTSR_NUM_THREADS", "Threads of the native code; never more than the process may use."),
    ("FASTSR_ISA", "Forces an instruction set, such as avx2 or portable."),
    ("FASTSR_MODELS", "Folder of imported models; by default ~/.local/share/fastsr/models."),
    ("FASTSR_CACHE", "Folder of what can be made again; by default ~/.cache/fastsr."),
)
MOST_CHOICES = 60  # characters


def man_page(parser: argparse.ArgumentParser, version: str) -> str:
    """The page in roff, without a date, so that the same parser gives the same page."""
    name = parser.prog
    lines = [f'.TH {name.upper()} 1 "" "{name} {version}" "User Commands"']
    lines += [".SH NAME", f"{_text(name)} \\- {_text((parser.description or '').rstrip('.'))}"]
    commands = _commands(parser)
    lines += [".SH SYNOPSIS"]
    for command, _ in commands.values():
        lines += [".br", _synopsis(command)]
    lines += [".SH OPTIONS", *_options(parser), ".SH COMMANDS"]
    for command, _ in commands.values():
        lines += [f".SS {_text(command.prog)}", _text(command.description or ""), *_options(command)]
    lines += [".SH EXIT STATUS", *_list(EXIT_STATUS), ".SH ENVIRONMENT", *_list(ENVIRONMENT)]
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[argparse.ArgumentParser, str]]:
    """The subcommands by name, each with its line of help."""
    (action,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    told = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {name: (command, told[name]) for name, command in action.choices.items()}


def _synopsis(parser: argparse.ArgumentParser) -> str:
    positional = [a for a in parser._actions if not a.option_strings]
    needed = [a for a in parser._actions if a.option_strings and a.required]
    parts = [f"\\fB{_text(parser.prog)}\\fR", *(f"\\fB{_text(a.option_strings[0])}\\fR {_value(a)}" for a in needed)]
    parts += [f"{_value(a)}{' ...' if a.nargs in ('+', '*') else ''}" for a in positional]
    optional = [a for a in parser._actions if a.option_strings and not a.required]
    return " ".join([*parts, *(["[\\fIoptions\\fR]"] if len(optional) > 1 else [])])  # one of them is --help


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every argument, by the groups of the parser."""
    usual = {"positional arguments", "options"}
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help != argparse.SUPPRESS]
        actions = [a for a in actions if not isinstance(a, (argparse._SubParsersAction, argparse._HelpAction))]
        if actions and group.title not in usual:
            yield from (".PP", f"\\fI{_text((group.title or '').replace('%%', '%'))}\\fR")
        for action in actions:
            yield from (".TP", _flags(action) if action.option_strings else _value(action), _help(parser, action))


def _flags(action: argparse.Action) -> str:
    flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in action.option_strings)
    return flags if action.nargs == 0 else f"{flags} {_value(action)}"


def _value(action: argparse.Action) -> str:
    if action.metavar is None and action.choices is not None and not _many(action):
        return "|".join(f"\\fI{_text(str(choice))}\\fR" for choice in action.choices)
    shown = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    return f"\\fI{_text(str(shown))}\\fR"


def _many(action: argparse.Action) -> bool:
    """Whether the choices are too many for the line with the option."""
    return len("|".join(map(str, action.choices or ()))) > MOST_CHOICES


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    usual = f"(default: {action.default})" if action.default is not None else ""
    text = usual if action.help is None else action.help % {**vars(action), "prog": parser.prog}
    if action.choices is not None and _many(action):
        text = f"{text}; one of {', '.join(map(str, action.choices))}".removeprefix("; ")
    return _text(text)


def _list(entries: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, text in entries:
        yield from (".TP", f"\\fB{_text(name)}\\fR", _text(text))


def _text(text: str) -> str:
    """Plain text for roff: what it would take for a request or an escape is escaped."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith(".") else text
