"""Startup files for `devstack shell`, so that the user's own do not change the stack's variables.

bash, zsh, fish and sh read the user's files first, then unset what the table of environment
variables overrides and export the stack's variables. Other shells, and login shells that
the user names, read the user's files last; their conflicting variables are named.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.client_files import EXTENSION_FOLDER
from devstack.environment_variables import STACK_PROGRAMS, rows_by_precedence
from devstack.environment_variables.variable import Policy
from devstack.stack import Stack

FOLDER = "shell"
"""The folder of the startup files, in the stack's own."""

PROBE_SECONDS = 5.0

_SHELLS = ("bash", "zsh", "fish", "sh", "dash", "ksh", "mksh", "tcsh", "csh")

_POSIX_UNSET = """\
_devstack_unset() {{
  local name
  for name in {names}; do
    case $name in
{cases}
    esac
  done
}}
_devstack_unset
unset -f _devstack_unset
{exports}
"""

_SEARCH_PATH = "PYTHONPATH"
"""A list of the user's: the startup files may extend or replace it, so it is only appended to."""

_POSIX_APPEND = (
    'case ":${{{name}-}}:" in *:{folder}:*) ;; *) {name}=${{{name}:+${name}:}}{folder} ;; esac; '
    "export {name}"
)

# fish splits and joins variables whose names end with PATH.
_FISH_APPEND = """\
contains -- {folder} ${name}
or set --global --export {name} ${name} {folder}"""

_BASH = """\
[ ! -r ~/.bashrc ] || . ~/.bashrc
{settings}"""

_ZSHENV = """\
_devstack_folder=$ZDOTDIR
{restore}
[[ ! -r ${{ZDOTDIR:-$HOME}}/.zshenv ]] || source ${{ZDOTDIR:-$HOME}}/.zshenv
_devstack_user=${{ZDOTDIR-}}
ZDOTDIR=$_devstack_folder
"""

_ZSHRC = """\
[[ ${{HISTFILE-}} != $ZDOTDIR/* ]] || HISTFILE=${{_devstack_user:-$HOME}}/${{HISTFILE##*/}}
if [[ -n $_devstack_user ]]; then ZDOTDIR=$_devstack_user; else unset ZDOTDIR; fi
unset _devstack_folder _devstack_user
[[ ! -r ${{ZDOTDIR:-$HOME}}/.zshrc ]] || source ${{ZDOTDIR:-$HOME}}/.zshrc
{settings}"""

_SH = """\
{restore}
[ ! -r "${{ENV-}}" ] || . "$ENV"
{settings}"""

_FISH = """\
for name in (set --names --export)
    switch $name
{cases}
    end
end
{exports}
"""
# A universal variable reaches programs even if a global one hides it, and erasing it would
# erase it in all of the user's sessions: it is named.
_FISH_UNSET = (
    "set --erase --global $name; set --query --universal $name; and "
    'echo "devstack: the universal variable $name conflicts with the stack; '
    'erase it with: set --erase --universal $name" >&2'
)


@dataclass(frozen=True)
class ShellStart:
    """How to start a shell.

    Attributes:
        argv: the shell and its arguments.
        variables: variables that it needs to find its startup files.
        keeps_variables: True if the user's startup files cannot change the stack's.
    """

    argv: list[str]
    variables: Mapping[str, str]
    keeps_variables: bool = True


def export_command(name: str, value: str, current: str = "") -> str:
    """Return the command of a POSIX shell that exports one of the stack's variables.

    PYTHONPATH is the user's, and may be another one when the command runs: the folder of the
    Metaflow extension is appended to it.

    Args:
        name: the variable.
        value: its value.
        current: the value in the user's environment. If ``value`` does not begin with it,
            something in it must not remain, and ``value`` replaces it.
    """
    if name != _SEARCH_PATH or not value.startswith(current):
        return f"export {name}={shlex.quote(value)}"
    return _POSIX_APPEND.format(name=name, folder=shlex.quote(str(EXTENSION_FOLDER)))


