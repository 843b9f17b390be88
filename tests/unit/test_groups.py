from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.groups import group_of, lane_of, time_table


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/unit/test_ports.py::test_one", "unit"),
        ("tests/e2e/faults/test_disk.py::test_full[1]", "e2e"),
        ("tests/airflow/load/test_runs_at_once.py::test_one", "load"),
        ("tests/conformance/metadata/test_client.py::test_one", "metadata"),
        ("tests/test_stray.py::test_one", "other"),
    ],
)
def test_a_group_is_the_innermost_folder_with_its_name(nodeid: str, group: str) -> None:
    assert group_of(nodeid).name == group


def test_groups_start_in_the_order_of_the_plan(pytester: pytest.Pytester) -> None:
    for group in ("airflow", "e2e", "unit", "providers"):
        folder = pytester.mkdir(group)
        (folder / f"test_{group}.py").write_text("def test_it(): pass\n")
    ran = pytester.runpytest("-p", "tests.support.groups", "-v").stdout
    ran.fnmatch_lines(
        [
            "unit/test_unit.py*",
            "airflow/test_airflow.py*",
            "e2e/test_e2e.py*",
            "providers/test_providers.py*",
        ]
    )


def test_load_follows_airflow_on_its_stack_and_unit_tests_are_spread() -> None:
    assert lane_of("tests/airflow/load/test_runs.py::test_one") == "airflow"
    assert lane_of("tests/airflow/test_deploy.py::test_one") == "airflow"
    assert lane_of("tests/unit/test_ports.py::test_one") == "tests/unit/test_ports.py"


WRITE_SPAN = """
import os, pathlib, time
def test_it():
    start = time.monotonic()
    time.sleep({seconds})
    span = f"{{os.environ['PYTEST_XDIST_WORKER']}} {{start}} {{time.monotonic()}}"
    pathlib.Path({path!r}).write_text(span)
"""


def run_side_by_side(
    pytester: pytest.Pytester, *groups: str, seconds: float = 0.2
) -> dict[str, list[tuple[str, float, float]]]:
    """Run two tests of each group with two workers; return worker, start and end of each."""
    spans: dict[str, list[Path]] = {}
    for group in groups:
        folder = pytester.mkdir(group)
        spans[group] = [folder / name for name in ("one", "two")]
        for path in spans[group]:
            text = WRITE_SPAN.format(seconds=seconds, path=str(path))
            (folder / f"test_{group}_{path.name}.py").write_text(text)
    plugins = ("-p", "tests.support.groups", "-p", "tests.support.machine_lock")
    ran = pytester.runpytest(*plugins, "-n2", "--dist=loadscope")
    ran.assert_outcomes(passed=2 * len(groups))
    return {group: [_span(path) for path in paths] for group, paths in spans.items()}


def _span(path: Path) -> tuple[str, float, float]:
    worker, start, end = path.read_text().split()
    return worker, float(start), float(end)


def test_two_workers_run_two_groups_side_by_side(pytester: pytest.Pytester) -> None:
    spans = run_side_by_side(pytester, "airflow", "e2e")
    workers = {group: {worker for worker, _, _ in each} for group, each in spans.items()}
    assert len(workers["airflow"]) == len(workers["e2e"]) == 1
    assert workers["airflow"] != workers["e2e"]


def test_nothing_runs_in_parallel_to_a_group_that_runs_alone(pytester: pytest.Pytester) -> None:
    spans = run_side_by_side(pytester, "conformance", "airflow", "e2e")
    begin = min(start for _, start, _ in spans["conformance"])
    end = max(end for _, _, end in spans["conformance"])
    for _, start, stop in spans["airflow"] + spans["e2e"]:
        assert stop <= begin or start >= end


def test_the_files_of_a_group_that_runs_alone_run_side_by_side(pytester: pytest.Pytester) -> None:
    (one, two) = run_side_by_side(pytester, "conformance", seconds=2.0)["conformance"]
    assert one[0] != two[0]
    assert max(one[1], two[1]) < min(one[2], two[2])


def test_the_time_of_a_group_includes_setup_and_teardown() -> None:
    phases = [("setup", 2.0), ("call", 0.5), ("teardown", 1.0)]
    reports = [
        pytest.TestReport(
            "tests/e2e/test_run.py::test_hello", ("", 0, ""), {}, "passed", None, phase, [], seconds
        )
        for phase, seconds in phases
    ]
    assert time_table(reports) == ["e2e            1 tests      3.5 s"]
