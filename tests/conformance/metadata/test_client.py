"""Metaflow's own runtime writes, Metaflow's own client reads."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.conformance.metadata.service import Metaflow, Service

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def shapes(metaflow: Metaflow) -> str:
    """The path of a run of all shapes of a graph."""
    metaflow.run("shapes", "run", "--tag", "first")
    path: str = metaflow.evaluate('found = Flow("ShapesFlow").latest_run.pathspec')
    return path


def of_run(metaflow: Metaflow, path: str, expression: str) -> Any:
    return metaflow.evaluate(f"run = Run({path!r})\nfound = {expression}")


def test_a_run_is_finished_and_has_its_data(metaflow: Metaflow, shapes: str) -> None:
    result = "[run.successful, run.finished, run.data.total, run.data.count]"
    assert of_run(metaflow, shapes, result) == [True, True, 5, 3]
    assert of_run(metaflow, shapes, "run.end_task.stdout") == "the total is 5\n"
    assert "on purpose" in of_run(metaflow, shapes, "run.data.caught")


def test_flows_and_runs_are_listed(metaflow: Metaflow, shapes: str) -> None:
    assert metaflow.evaluate("found = [flow.id for flow in Metaflow()]") == ["ShapesFlow"]
    listed = 'found = [run.pathspec for run in Flow("ShapesFlow")]'
    assert metaflow.evaluate(listed) == [shapes]


def test_each_attempt_of_a_task_is_readable(metaflow: Metaflow, shapes: str) -> None:
    result = metaflow.evaluate(f"""
square, = [task for task in Run({shapes!r})["square"] if task.index == 1]
first, second = [Task(square.pathspec, attempt=n) for n in range(2)]
found = [
    square.current_attempt, square.successful, first.successful, second.successful,
    square["tried"].data, second["tried"].data, square.metadata_dict["attempt"],
    [m.value for m in first.metadata if m.name == "attempt"],
]""")
    assert result == [1, True, False, True, 1, 1, "1", ["0"]]


def test_tasks_list_their_parents_and_children(metaflow: Metaflow, shapes: str) -> None:
    result = metaflow.evaluate(f"""
run = Run({shapes!r})
square, = [task for task in run["square"] if task.index == 2]
names = lambda tasks: sorted(task.parent.id for task in tasks)
found = [
    names(run["add"].task.parent_tasks), names(run["fan"].task.child_tasks),
    names(square.parent_tasks), names(square.child_tasks), names(run["start"].task.child_tasks),
    names(run["end_of_branches"].task.parent_tasks),
]""")
    assert result == [
        ["square"] * 3,
        ["square"] * 3,
        ["fan"],
        ["add"],
        ["fail", "fan"],
        ["add", "fail"],
    ]


def test_tags_are_changed_from_the_client(metaflow: Metaflow, shapes: str) -> None:
    result = metaflow.evaluate(f"""
run = Run({shapes!r})
run.add_tags(["second", "third"])
run.replace_tag("third", "fourth")
run.remove_tag("first")
again = Run({shapes!r})
found = [sorted(run.user_tags), sorted(again.user_tags), sorted(again["end"].task.user_tags)]""")
    assert result == [["fourth", "second"]] * 3


def test_a_system_tag_stays(metaflow: Metaflow, shapes: str) -> None:
    result = metaflow.evaluate(f"""
from metaflow.exception import MetaflowTaggingError
try:
    Run({shapes!r}).remove_tag("user:tester")
except MetaflowTaggingError as error:
    found = str(error)""")
    assert "cannot remove system tags: user:tester" in result


def test_runs_are_found_by_namespace_and_tag(metaflow: Metaflow, shapes: str) -> None:
    result = metaflow.evaluate("""
mine = len(list(Flow("ShapesFlow").runs("user:tester")))
namespace("user:somebody")
try:
    Flow("ShapesFlow")
    found = "visible"
except Exception as error:
    found = [mine, type(error).__name__]""")
    assert result == [1, "MetaflowNamespaceMismatch"]


def test_runs_and_tasks_send_heartbeats(metaflow: Metaflow, service: Service, shapes: str) -> None:
    run = f"/flows/{shapes.replace('/', '/runs/')}"
    assert service.get(run)["last_heartbeat_ts"]
    assert all(task["last_heartbeat_ts"] for task in service.get(f"{run}/tasks") if _ran(task))


def _ran(task: dict[str, Any]) -> bool:
    return bool(task["step_name"] != "_parameters")


def test_a_failed_run_is_resumed_at_the_failed_step(metaflow: Metaflow) -> None:
    process = metaflow.start("broken", "run")
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0, output
    broken = metaflow.evaluate('found = Flow("BrokenFlow").latest_run.pathspec')
    assert of_run(metaflow, broken, "[run.successful, run.finished]") == [False, False]
    metaflow.environment["MENDED"] = "1"
    metaflow.run("broken", "resume")
    result = metaflow.evaluate(f"""
old, new = Run({broken!r}), Flow("BrokenFlow").latest_run
found = [
    new.successful, new.pathspec != old.pathspec, old["start"].task["made_by"].data,
    new["start"].task["made_by"].data, new.origin_pathspec, old.successful,
]""")
    successful, is_new, made_by, still_made_by, origin, old_successful = result
    assert (successful, is_new, old_successful) == (True, True, False)
    assert made_by == still_made_by != os.getpid()
    assert origin == broken


def test_names_from_an_orchestrator_are_used(metaflow: Metaflow) -> None:
    """As Argo and Airflow do it: each step a process of its own, named from outside."""
    run, parameters = "airflow-0123456789ab", "airflow-parameters"
    metaflow.run("broken", "init", "--run-id", run, "--task-id", parameters)
    metaflow.environment["MENDED"] = "1"
    before = f"{run}/_parameters/{parameters}"
    for name in ("start", "end"):
        task = f"airflow-{name}-1"
        argv = ["--run-id", run, "--task-id", task, "--input-paths", before]
        metaflow.run("broken", "step", name, *argv)
        before = f"{run}/{name}/{task}"
    result = of_run(
        metaflow,
        f"BrokenFlow/{run}",
        "[run.id, run.successful, run['end'].task.id, run['start'].task['made_by'].data > 0]",
    )
    assert result == [run, True, "airflow-end-1", True]
