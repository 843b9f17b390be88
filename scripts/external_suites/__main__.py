"""Run Metaflow's own test suites, unmodified, on a stack; print a table of the results.

CHECKOUT is a checkout of Metaflow of about the version that the stack has. Nothing is written
there. The stack that --name or DEVSTACK_NAME selects has to be up. Example:

    python3 -m venv ~/suites
    ~/suites/bin/pip install metaflow kubernetes matplotlib omegaconf pytest pytest-timeout
    devstack up
    scripts/external-suites ~/metaflow --python ~/suites/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from scripts.external_suites.core import run_core
from scripts.external_suites.flows import run_parallel, run_tutorials
from scripts.external_suites.programs import Programs
from scripts.external_suites.results import FAILED, Result, build_table
from scripts.external_suites.ux import run_ux


@dataclass(frozen=True)
class Suite:
    """A suite.

    Attributes:
        folder: its folder in the checkout.
        run: runs it.
        modules: what it imports.
    """

    folder: str
    run: Callable[[Programs], Iterator[Result]]
    modules: tuple[str, ...] = ()


SUITES = {
    "parallel": Suite("test/parallel", run_parallel),
    "tutorials": Suite("metaflow/tutorials", run_tutorials, ("matplotlib",)),
    "ux": Suite("test/ux", run_ux, ("pytest", "pytest_timeout", "omegaconf")),
    "core": Suite("test/core", run_core),
}
MODULES = ("metaflow", "boto3", "kubernetes")
"""What all suites import."""


def main() -> int:
    """Run the suites; return 1 if a test failed."""
    given = _parse_arguments()
    if given.name:
        os.environ["DEVSTACK_NAME"] = given.name
    results = _read(given.json)
    deadline = time.monotonic() + given.minutes * 60
    with tempfile.TemporaryDirectory(prefix="external-suites-") as folder:
        logs = given.logs or Path(folder)
        logs.mkdir(parents=True, exist_ok=True)
        programs = Programs(
            checkout=given.checkout.resolve(),
            folder=Path(folder),
            logs=logs.resolve(),
            python=given.python,
            only=given.only,
            results=results,
            deadline=deadline,
            timeout=given.timeout,
        )
        for suite in given.suites or SUITES:
            for result in SUITES[suite].run(programs):
                name = f"{result.suite} {result.test}"
                click.echo(f"{result.outcome:<8} {result.seconds:4.0f} s  {name}")
                results[name] = result
                _write(given.json, results)
    click.echo(f"\n{_versions(given.checkout, given.python)}\n\n{build_table([*results.values()])}")
    if programs.is_over():
        click.echo(f"\nended after {given.minutes} minutes; the same command continues")
    return int(any(each.outcome == FAILED for each in results.values()))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "external-suites",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--name", help="the stack; by default DEVSTACK_NAME or the default stack")
    parser.add_argument("--only", action="append", default=[], help="part of a test's name")
    parser.add_argument("--python", default=sys.executable, help="runs the suites")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one program")
    parser.add_argument("--minutes", type=float, default=600, help="then no other test is started")
    parser.add_argument("--logs", type=Path, help="a folder for the output of each program")
    help_json = "add the results to this file; what is there and has not failed is not run again"
    parser.add_argument("--json", type=Path, help=help_json)
    given = parser.parse_intermixed_args()
    unknown = set(given.suites) - set(SUITES)
    if unknown:
        parser.error(f"unknown suites: {', '.join(sorted(unknown))}")
    for suite in (SUITES[name] for name in given.suites or SUITES):
        if not (given.checkout / suite.folder).is_dir():
            parser.error(
                f"{given.checkout} is not a checkout of Metaflow: it has no {suite.folder}"
            )
        if missing := _missing_modules(given.python, (*MODULES, *suite.modules)):
            parser.error(f"{given.python} lacks {', '.join(missing)}")
    return given


def _missing_modules(python: str, names: Sequence[str]) -> list[str]:
    code = (
        "import sys, importlib.util as u; print(*[n for n in sys.argv[1:] if not u.find_spec(n)])"
    )
    argv = [python, "-c", code, *names]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def _read(file: Path | None) -> dict[str, Result]:
    if file is None or not file.exists():
        return {}
    found = [Result(**each) for each in json.loads(file.read_text())]
    return {f"{each.suite} {each.test}": each for each in found}


def _write(file: Path | None, results: Mapping[str, Result]) -> None:
    if file is not None:
        rows = [asdict(each) for each in results.values()]
        file.write_text(json.dumps(rows, indent=1) + "\n")


def _versions(checkout: Path, python: str) -> str:
    """Return one line: which tests ran with which Metaflow."""
    code = "import metaflow; print(metaflow.metaflow_version.get_version(public=True))"
    argv = [python, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd="/")
    file = checkout / "metaflow" / "version.py"
    found = re.search(r"[0-9][0-9.]+", file.read_text()) if file.exists() else None
    theirs = found[0] if found else "unknown"
    return f"Metaflow {done.stdout.strip() or 'unknown'}, tests of version {theirs}"


if __name__ == "__main__":
    sys.exit(main())
