"""Where the steps of a flow run: on the cluster, or on this machine.

One rule: a step runs where its own decorator says; a step without one gets ``@kubernetes``, or
with ``--local`` stays on this machine. So `devstack run` is Metaflow's ``run --with
kubernetes``, and `devstack run --local` is Metaflow's ``run``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from devstack.flows.arguments import FlowArguments
from devstack.flows.pods import TaskPod
from devstack.flows.source import PLATFORMS, FlowSource

CLUSTER = "cluster"
THIS_MACHINE = "this machine"

_KUBERNETES = "kubernetes"


@dataclass(frozen=True)
class Placement:
    """Where steps run.

    Attributes:
        source: the flow.
        default: the platform of steps without a decorator of their own; empty for this machine.
        added: the decorators to add to the command of the run.
        reason: why steps without a decorator run there.
    """

    source: FlowSource
    default: str
    added: tuple[str, ...]
    reason: str

    @property
    def uses_cluster(self) -> bool:
        """True if a step runs in a pod."""
        return bool(self.default) or any(self.source.steps.values())

    def place_of(self, step: str) -> str:
        """Return where a step runs."""
        return CLUSTER if self.source.steps.get(step) or self.default else THIS_MACHINE

    def __str__(self) -> str:
        """Return the sentence that is printed before the run."""
        steps = self.source.steps
        if not steps:  # defined in another file
            return f"Steps run on {_named(CLUSTER if self.default else THIS_MACHINE)}{self.reason}"
        own = [name for name, platform in steps.items() if platform]
        others = [name for name, platform in steps.items() if not platform]
        parts = []
        if own:
            where = "the cluster" if self.default else "the cluster (their own decorator)"
            parts.append(f"{', '.join(own)} on {where}")
        if others:
            place = _named(CLUSTER if self.default else THIS_MACHINE)
            parts.append(f"{', '.join(others)} on {place}{self.reason}")
        return f"Steps: {'; '.join(parts)}"


def place_steps(
    source: FlowSource,
    arguments: FlowArguments,
    variables: Mapping[str, str],
    *,
    local: bool,
) -> Placement:
    """Return where the steps of a flow run.

    Args:
        source: the flow.
        arguments: its arguments; an option ``--with`` may name a platform for every step.
        variables: the environment of the flow's process, which may name decorators too.
        local: True to keep steps without a platform's decorator on this machine.
    """
    if arguments.is_spin:
        alone = replace(source, steps=dict.fromkeys(source.steps, ""))
        return Placement(alone, "", (), " (--mode spin)")
    before = _specs(arguments.values_before("--with"), variables, "METAFLOW_DECOSPECS")
    variable = f"METAFLOW_{arguments.command.upper()}_DECOSPECS"
    after = _specs(arguments.values_after("--with"), variables, variable)
    # In the order in which Metaflow attaches them: of two platforms, the first counts.
    specs = [*after, *variables.get("METAFLOW_DEFAULT_DECOSPECS", "").split(), *before]
    named = next((spec for spec in specs if spec.partition(":")[0] in PLATFORMS), "")
    if named:
        return Placement(source, named.partition(":")[0], (), f" (--with {named})")
    if local:
        return Placement(source, "", (), " (--local)")
    if "batch" in source.steps.values():
        # Metaflow rejects a step with both.
        return Placement(source, "", (), "")
    # devstack's own option would hide this variable as well.
    kept = () if arguments.values_after("--with") else after
    return Placement(source, _KUBERNETES, (*kept, _KUBERNETES), "")


def _specs(
    typed: Sequence[tuple[str, str]], variables: Mapping[str, str], variable: str
) -> list[str]:
    """Return the decorators of every step on one side of the command.

    click ignores the variable of an option that is typed.
    """
    return [value for _option, value in typed] or variables.get(variable, "").split()


def observed_places(
    placement: Placement, started: Iterable[str], pods: Sequence[TaskPod]
) -> dict[str, str]:
    """Return where each step ran, in the order in which they started.

    Args:
        placement: where they were to run.
        started: the steps that Metaflow reported as started.
        pods: the pods of the run.
    """
    in_pods = {pod.step for pod in pods}
    order = dict.fromkeys([*started, *(pod.step for pod in pods)])
    return {
        step: CLUSTER if step in in_pods else THIS_MACHINE
        for step in order
        if step in in_pods or placement.place_of(step) == THIS_MACHINE
    }


def describe_places(places: Mapping[str, str], pods: Collection[TaskPod]) -> str:
    """Return the sentence that is printed after the run."""
    count = Counter(pod.step for pod in pods)
    lists = {
        CLUSTER: [
            f"{step} ({count[step]} pods)" if count[step] > 1 else step
            for step, place in places.items()
            if place == CLUSTER
        ],
        THIS_MACHINE: [step for step, place in places.items() if place == THIS_MACHINE],
    }
    parts = [f"on {_named(place)}: {', '.join(steps)}" for place, steps in lists.items() if steps]
    return "; ".join(parts)


def _named(place: str) -> str:
    return "the cluster" if place == CLUSTER else place
