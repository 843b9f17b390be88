"""scripts/external-suites: how Metaflow's suites are run, read and shown."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devstack.paths import project_file
from scripts.external_suites import core, flows, programs, ux
from scripts.external_suites.results import FAILED, PASSED, SKIPPED, Result, build_table

SCRIPT = project_file("scripts", "external-suites")
LINE = "### test 'BasicLogTest' graph 'linear' in context 'python3-k8s': {} [using {} executor] ###"
OWN_ERROR = """Traceback (most recent call last):
  File "/copies/run_tests.py", line 643, in <module>
    cli()
NameError: cannot access free variable 'run'
"""
REPORT = """<testsuites><testsuite>
<testcase classname="core.test_basic" name="test_a[local-runner]" time="7.5"/>
<testcase classname="core.test_basic" name="test_b" time="1"><failure message="not
equal">trace</failure></testcase>
<testcase classname="core.test_basic" name="test_c" time="0"><skipped message="No scheduler"/>
</testcase></testsuite></testsuites>"""


def build_programs(folder: Path, **settings: object) -> programs.Programs:
    checkout = folder / "checkout"
    return programs.Programs(checkout, folder / "copies", folder, sys.executable, **settings)  # type: ignore[arg-type]


def test_the_table_counts_and_lists_by_reason_what_did_not_pass() -> None:
    results = [
        Result("ux", "test_a", PASSED, seconds=90),
        Result("ux", "test_b", FAILED, "a | b"),
        Result("core", "C", SKIPPED, "no channel"),
        Result("core", "D", SKIPPED, "no channel"),
    ]
    lines = build_table(results).splitlines()
    assert "| ux | 2 | 1 | 1 | 0 | 1.5 |" in lines
    assert "| core | 2 | 0 | 0 | 2 | 0.0 |" in lines
    assert "| ux | failed | `test_b` | a \\| b |" in lines
    assert "| core | skipped | 2: `C`, `D` | no channel |" in lines
    assert not any("test_a" in line for line in lines)


def test_each_graph_and_executor_of_core_is_a_result() -> None:
    states = [("running", "cli"), ("failed", "cli"), ("running", "api"), ("success", "api")]
    output = "\n".join(["KeyError: x", *(LINE.format(*each) for each in states)])
    found = list(core.read_output("BasicLogTest", 1, output, 30))
    assert [(each.test, each.outcome, each.seconds) for each in found] == [
        ("BasicLogTest linear (cli)", FAILED, 15),
        ("BasicLogTest linear (api)", PASSED, 15),
    ]
    assert "KeyError: x" in found[0].reason


def test_an_error_of_the_suite_itself_is_not_a_failure_of_the_flow() -> None:
    states = [("running", "cli"), ("success", "cli"), ("running", "api")]
    output = "\n".join([*(LINE.format(*each) for each in states), OWN_ERROR])
    passed, skipped = core.read_output("BasicLogTest", 1, output, 30)
    assert passed.outcome == PASSED
    reason = "run_tests.py itself fails: NameError: cannot access free variable 'run'"
    assert (skipped.outcome, skipped.reason) == (SKIPPED, reason)


def test_a_suite_that_does_not_start_has_failed() -> None:
    (found,) = core.read_output("BasicLogTest", 1, "no such file", 1)
    assert (found.outcome, found.reason) == (FAILED, "status 1: no such file")


def test_addresses_of_another_stack_are_left_out_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "contexts.json"
    variables = {"METAFLOW_SERVICE_URL": "http://localhost:8080", "METAFLOW_RUN_X": "1"}
    context = {"name": core.CONTEXT, "env": variables, "disabled_tests": ["LargeArtifactTest"]}
    file.write_text(json.dumps({"contexts": [context, {"name": "other"}], "checks": {}}))
    assert core.use_the_stack(file) == {"LargeArtifactTest"}
    assert json.loads(file.read_text())["contexts"][0]["env"] == {"METAFLOW_RUN_X": "1"}


def test_pytests_report_is_read_with_its_reasons() -> None:
    found = list(ux.read_report(REPORT))
    assert [(each.test, each.outcome, each.reason) for each in found] == [
        ("test_basic::test_a[local-runner]", PASSED, ""),
        ("test_basic::test_b", FAILED, "not equal"),
        ("test_basic::test_c", SKIPPED, "No scheduler"),
    ]
    assert found[0].seconds == 7.5


def test_a_notebooks_cells_are_one_program() -> None:
    code = {"cell_type": "code", "source": ["a = 1\n", "b = 2"]}
    cells = [code, {"cell_type": "markdown", "source": ["# A"]}, code]
    program = flows.build_program(json.dumps({"cells": cells}))
    assert program == "a = 1\nb = 2\n\na = 1\nb = 2\n"


def test_tests_that_are_done_or_not_wanted_do_not_run(tmp_path: Path) -> None:
    names = {"BasicLogTest linear (cli)": PASSED, "BasicTagTest linear (cli)": FAILED}
    known = {f"core {name}": Result("core", name, outcome) for name, outcome in names.items()}
    ours = build_programs(tmp_path, results=known, only=["Basic"])
    assert not ours.wants("core", "BasicLogTest")
    assert ours.wants("core", "BasicLog")  # another test, whose name begins like this
    assert ours.wants("core", "BasicTagTest")
    assert not ours.wants("core", "LineageTest")
    assert not build_programs(tmp_path, deadline=time.monotonic() - 1).wants("core", "LineageTest")


def results_of(*rows: tuple[str, str, str]) -> dict[str, Result]:
    return {f"{suite} {test}": Result(suite, test, outcome) for suite, test, outcome in rows}


def test_the_results_of_a_test_that_runs_again_are_dropped_under_all_their_names(
    tmp_path: Path,
) -> None:
    rows = [
        ("core", "BasicTest", FAILED),
        ("core", "BasicTest linear (cli)", PASSED),
        ("core", "BasicTestX linear (cli)", PASSED),
        ("ux", "test_a", FAILED),
        ("ux", "test_a (rest)", FAILED),
        ("ux", "test_a::test_b", PASSED),
        ("ux", "test_a::test_c", PASSED),
    ]
    ours = build_programs(tmp_path, results=results_of(*rows), only=["test_b"])
    ours.forget("core", "BasicTest")
    ours.forget("ux", "test_a")
    assert list(ours.results) == ["core BasicTestX linear (cli)", "ux test_a::test_c"]


def test_a_file_of_which_an_earlier_call_ran_a_part_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = programs.Done(0, "core/test_a.py::test_b\ncore/test_a.py::test_c\n\n2 tests", 1)
    monkeypatch.setattr(programs.Programs, "run", lambda *_, **__: listed)
    monkeypatch.setattr(ux, "_run_file", lambda *_: iter([Result("ux", "ran", PASSED)]))
    tests = tmp_path / "checkout" / "test" / "ux" / "core"
    tests.mkdir(parents=True)
    (tests / "test_a.py").touch()
    part = [("ux", "test_a::test_b", PASSED)]
    assert list(ux.run_ux(build_programs(tmp_path, results=results_of(*part))))
    complete = [*part, ("ux", "test_a::test_c", PASSED)]
    assert not list(ux.run_ux(build_programs(tmp_path, results=results_of(*complete))))


def test_what_a_program_leaves_behind_ends_with_it_and_its_pods_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    fake = tmp_path / "devstack"
    # `devstack shell --` runs its arguments; `devstack kubectl` notes them.
    fake.write_text(f'#!/bin/sh\n[ "$1" = shell ] && shift 2 && exec "$@"\necho "$@" >> {calls}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(programs, "INTERRUPTED_SECONDS", 0.2)
    ours = build_programs(tmp_path, timeout=1)
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    # A shell that ignores Ctrl-C, with a child; both hold the pipe open for writing.
    script = "exec 5>alive; trap '' INT; echo begun; sleep 600 & wait"
    done = ours.run("stubborn", "sh", "-c", script, cwd=tmp_path)
    assert done.status == programs.TIMED_OUT
    assert done.output == "begun\n\ndid not end within 1 s"
    # The end of the pipe: no process has it open any more.
    select.select([alive], [], [], 30)
    assert os.read(alive, 1) == b""
    os.close(alive)
    assert f"--selector devstack.dev/external-suite={ours.label}" in calls.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "x", "nope"], "unknown suites: nope"),
        (["parallel"], "is not a checkout of Metaflow: it has no test/parallel"),
    ],
)
def test_wrong_arguments_are_rejected(tmp_path: Path, arguments: list[str], message: str) -> None:
    argv = [sys.executable, "-m", "scripts.external_suites", str(tmp_path), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=SCRIPT.parents[1])
    assert done.returncode == 2
    assert message in done.stderr
