"""Where steps run: one rule, the same before the run, in the run and after it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.flows.arguments import parse_arguments
from devstack.flows.placement import (
    CLUSTER,
    THIS_MACHINE,
    Placement,
    describe_places,
    observed_places,
    place_steps,
)
from devstack.flows.pod_values import check_pod_values
from devstack.flows.pods import describe_pod
from devstack.flows.source import FlowSource
from devstack.paths import project_file
from tests.support.task_objects import task_pod

MIXED = {"start": "", "train": "kubernetes", "end": ""}


def place(
    *arguments: str,
    local: bool = False,
    steps: Mapping[str, str] = MIXED,
    variables: Mapping[str, str] | None = None,
) -> Placement:
    source = FlowSource(Path("my_flow.py"), steps)
    parsed = parse_arguments(source, arguments)
    return place_steps(source, parsed, variables or {}, local=local)


def places(placement: Placement) -> list[str]:
    return [placement.place_of(step) for step in placement.source.steps]


def test_a_step_without_a_decorator_runs_on_the_cluster_whatever_the_others_have() -> None:
    for steps in (MIXED, dict.fromkeys(MIXED, "")):
        placement = place(steps=steps)
        assert placement.added == ("kubernetes",)
        assert places(placement) == [CLUSTER] * 3


def test_local_keeps_steps_without_a_decorator_on_this_machine() -> None:
    placement = place(local=True)
    assert placement.added == ()
    assert places(placement) == [THIS_MACHINE, CLUSTER, THIS_MACHINE]
    assert str(placement) == (
        "Steps: train on the cluster (their own decorator); start, end on this machine (--local)"
    )


@pytest.mark.parametrize(
    "arguments", [("--with", "kubernetes:cpu=1"), ("--with=kubernetes",), ("--with", "batch")]
)
@pytest.mark.parametrize("local", [True, False])
def test_a_platform_that_an_option_names_is_not_named_again(
    arguments: tuple[str, ...], local: bool
) -> None:
    placement = place(*arguments, local=local)
    assert placement.added == ()
    assert places(placement) == [CLUSTER] * 3


@pytest.mark.parametrize(
    "variable", ["METAFLOW_DECOSPECS", "METAFLOW_DEFAULT_DECOSPECS", "METAFLOW_RUN_DECOSPECS"]
)
def test_a_platform_that_a_variable_names_is_not_named_again(variable: str) -> None:
    placement = place(variables={variable: "retry kubernetes:memory=256"})
    assert placement.added == ()
    assert "(--with kubernetes:memory=256)" in str(placement)


def test_decorators_in_a_variable_that_an_option_would_hide_are_added_to_it() -> None:
    variables = {"METAFLOW_RUN_DECOSPECS": "retry", "METAFLOW_RESUME_DECOSPECS": "card"}
    assert place(variables=variables).added == ("retry", "kubernetes")
    assert place("resume", variables=variables).added == ("card", "kubernetes")
    # The user's own option hides it as well.
    assert place("--with", "card", variables=variables).added == ("kubernetes",)
    assert place(local=True, variables=variables).added == ()
    # One before the command hides another variable.
    assert place("--with", "card", "run", variables=variables).added == ("retry", "kubernetes")


@pytest.mark.parametrize(
    ("typed", "variable", "counts"),
    [
        (["--with", "retry", "run"], "METAFLOW_DECOSPECS", False),
        (["--with", "retry", "run"], "METAFLOW_RUN_DECOSPECS", True),
        (["--with", "retry", "run"], "METAFLOW_DEFAULT_DECOSPECS", True),
        (["run", "--with", "retry"], "METAFLOW_DECOSPECS", True),
        (["run", "--with", "retry"], "METAFLOW_RUN_DECOSPECS", False),
        (["--with", "retry"], "METAFLOW_DECOSPECS", True),
        (["run"], "METAFLOW_RESUME_DECOSPECS", False),
    ],
)
def test_an_option_hides_the_variable_of_its_side_of_the_command_only(
    typed: list[str], variable: str, counts: bool
) -> None:
    placement = place(*typed, local=True, variables={variable: "kubernetes"})
    assert (placement.place_of("start") == CLUSTER) == counts


@pytest.mark.parametrize("arguments", [("--mode", "spin"), ("--mode=spin", "run", "--n", "3")])
def test_in_spin_mode_metaflow_ignores_decorators_so_all_steps_run_here(
    arguments: tuple[str, ...],
) -> None:
    placement = place(*arguments, "--with", "kubernetes")
    assert not placement.uses_cluster
    assert places(placement) == [THIS_MACHINE] * 3
    assert str(placement) == "Steps: start, train, end on this machine (--mode spin)"


def test_a_flow_with_steps_for_aws_batch_gets_no_second_platform() -> None:
    assert place(steps={"start": "batch", "end": ""}).added == ()


def test_a_flow_whose_steps_are_in_another_file_is_described_without_names() -> None:
    assert str(place(steps={})) == "Steps run on the cluster"
    assert str(place(steps={}, local=True)) == "Steps run on this machine (--local)"


def test_after_the_run_pods_decide_what_ran_where() -> None:
    pods = [describe_pod(task_pod(name, "train")) for name in ("t-1", "t-2")]
    placement = place(local=True)
    ran = observed_places(placement, ["start", "train", "end"], pods)
    assert ran == {"start": THIS_MACHINE, "train": CLUSTER, "end": THIS_MACHINE}
    assert describe_places(ran, pods) == (
        "on the cluster: train (2 pods); on this machine: start, end"
    )
    # A step whose pod was never created ran nowhere.
    assert observed_places(place(), ["start"], []) == {}


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table that begins with this cell in docs/running-flows.md."""
    lines = project_file("docs", "running-flows.md").read_text().splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return [rows[0], *rows[2:]]


