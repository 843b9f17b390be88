"""Lessons in docs/lessons: their files and commands, and whether the output is as stated.

A fenced block whose language is followed by a name (`python flow.py`) is a file to save. In a
block of the language `console`, a line with `$ ` is a command, lines with `> ` continue it, and
the lines up to the next command are its output: `...` stands for any text in a line, and alone
for any number of lines. A command whose output has a line `code: ...` fails, and so do those of
a block `console fails`; others succeed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)(?: ([\w./-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANYTHING = "..."
END = "the command ended with"
FAILURE = re.compile(r"^\s*code: [A-Z_]+$", re.MULTILINE)
TIMEOUT_SECONDS = 150
FOLDER = Path(__file__).parents[2] / "docs" / "lessons"
LESSONS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")


@dataclass(frozen=True)
class Command:
    """One command of a lesson.

    Attributes:
        text: what the shell gets.
        output: what the lesson says that it prints.
        fails: whether its exit status is not 0.
    """

    text: str
    output: str
    fails: bool = False

    @property
    def stated(self) -> list[str]:
        """The lines of the output that state something."""
        return [line for line in self.output.splitlines() if line.replace(ANYTHING, "").strip()]


@dataclass(frozen=True)
class File:
    """A file that the reader saves.

    Attributes:
        name: its path, relative to the folder that the reader works in.
        content: its text.
    """

    name: str
    content: str


def read_lesson(text: str) -> list[Command | File]:
    """Return what a lesson asks the reader to do, in order."""
    return [action for block in FENCE.finditer(text) for action in _actions(*block.groups())]


def _actions(language: str, name: str | None, body: str) -> Iterator[Command | File]:
    if language == "console":
        yield from _commands(body, fails=name == "fails")
    elif name:
        yield File(name, body)


def _commands(body: str, *, fails: bool) -> Iterator[Command]:
    for block in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = block.splitlines()
        more = next((i for i, line in enumerate(lines[1:], 1) if not line.startswith("> ")), None)
        count = len(lines) if more is None else more
        text = "\n".join([lines[0], *(line[2:] for line in lines[1:count])])
        output = "\n".join(lines[count:]).strip("\n")
        yield Command(text, output, fails or FAILURE.search(output) is not None)


class Shell:
    """A shell that a reader types commands into; it keeps variables and background jobs.

    Args:
        folder: where the reader works.
        environment: the variables of the commands.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, text: str) -> tuple[str, int]:
        """Run a command; return what it printed, and its exit status.

        Raises:
            AssertionError: it did not end in time, or ended the shell.
        """
        assert self._process.stdin
        # A command that reads its input must not read the next commands.
        self._process.stdin.write(f"{{ {text}\n}} </dev/null\nprintf '%s %s\\n' '{END}' $?\n")
        self._process.stdin.flush()
        timer = threading.Timer(TIMEOUT_SECONDS, self.close)
        timer.start()
        try:
            return self._read(text)
        finally:
            timer.cancel()

    def _read(self, text: str) -> tuple[str, int]:
        assert self._process.stdout
        printed = ""
        for line in self._process.stdout:
            # The command's last line need not be complete.
            before, found, status = line.rpartition(END)
            printed += before if found else line
            if found:
                return printed, int(status)
        raise AssertionError(f"$ {text}\nended the shell, or not in time; it printed\n{printed}")

    def close(self) -> None:
        """End the shell, and what it still runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


def run_lesson(text: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Do what a lesson says.

    Args:
        text: the lesson.
        folder: where the reader works.
        environment: the variables of the commands.

    Raises:
        AssertionError: a command prints something else than the lesson says, or fails.
    """
    shell = Shell(folder, environment)
    try:
        for action in read_lesson(text):
            if isinstance(action, File):
                (folder / action.name).write_text(action.content)
            else:
                check(action, *shell.run(action.text))
    finally:
        shell.close()


def check(command: Command, printed: str, status: int) -> None:
    """Compare what a command did with what the lesson says.

    Raises:
        AssertionError: they differ.
    """
    assert matches(command.output, printed), (
        f"$ {command.text}\nprinted\n{printed}\nand should print\n{command.output}"
    )
    assert (status != 0) == command.fails, (
        f"$ {command.text}\nended with {status}, which the lesson does not say; printed\n{printed}"
    )


def matches(expected: str, actual: str) -> bool:
    """Return True if ``actual`` is ``expected``, apart from the widths of columns.

    Args:
        expected: ``...`` stands for any text, alone in a line for any number of lines.
        actual: what was printed.
    """
    pattern = "".join(_pattern(line) for line in _normal(expected))
    text = "".join(f"{line}\n" for line in _normal(actual))
    return re.fullmatch(pattern, text) is not None


def _pattern(line: str) -> str:
    if line == ANYTHING:
        return r"(?:.*\n)*?"
    return ".*".join(re.escape(part) for part in line.split(ANYTHING)) + r"\n"


def _normal(text: str) -> list[str]:
    """Return the lines of ``text`` with single spaces, as the widths of kubectl's columns vary."""
    return [" ".join(line.split()) for line in text.strip().splitlines()]
