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
from scripts.external_suites import core, flows, kfp, kit, programs, pytest_suite, ux
from scripts.external_suites.results import FAILED, PASSED, SKIPPED, XFAILED, Result, build_table
from scripts.external_suites.selection import choose_tenth

SCRIPT = project_file("scripts", "external-suites")
LINE = "### test 'BasicLogTest' graph 'linear' in context 'python3-k8s': {} [using {} executor] ###"
OWN_ERROR = """Traceback (most recent call last):
  File "/copies/run_tests.py", line 643, in <module>
    cli()
NameError: cannot access free variable 'run'
"""
CASE = '<testsuites><testsuite><testcase name="a">{}</testcase></testsuite></testsuites>'
LISTED = """core/test_a.py::test_b[local-runner]
core/test_a.py::test_conda

==== warnings summary ====
core/test_a.py:48
  core/test_a.py::test_b: PytestUnknownMarkWarning
2 tests collected in 0.77s
"""


def build_programs(folder: Path, **settings: object) -> programs.Programs:
    checkouts = {name: folder / name for name in (programs.METAFLOW, programs.KIT, programs.KFP)}
    copies = folder / "copies"
    copies.mkdir(exist_ok=True)
    return programs.Programs(checkouts, copies, folder, sys.executable, **settings)  # type: ignore[arg-type]


def test_the_table_counts_and_lists_by_reason_what_did_not_pass() -> None:
    results = [
        Result("ux", "test_a", PASSED, seconds=90),
        Result("ux", "test_b", FAILED, "a | b"),
        Result("core", "C", SKIPPED, "no channel"),
        Result("core", "D", SKIPPED, "no channel"),
        Result("core", "E", XFAILED, "not yet"),
    ]
    lines = build_table(results).splitlines()
    assert "| ux | 2 | 1 | 1 | 0 | 0 | 1.5 |" in lines
    assert "| core | 3 | 0 | 0 | 2 | 1 | 0.0 |" in lines
    assert "| ux | failed | `test_b` | a \\| b |" in lines
    assert "| core | skipped | 2: `C`, `D` | no channel |" in lines
    assert "| core | xfailed | `E` | not yet |" in lines
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


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("", (PASSED, "")),
        ('<failure message="not\nequal">trace</failure>', (FAILED, "not equal")),
        ('<skipped type="pytest.skip" message="No scheduler"/>', (SKIPPED, "No scheduler")),
        ('<skipped type="pytest.xfail" message="not yet"/>', (XFAILED, "not yet")),
        ('<skipped message="a"/><error message="teardown">trace</error>', (FAILED, "teardown")),
    ],
)
def test_pytests_report_is_read_with_its_reason(inside: str, expected: tuple[str, str]) -> None:
    assert pytest_suite.read_report(CASE.format(inside)) == expected


def test_a_report_without_a_test_says_nothing() -> None:
    assert pytest_suite.read_report("<testsuites/>") == ("", "")


def test_the_tests_are_read_from_what_pytest_lists() -> None:
    found = pytest_suite.read_list(LISTED + "ERROR core/test_b.py::test_c - no module")
    assert found == ["core/test_a.py::test_b[local-runner]", "core/test_a.py::test_conda"]
    assert pytest_suite.short_name(found[0]) == "test_a::test_b[local-runner]"


def test_a_tenth_is_the_same_for_any_order_and_changes_little_with_a_new_test() -> None:
    names = [f"test_{number}" for number in range(94)]
    chosen = choose_tenth(names)
    assert len(chosen) == 10
    assert set(chosen) == set(choose_tenth(names[::-1]))
    assert len({*chosen} ^ {*choose_tenth([*names, "test_new"])}) <= 2
    assert choose_tenth(["only"]) == ["only"]


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
    ]
    ours = build_programs(tmp_path, results=results_of(*rows))
    ours.forget("core", "BasicTest")
    assert list(ours.results) == ["core BasicTestX linear (cli)"]


