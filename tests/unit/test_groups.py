from __future__ import annotations

import pytest

from tests.groups import group_of, time_table


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/unit/test_ports.py::test_one", "unit"),
        ("tests/e2e/faults/test_disk.py::test_full[1]", "e2e"),
        ("tests/test_stray.py::test_one", "other"),
    ],
)
def test_a_group_is_the_folder_below_tests(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group


def test_groups_run_cheapest_first(pytester: pytest.Pytester) -> None:
    for group in ("airflow", "e2e", "unit", "providers"):
        folder = pytester.mkdir(group)
        (folder / f"test_{group}.py").write_text("def test_it(): pass\n")
    ran = pytester.runpytest("-p", "tests.groups", "-v").stdout
    ran.fnmatch_lines(
        [
            "unit/test_unit.py*",
            "providers/test_providers.py*",
            "e2e/test_e2e.py*",
            "airflow/test_airflow.py*",
        ]
    )


def test_two_workers_run_airflow_beside_all_others(pytester: pytest.Pytester) -> None:
    for group in ("airflow", "e2e", "unit"):
        folder = pytester.mkdir(group)
        (folder / f"test_{group}.py").write_text(
            "import os, pathlib\n"
            "def test_it():\n"
            f"    pathlib.Path({str(pytester.path / group)!r}, 'worker')"
            ".write_text(os.environ['PYTEST_XDIST_WORKER'])\n"
        )
    pytester.runpytest("-p", "tests.groups", "-n2", "--dist=loadscope").assert_outcomes(passed=3)
    workers = {
        group: (pytester.path / group / "worker").read_text()
        for group in ("airflow", "e2e", "unit")
    }
    assert workers["e2e"] == workers["unit"] != workers["airflow"]


def test_the_time_of_a_group_holds_setup_and_teardown() -> None:
    phases = [("setup", 2.0), ("call", 0.5), ("teardown", 1.0)]
    reports = [
        pytest.TestReport(
            "tests/e2e/test_run.py::test_hello", ("", 0, ""), {}, "passed", None, phase, [], seconds
        )
        for phase, seconds in phases
    ]
    assert time_table(reports) == ["e2e           1 tests      3.5 s"]
