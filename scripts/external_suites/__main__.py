"""Run test suites of other projects, unmodified, on a stack; print a table of the results.

CHECKOUT is a checkout of Metaflow of about the version that the stack has. Nothing is written
there. The stack that --name or DEVSTACK_NAME selects has to be up, for --backend with
`--with argo` or Airflow, for --kfp with `--with argo --with kubeflow`. Example:

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

from scripts.external_suites import kfp, kit, ux
from scripts.external_suites.core import run_core
from scripts.external_suites.flows import run_parallel, run_tutorials
from scripts.external_suites.programs import KFP, KIT, METAFLOW, Programs
from scripts.external_suites.results import FAILED, Result, build_table


@dataclass(frozen=True)
class Suite:
    """A suite.

    Attributes:
        folder: its folder in the checkout.
        run: runs it.
        modules: what it imports.
        checkout: its checkout.
    """

    folder: str
    run: Callable[[Programs], Iterator[Result]]
    modules: tuple[str, ...] = ()
    checkout: str = METAFLOW


_PYTEST = ("pytest", "pytest_timeout")
SUITES = {
    "parallel": Suite("test/parallel", run_parallel),
    "tutorials": Suite("metaflow/tutorials", run_tutorials, ("matplotlib",)),
    "ux": Suite(ux.FOLDER, ux.run_ux, (*_PYTEST, "omegaconf")),
    "core": Suite("test/core", run_core),
    "kit": Suite(kit.FOLDER, kit.run_kit, (*_PYTEST, "omegaconf"), KIT),
    "kfp": Suite(kfp.TESTS, kfp.run_kfp, (*_PYTEST, "kfp"), KFP),
}
CHECKOUTS = {
    METAFLOW: "Metaflow",
    KIT: "metaflow-orchestrator-kit",
    KFP: "Kubeflow Pipelines",
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
            checkouts=given.checkouts,
            folder=Path(folder),
            logs=logs.resolve(),
            python=given.python,
            only=given.only,
            results=results,
            deadline=deadline,
            timeout=given.timeout,
            backends=given.backend,
            tenth=given.tenth,
        )
        for suite in given.suites:
            for result in SUITES[suite].run(programs):
                name = f"{result.suite} {result.test}"
                click.echo(f"{result.outcome:<8} {result.seconds:4.0f} s  {name}")
                results[name] = result
                _write(given.json, results)
    click.echo(f"\n{_versions(given.checkouts[METAFLOW], given.python)}\n")
    click.echo(build_table([*results.values()]))
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
    help_suites = f"of {', '.join(SUITES)}; by default all of which there is a checkout"
    parser.add_argument("suites", nargs="*", help=help_suites)
    for name in (KIT, KFP):
        help_checkout = f"a checkout of {CHECKOUTS[name]}, for the suite {name}"
        parser.add_argument(f"--{name}", type=Path, metavar="CHECKOUT", help=help_checkout)
    help_backend = f"for the suites ux and kit; {ux.LOCAL} by default; can be repeated"
    parser.add_argument("--backend", action="append", choices=ux.BACKENDS, help=help_backend)
    help_tenth = "of ux, core, kit and kfp, run the tenth of tests whose names' SHA-256 is smallest"
    parser.add_argument("--tenth", action="store_true", help=help_tenth)
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
    paths = {METAFLOW: given.checkout, KIT: given.kit, KFP: given.kfp}
    given.checkouts = {name: path.resolve() for name, path in paths.items() if path}
    given.backend = list(dict.fromkeys(given.backend or [ux.LOCAL]))
    given.suites = given.suites or [n for n, s in SUITES.items() if s.checkout in given.checkouts]
    for suite in given.suites:
        if wrong := _find_obstacle(given, suite):
            parser.error(wrong)
    return given


def _find_obstacle(given: argparse.Namespace, name: str) -> str:
    """Return why a suite cannot run; an empty text if it can."""
    suite = SUITES[name]
    checkout = given.checkouts.get(suite.checkout)
    if checkout is None:
        return f"the suite {name} needs --{suite.checkout} CHECKOUT"
    if not (checkout / suite.folder).is_dir():
        what = CHECKOUTS[suite.checkout]
        return f"{checkout} is not a checkout of {what}: it has no {suite.folder}"
    if suite.checkout == KIT and not set(given.backend) & set(ux.SCHEDULERS):
        return f"the suite {name} needs --backend {' or '.join(ux.SCHEDULERS)}"
    if missing := _missing_modules(given.python, (*MODULES, *suite.modules)):
        return f"{given.python} lacks {', '.join(missing)}"
    return ""


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