def test_the_documented_table_of_places_is_true() -> None:
    head, *rows = table("step")
    assert head[:3] == ["step", "`devstack run`", "`devstack run --local`"]
    assert len(rows) == 3
    for step, run, local, _airflow in rows:
        arguments = ["--with", "kubernetes:cpu=1"] if "--with" in step else []
        steps = {"start": "kubernetes" if step == "`@kubernetes`" else ""}
        assert place(*arguments, steps=steps).place_of("start") == run
        assert place(*arguments, steps=steps, local=True).place_of("start") == local


def test_the_documented_variables_name_decorators() -> None:
    text = project_file("docs", "running-flows.md").read_text()
    documented = set(re.findall(r"METAFLOW_\w*DECOSPECS", text))
    for variable in documented:
        command = ["resume"] if "RESUME" in variable else []
        assert place(*command, variables={variable: "kubernetes"}).added == ()
    assert len(documented) == 4


def test_each_documented_code_is_one_of_devstacks() -> None:
    codes = {code for row in table("code")[1:] for code in re.findall(r"`([A-Z_]+)`", row[0])}
    assert "POD_NOT_STARTED" in codes
    sources = project_file("devstack").rglob("*.py")
    known = "".join(source.read_text() for source in sources)
    assert [code for code in codes if f'"{code}"' not in known] == []


@pytest.mark.parametrize(
    ("typed", "argv"),
    [
        ("--n 3", "run --n 3"),
        ("--package-suffixes .sql --n 3", "--package-suffixes .sql run --n 3"),
        ("run --environment local", "--environment local run"),
        ("resume train --origin-run-id 7", "resume train --origin-run-id 7"),
        ("--config cfg file.json", "--config cfg file.json run"),
        ("card list", "card list"),
    ],
)
def test_documented_arguments_stand_where_metaflow_expects_them(typed: str, argv: str) -> None:
    assert parse_arguments(FlowSource(Path("my_flow.py")), typed.split()).argv == argv.split()


@pytest.mark.parametrize(
    ("typed", "rejected"),
    [
        (["--tag", "a b #c, $HOME Málaga"], False),
        (["--tag", "it's"], True),
        (["--namespace", 'say "hi"'], True),
        (["--tag", "$HOME"], True),
        (["--tag", "a\\\\b"], True),
        (["--tag", "price$$"], True),
        (["--namespace", "by $(USER)"], True),
        (["--with", 'environment:vars={"A": "$(B)"}'], True),
        (["--with", 'environment:vars={"A": "b"}'], False),
        (["--with", "environment:vars={'A': 'b'}"], True),
        (["resume", "--run-id", "a b"], True),
        (["--n", 'it\'s "$HOME" \\\\'], False),
    ],
)
def test_documented_values_are_accepted_or_rejected(typed: list[str], rejected: bool) -> None:
    source = FlowSource(Path("my_flow.py"))
    arguments = parse_arguments(source, typed)
    with pytest.raises(DevstackError) if rejected else nullcontext():
        check_pod_values(source, arguments, {})


def test_a_file_name_with_a_space_is_rejected() -> None:
    source = FlowSource(Path("my flow.py"))
    with pytest.raises(DevstackError):
        check_pod_values(source, parse_arguments(source, []), {})