class FakePytest:
    """Stands for pytest in :class:`programs.Programs`: lists two tests, of which one needs conda.

    Args:
        report: what it reports of a test; no report if empty.

    Attributes:
        ran: the arguments of the calls that ran a test, and their folder.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, report: str = CASE.format("")) -> None:
        self.report = report
        self.ran: list[tuple[list[str], Path]] = []
        monkeypatch.setattr(programs.Programs, "run", self._run)

    def _run(self, _name: str, *argv: str, cwd: Path, **_: float) -> programs.Done:
        if "--collect-only" in argv:
            lines = LISTED.splitlines()
            selected = lines[1:] if "conda" in argv else lines[:0] if "-k" in argv else lines
            return programs.Done(0, "\n".join(selected), 1)
        self.ran.append(([*argv], cwd))
        file = next(each for each in argv if each.startswith("--junitxml=")).partition("=")[2]
        if self.report:
            Path(file).write_text(self.report)
        return programs.Done(1, "Segmentation fault", 2)


def checkout_of(folder: Path, *files: str) -> None:
    """Create a checkout with these files."""
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def metaflow_checkout(folder: Path) -> None:
    """Create a checkout with the configuration of test/ux."""
    checkout_of(folder / "metaflow", f"{ux.FOLDER}/core/flows/a.py")
    backends = [{"name": "airflow-kubernetes", "decospec": None, "xfail_reason": "not yet"}]
    configuration = folder / "metaflow" / ux.FOLDER / ux.CONFIGURATION
    configuration.write_text(json.dumps({"backends": backends}))


def test_each_backend_of_ux_is_a_suite_whose_failures_are_not_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest_calls = FakePytest(monkeypatch)
    metaflow_checkout(tmp_path)
    ours = build_programs(tmp_path, backends=["local", "airflow-kubernetes"])
    results = list(ux.run_ux(ours))
    assert [(each.suite, each.test, each.outcome) for each in results] == [
        ("ux", "test_a::test_b[local-runner]", PASSED),
        ("ux", "test_a::test_conda", SKIPPED),
        ("ux airflow-kubernetes", "test_a::test_b[local-runner]", PASSED),
        ("ux airflow-kubernetes", "test_a::test_conda", SKIPPED),
    ]
    (local, root), (airflow, _) = pytest_calls.ran
    assert "--exec-mode" in local
    assert "--exec-mode" not in airflow
    assert airflow[-1] == f"{root}/core/test_a.py::test_b[local-runner]"
    assert "xfail" not in (root / ux.CONFIGURATION).read_text()
    assert "xfail" in (tmp_path / "metaflow" / ux.FOLDER / ux.CONFIGURATION).read_text()


def test_the_kit_runs_in_the_folder_of_the_flows_on_schedulers_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest_calls = FakePytest(monkeypatch)
    metaflow_checkout(tmp_path)
    checkout_of(tmp_path / "kit", f"{kit.FOLDER}/__init__.py")
    results = list(kit.run_kit(build_programs(tmp_path, backends=["local", "argo-kubernetes"])))
    assert {each.suite for each in results} == {"kit argo-kubernetes"}
    ((argv, cwd),) = pytest_calls.ran
    assert cwd.parts[-2:] == ("core", "flows")
    assert argv[argv.index("--scheduler-type") + 1] == "argo-workflows"


def test_kfps_tests_get_the_address_of_the_stack_and_what_they_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest_calls = FakePytest(monkeypatch)
    folders = (kfp.TESTS, "test_data", "backend/api/v2beta1/python_http_client")
    checkout_of(tmp_path / "kfp", *(f"{folder}/a.py" for folder in folders))
    assert len(list(kfp.run_kfp(build_programs(tmp_path)))) == 2
    argv, root = pytest_calls.ran[0]
    assert "apiUrl=$METAFLOW_KUBEFLOW_PIPELINES_URL" in argv[2]
    assert all((root / folder / "a.py").exists() for folder in folders)


def test_a_test_without_a_report_has_failed_with_the_end_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakePytest(monkeypatch, report="")
    metaflow_checkout(tmp_path)
    first, _ = ux.run_ux(build_programs(tmp_path, backends=["local"]))
    assert (first.outcome, first.reason) == (FAILED, "Segmentation fault")


def test_tests_of_which_an_earlier_call_has_results_do_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest_calls = FakePytest(monkeypatch)
    metaflow_checkout(tmp_path)
    known = results_of(
        ("ux", "test_a::test_b[local-runner]", PASSED), ("ux", pytest_suite.COLLECTION, FAILED)
    )
    (skipped,) = ux.run_ux(build_programs(tmp_path, backends=["local"], results=known))
    assert skipped.test == "test_a::test_conda"
    assert not pytest_calls.ran
    assert list(known) == ["ux test_a::test_b[local-runner]"]


def test_a_suite_whose_tests_cannot_be_listed_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = programs.Done(2, "ImportError: no module", 1)
    monkeypatch.setattr(programs.Programs, "run", lambda *_, **__: done)
    metaflow_checkout(tmp_path)
    (found,) = ux.run_ux(build_programs(tmp_path, backends=["local"]))
    assert (found.test, found.outcome, found.reason) == ("collection", FAILED, done.output)


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
        (["kit"], "the suite kit needs --kit CHECKOUT"),
        (
            ["kfp", "--kfp", "."],
            "is not a checkout of Kubeflow Pipelines: it has no sdk/python/test",
        ),
    ],
)
def test_wrong_arguments_are_rejected(tmp_path: Path, arguments: list[str], message: str) -> None:
    argv = [sys.executable, "-m", "scripts.external_suites", str(tmp_path), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=SCRIPT.parents[1])
    assert done.returncode == 2
    assert message in done.stderr
