from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.cli.output import Output
from devstack.errors import DevstackError
from devstack.schema import Error, dump

ERROR = DevstackError(
    "cannot create the kind cluster 'devstack-ci'",
    cause="failed to init node",
    remedy="see `devstack doctor`",
    code="KIND_FAILED",
    output="line 1\n\nline 2\n",
)


def envelope(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    assert list(parsed) == ["schemaVersion", "command", "status", "data", "warnings", "error"]
    return parsed


def test_text_is_printed_immediately(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.data(name="ci")
    output.text("Stack 'ci' is up")
    output.warn("the disk is nearly full")
    output.finish()
    shown = capsys.readouterr()
    assert shown.out == "Stack 'ci' is up\n"
    assert shown.err == "warning: the disk is nearly full\n"


def test_json_is_one_envelope_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.as_json, output.command = True, "up"
    output.data(name="ci", directory=Path("state") / "ci")
    output.data(changed=[])
    output.text("Stack 'ci' is up")
    output.warn("the disk is nearly full")
    output.finish()
    shown = capsys.readouterr()
    assert shown.err == ""
    assert envelope(shown.out) == {
        "schemaVersion": 1,
        "command": "up",
        "status": "ok",
        "data": {"name": "ci", "directory": "state/ci", "changed": []},
        "warnings": ["the disk is nearly full"],
        "error": None,
    }


def test_an_error_is_printed_completely_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Output().fail(ERROR)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "error: cannot create the kind cluster 'devstack-ci': failed to init node\n"
        "  | line 1\n"
        "  | line 2\n"
        "  next: see `devstack doctor`\n"
        "  code: KIND_FAILED\n"
    )


def test_an_error_with_json_keeps_earlier_data_and_warnings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output()
    output.as_json, output.command = True, "up"
    output.data(name="ci")
    output.fail(ERROR)
    shown = envelope(capsys.readouterr().out)
    assert shown["status"] == "error"
    assert shown["data"] == {"name": "ci"}
    assert shown["error"] == dump(Error, ERROR)


def test_json_shows_no_progress() -> None:
    output = Output()
    output.as_json = True
    assert type(output.progress()).__name__ == "Silent"
