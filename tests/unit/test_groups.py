from __future__ import annotations

import pytest

from tests.support.groups import group_of, time_table


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
    ran = pytester.runpytest("-p", "tests.support.groups", "-v").stdout
    ran.fnmatch_lines(
        [
            "unit/test_unit.py*",
            "providers/test_providers.py*",
            "e2e/test_e2e.py*",
            "airflow/test_airflow.py*",
        ]
    )


def test_two_workers_run_two_groups_side_by_side(pytester: pytest.Pytester) -> None:
    for group in ("airflow", "e2e"):
        folder = pytester.mkdir(group)
        for name in ("one", "two"):
            (folder / f"test_{group}_{name}.py").write_text(
                "import os, pathlib\n"
                "def test_it():\n"
                f"    pathlib.Path({str(folder / name)!r})"
                ".write_text(os.environ['PYTEST_XDIST_WORKER'])\n"
            )
    pytester.runpytest("-p", "tests.support.groups", "-n2", "--dist=loadscope").assert_outcomes(
        passed=4
    )
    workers = {
        group: {(pytester.path / group / name).read_text() for name in ("one", "two")}
        for group in ("airflow", "e2e")
    }
    assert len(workers["airflow"]) == len(workers["e2e"]) == 1
    assert workers["airflow"] != workers["e2e"]


def test_the_time_of_a_group_holds_setup_and_teardown() -> None:
    phases = [("setup", 2.0), ("call", 0.5), ("teardown", 1.0)]
    reports = [
        pytest.TestReport(
            "tests/e2e/test_run.py::test_hello", ("", 0, ""), {}, "passed", None, phase, [], seconds
        )
        for phase, seconds in phases
    ]
    assert time_table(reports) == ["e2e           1 tests      3.5 s"]
