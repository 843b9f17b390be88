"""``devstack doctor``."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load
from devstack.errors import ExitStatus

if TYPE_CHECKING:
    from devstack.doctor.check import Diagnosis

MARKS = {"ok": "✓", "warning": "!", "error": "✗", "skipped": "-"}
INDENT = " " * 6


@click.command("doctor", epilog="Example: devstack doctor --json")
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **chosen: Any) -> int:
    """Diagnose this machine and the stack, and recommend what to do.

    Exits with 1 if there is an error; warnings do not count.
    """
    from devstack.doctor.check import run_checks
    from devstack.doctor.table import CHECKS
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **chosen), ignore_corrupt_state=True)
    diagnoses = [
        replace(each, findings=_with_stack(output, each.findings))
        for each in run_checks(CHECKS, stack)
    ]
    output.data(checks=[_row(each) for each in diagnoses])
    _show(output, {each.check.name: each for each in diagnoses})
    output.finish()
    failed = any(each.state == "error" for each in diagnoses)
    return int(ExitStatus.FAILED if failed else ExitStatus.OK)


def _row(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "name": diagnosis.check.name,
        "description": diagnosis.check.description,
        "state": diagnosis.state,
        "reason": diagnosis.reason,
        "seconds": round(diagnosis.seconds, 3),
        "findings": diagnosis.findings,
    }


def _show(output: Output, diagnoses: Mapping[str, Diagnosis]) -> None:
    from devstack.doctor.check import NO_STACK
    from devstack.doctor.table import GROUPS

    for title, checks in GROUPS.items():
        group = [diagnoses[check.name] for check in checks]
        shown = [each for each in group if each.reason != NO_STACK]
        output.text(title)
        for diagnosis in shown:
            _show_diagnosis(output, diagnosis)
        if len(shown) < len(group):
            output.text(f"  {MARKS['skipped']} {len(group) - len(shown)} more: {NO_STACK}")
    counted = Counter(each.state for each in diagnoses.values())
    states = [f"{counted[state]} {_plural(state, counted[state])}" for state in MARKS]
    output.text(f"{len(diagnoses)} checks: {', '.join(states)}")


def _plural(state: str, count: int) -> str:
    return f"{state}s" if state in ("warning", "error") and count != 1 else state


def _show_diagnosis(output: Output, diagnosis: Diagnosis) -> None:
    reason = f" ({diagnosis.reason})" if diagnosis.reason else ""
    text = f"  {MARKS[diagnosis.state]} {diagnosis.check.description}{reason}"
    _show_text(output, text, "    ")
    for finding in diagnosis.findings:
        _show_text(output, f"{INDENT}{finding.cause}  [{finding.code}]", INDENT)
        _show_text(output, f"{INDENT}next: {finding.remedy}", f"{INDENT}      ")


def _show_text(output: Output, text: str, indent: str) -> None:
    """Show a text, wrapped at words if the terminal is narrower; files get one line."""
    if not sys.stdout.isatty():
        output.text(text)
        return
    width = max(40, shutil.get_terminal_size().columns)
    for line in textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ):
        output.text(line)


def _with_stack(output: Output, findings: Sequence[Any]) -> list[Any]:
    """Return findings whose remedies name the stack of this command."""
    return [replace(each, remedy=output.with_stack(each.remedy)) for each in findings]
