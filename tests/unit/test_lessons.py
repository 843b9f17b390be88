from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from devstack.images.catalogue import IMAGES
from tests.support import lessons
from tests.support.lessons import (
    FOLDER,
    LESSONS,
    Command,
    File,
    matches,
    read_lesson,
    run_lesson,
)

LESSON = """\
# A lesson

```text
not named, so prose
```

```python flow.py
print(1)
```

```console
$ python flow.py |
> cat
1
...
$ true
```

```console fails
$ devstack why x
no
```
"""


def test_the_files_and_commands_of_a_lesson() -> None:
    assert read_lesson(LESSON) == [
        File("flow.py", "print(1)\n"),
        Command("python flow.py |\ncat", "1\n..."),
        Command("true", ""),
        Command("devstack why x", "no", fails=True),
    ]


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("a b", "a    b\n"),
        ("a ... d", "a b c d"),
        ("a\n...\nd", "a\nb\nc\nd"),
        ("...\na\n...", "a"),
        ("a...\n...", "ab\nc"),
        ("pod/... created", "pod/x-1 created"),
        ("a.b", "a.b"),
        ("", "\n"),
        ("...\na", "b\n\nc\na"),
    ],
)
def test_output_as_stated(expected: str, actual: str) -> None:
    assert matches(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("a", "a\nb"),
        ("a.b", "axb"),
        ("", "x"),
        ("a ... d", "a b c"),
        ("a ... d", "a b\nc d"),
        ("a...\n...", "b\na"),
    ],
)
def test_other_output(expected: str, actual: str) -> None:
    assert not matches(expected, actual)


def lesson(*commands: str) -> str:
    return "".join(f"```console\n$ {each}\n```\n" for each in commands)


def test_commands_share_a_shell_as_those_of_a_reader_do(tmp_path: Path) -> None:
    text = "```text words\none\n```\n" + lesson(
        "NAME=x", "echo $NAME\nx", "cat words > copy &", "wait", "cat copy; cat\none"
    )
    run_lesson(text, tmp_path, {"PATH": os.environ["PATH"]})


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("echo 1\n2", "should print\n2"),
        ("echo Traceback; false\n...", "ended with 1"),
        ("echo 'code: A_B'\n...\ncode: A_B", "ended with 0"),
        ("exit 3", "ended the shell"),
    ],
)
def test_a_command_that_does_something_else_fails_the_lesson(
    tmp_path: Path, command: str, says: str
) -> None:
    with pytest.raises(AssertionError, match=says):
        run_lesson(lesson(command), tmp_path, {"PATH": os.environ["PATH"]})


def test_an_error_that_the_lesson_shows_is_no_failure(tmp_path: Path) -> None:
    text = lesson("printf 'error: x\\n  code: A_B\\n'; false\nerror: ...\n  code: A_B")
    run_lesson(text, tmp_path, {"PATH": os.environ["PATH"]})


def test_a_command_that_does_not_end_fails_the_lesson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "TIMEOUT_SECONDS", 0.2)
    with pytest.raises(AssertionError, match="not in time"):
        run_lesson(lesson("sleep 600"), tmp_path, {"PATH": os.environ["PATH"]})


def test_the_list_of_lessons_is_complete() -> None:
    text = (FOLDER / "README.md").read_text()
    assert LESSONS
    assert [path.name for path in LESSONS if f"]({path.name})" not in text] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_each_command_of_a_lesson_states_what_it_prints(path: Path) -> None:
    commands = [each for each in read_lesson(path.read_text()) if isinstance(each, Command)]
    assert commands
    assert [each.text for each in commands if each.output and not each.stated] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lessons_name_the_task_image_that_nodes_have(path: Path) -> None:
    names = set(re.findall(r"devstack/t(?:as|sa)k:[\w.-]+", path.read_text()))
    assert {name.replace("tsak", "task") for name in names} <= {IMAGES["task"].reference}
