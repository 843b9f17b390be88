"""``devstack doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from devstack.cli.options import pass_output, stack_options
from devstack.cli.output import Output
from devstack.config import load
from devstack.errors import ExitStatus

MARKS = {"ok": "✓", "warning": "!", "error": "✗", "skipped": "-"}


@click.command("doctor", epilog="Example: devstack doctor --json")
@stack_options
@pass_output
def command(output: Output, config_file: Path | None, **chosen: Any) -> int:
    """Diagnose this machine and the stack, and recommend what to do.

    Exits with 1 if there is an error; warnings do not count.
    """
    from devstack.doctor.airflow import AIRFLOW_CHECKS
    from devstack.doctor.check import run_checks
    from devstack.doctor.machine import MACHINE_CHECKS
    from devstack.doctor.rights import RIGHTS_CHECKS
    from devstack.doctor.stack import STACK_CHECKS
    from devstack.stack import open_stack

    stack = open_stack(load(config_file, **chosen), ignore_corrupt_state=True)
    checks = [*MACHINE_CHECKS, *STACK_CHECKS, *RIGHTS_CHECKS, *AIRFLOW_CHECKS]
    diagnoses = run_checks(checks, stack)
    output.data(
        checks=[
            {
                "name": each.check.name,
                "description": each.check.description,
                "state": each.state,
                "findings": _with_stack(output, each.findings),
            }
            for each in diagnoses
        ]
    )
    for each in diagnoses:
        output.text(f"  {MARKS[each.state]} {each.check.description}")
        for finding in _with_stack(output, each.findings):
            output.text(f"      {finding.cause}  [{finding.code}]")
            output.text(f"      next: {finding.remedy}")
    output.finish()
    failed = any(each.state == "error" for each in diagnoses)
    return int(ExitStatus.FAILED if failed else ExitStatus.OK)


def _with_stack(output: Output, findings: Sequence[Any]) -> list[Any]:
    """Return findings whose remedies name the stack of this command."""
    return [replace(each, remedy=output.with_stack(each.remedy)) for each in findings]
