"""A check, as data: what is looked at, and what to do where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from devstack.kube.client import KubeClient
from devstack.process import Runner
from devstack.providers.base import ClusterSpec, Provider
from devstack.services.base import Service, ServiceContext
from devstack.state import StackDir, StackState


@dataclass(frozen=True)
class Finding:
    """Something wrong.

    Attributes:
        cause: what is wrong, in one sentence.
        remedy: what to do about it.
        severity: "error" where the stack cannot work, "warning" where it may not.
        code: stable, upper case.
    """

    cause: str
    remedy: str
    code: str
    severity: str = "error"


@dataclass
class Patient:
    """The machine and the stack that are looked at.

    Attributes:
        runner: starts programs.
        provider: where the cluster comes from.
        cluster: the cluster that is wanted.
        dir: the stack's directory.
        state: the stack's facts, None where it was never brought up.
        services: the parts of the stack.
        connect: returns a client of the API as administrator.
    """

    runner: Runner
    provider: Provider
    cluster: ClusterSpec
    dir: StackDir
    state: StackState | None
    connect: Callable[[], KubeClient]
    services: Sequence[Service] = field(default_factory=tuple)

    @property
    def up(self) -> bool:
        """True where the stack was brought up whole."""
        return self.state is not None and self.state.phase == "up"

    def service_context(self) -> ServiceContext:
        """Return what services may know; only for a stack that is up."""
        assert self.state is not None
        return ServiceContext(self.state, self.connect(), self.provider.maps_ports)


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
        name: short and stable, for JSON.
        description: what must hold.
        probe: looks once; returns what is wrong, nothing where all is well.
        needs_stack: True where it can only be asked of a stack that is up.
    """

    name: str
    description: str
    probe: Callable[[Patient], list[Finding]]
    needs_stack: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """A check that was made: "ok", "error", "warning" or "skipped", and the findings."""

    check: Check
    state: str
    findings: list[Finding]


def examine(checks: Sequence[Check], patient: Patient) -> list[Diagnosis]:
    """Make every check, those that need a stack only where one is up.

    A check that itself fails counts as a finding: the doctor never gives up
    half-way.
    """
    return [_examine_one(check, patient) for check in checks]


def _examine_one(check: Check, patient: Patient) -> Diagnosis:
    if check.needs_stack and not patient.up:
        return Diagnosis(check, "skipped", [])
    try:
        findings = check.probe(patient)
    except Exception as error:  # whatever it is, the other checks must be made
        remedy = str(getattr(error, "remedy", "")) or "report this as a bug"
        findings = [Finding(str(error), remedy, str(getattr(error, "code", "CHECK_FAILED")))]
    severities = {finding.severity for finding in findings}
    state = "error" if "error" in severities else "warning" if severities else "ok"
    return Diagnosis(check, state, findings)