def start_shell(stack: Stack, shell: str, environment: Mapping[str, str]) -> ShellStart:
    """Write the startup files of a shell, and return how to start it.

    Args:
        stack: the stack whose directory contains the files.
        shell: the path of the shell.
        environment: the stack's variables.
    """
    kind = Path(shell).name
    if kind == "bash":
        names = "$(compgen -e)"
        file = _write(stack, "bashrc", _BASH.format(settings=_posix(names, environment)))
        return ShellStart([shell, "--rcfile", str(file)], {})
    if kind == "zsh":
        theirs = os.environ.get("ZDOTDIR")
        restore = f"ZDOTDIR={shlex.quote(theirs)}" if theirs else "unset ZDOTDIR"
        names = "${(k)parameters[(R)*export*]}"
        file = _write(stack, "zsh/.zshenv", _ZSHENV.format(restore=restore))
        _write(stack, "zsh/.zshrc", _ZSHRC.format(settings=_posix(names, environment)))
        return ShellStart([shell], {"ZDOTDIR": str(file.parent)})
    if kind == "fish":
        file = _write(stack, "config.fish", _fish(environment))
        return ShellStart([shell, "--init-command", f"source {_fish_quote(str(file))}"], {})
    if kind in ("sh", "dash", "mksh"):
        theirs = os.environ.get("ENV")
        restore = f"ENV={shlex.quote(theirs)}" if theirs else "unset ENV"
        names = "$(env | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p')"
        text = _SH.format(restore=restore, settings=_posix(names, environment))
        return ShellStart([shell], {"ENV": str(_write(stack, "sh-startup", text))})
    return ShellStart([shell], {}, keeps_variables=False)


def is_plain_shell(argv: Sequence[str]) -> bool:
    """Return True for a command that is a shell without arguments."""
    return len(argv) == 1 and Path(argv[0]).name in _SHELLS


def changed_by_startup(
    argv: Sequence[str], environment: Mapping[str, str], expected: Mapping[str, str]
) -> list[str]:
    """Return the names of the stack's variables that a shell's startup files change.

    Args:
        argv: the shell and the options that decide which files it reads.
        environment: the complete environment that it starts with.
        expected: the stack's variables.
    """
    command = [*argv, "-c", "env"]
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PROBE_SECONDS,
            # An interactive shell must not take the terminal.
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.decode(errors="replace").splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    if done.returncode != 0 or not found:
        return []
    unset = {name for name in found if _is_overridden(name)} - set(expected)
    changed = {name for name, value in expected.items() if found.get(name) != value}
    return sorted(changed | unset)


def startup_options(argv: Sequence[str]) -> list[str] | None:
    """Return a command's shell with the options that decide which files it reads, if it is one.

    A command that is not a shell, or that reads no files of the user, has none.
    """
    if not argv or Path(argv[0]).name not in _SHELLS:
        return None
    options = [each for each in argv[1:] if re.fullmatch(r"-[a-z]+|--login|--interactive", each)]
    letters = "".join(each for each in options if not each.startswith("--"))
    login, interactive = "l" in letters or "--login" in options, "i" in letters
    # Without a command or a script, a shell on a terminal is interactive.
    flags = [*(["-l"] if login else []), *(["-i"] if interactive or len(argv) == 1 else [])]
    return [argv[0], *flags] if flags else None


def _is_overridden(name: str) -> bool:
    row = next((each for each in rows_by_precedence(STACK_PROGRAMS) if each.matches(name)), None)
    return row is not None and row.policy is Policy.OVERRIDDEN


def _write(stack: Stack, name: str, text: str) -> Path:
    return stack.dir.write_file(f"{FOLDER}/{name}", text)


def _posix(names: str, environment: Mapping[str, str]) -> str:
    """Return the commands of bash and zsh that unset and export variables."""
    cases = "\n".join(
        f"      {row.name}) {_posix_action(row.policy)};;"
        for row in rows_by_precedence(STACK_PROGRAMS)
    )
    exports = "\n".join(export_command(key, value) for key, value in environment.items())
    return _POSIX_UNSET.format(names=names, cases=cases, exports=exports)


def _posix_action(policy: Policy) -> str:
    return 'unset "$name" ' if policy is Policy.OVERRIDDEN else ""


def _fish(environment: Mapping[str, str]) -> str:
    """Return the commands of fish that unset and export variables."""
    cases = "\n".join(
        f"        case '{row.name}'\n            "
        + (_FISH_UNSET if row.policy is Policy.OVERRIDDEN else "true")
        for row in rows_by_precedence(STACK_PROGRAMS)
    )
    exports = "\n".join(_fish_export(key, value) for key, value in environment.items())
    return _FISH.format(cases=cases, exports=exports)


def _fish_export(name: str, value: str) -> str:
    if name != _SEARCH_PATH:
        return f"set --global --export {name} {_fish_quote(value)}"
    return _FISH_APPEND.format(name=name, folder=_fish_quote(str(EXTENSION_FOLDER)))


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
