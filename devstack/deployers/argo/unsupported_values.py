"""Values that Argo, Kubernetes or a pod's shell would reject, or not get as they are.

Other values are passed on exactly; see docs/argo.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from devstack.cron import ScheduleError, argo_schedule
from devstack.deployers.argo.notifications import INSTEAD, OPTIONS, REASON
from devstack.deployers.flow_description import FlowDescription, StepDescription
from devstack.deployers.pod_texts import text_problem
from devstack.deployers.unsupported import Violation

_NAME = re.compile(r"[-a-zA-Z0-9_]+")
"""Argo's names of parameters (argo-workflows, workflow/validate, paramOrArtifactNameRegex)."""

_STEP = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_]{0,99}")
"""Argo's names of templates have at most 128 characters; Metaflow adds to some of them."""

_REPLACED = re.compile(r"\{\{|\$[$(]")
_UNQUOTED = re.compile(r"[\w@%+=:,./][\w@%+=:,./-]*", re.ASCII)
KNOWN_ZONE = "Europe/Berlin"


@dataclass(frozen=True)
class DeployValues:
    """What the user typed for one deployment.

    Attributes:
        script: the name of the flow's file.
        datastore_root: the datastore's address.
        tags: the tags of the runs.
        namespace: Metaflow's namespace of the runs.
        identities: the user and production tokens by their options.
        schedule: the option ``--schedule``, or the flow's @schedule as its author wrote it;
            empty if it has none.
        timezone: the time zone of the flow's @schedule; empty for UTC.
        options: the values of Metaflow's `create`, by name.
    """

    script: str
    datastore_root: str = ""
    tags: Sequence[str] = ()
    namespace: str = ""
    identities: Mapping[str, str | None] = field(default_factory=dict)
    schedule: str = ""
    timezone: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def find_value_violations(flow: FlowDescription, values: DeployValues) -> list[Violation]:
    """Return the values of a flow and of a deployment that cannot be used."""
    return [
        *_check_notifications(values.options),
        *_check_texts(values),
        *_check_schedule(values.schedule),
        *_check_timezone(values.timezone),
        *_check_names(flow),
        *(each for step in flow.steps.values() for each in _check_step(step)),
    ]


def _check_notifications(options: Mapping[str, Any]) -> Iterator[Violation]:
    for option in OPTIONS:
        if options.get(option.removeprefix("--").replace("-", "_")):
            yield Violation("the deployment", option, REASON, INSTEAD)


def _check_texts(values: DeployValues) -> Iterator[Violation]:
    texts = [*(("--tag", tag) for tag in values.tags), ("--namespace", values.namespace)]
    identities = [(where, text or "") for where, text in values.identities.items()]
    for where, text in [*texts, *identities]:
        problem = text_problem(text)
        if (where, text) in identities and _REPLACED.search(text):
            problem = "Argo replaces {{...}} in it, and the kubelet $$ and $(NAME)"
        if problem:
            yield Violation(where, repr(text[:80]), problem, "choose another text")
    unquoted = "Metaflow puts it into a shell script without quotes"
    if not _UNQUOTED.fullmatch(values.script):
        yield Violation("the file's name", repr(values.script), unquoted, "rename the file")
    if values.datastore_root and not _UNQUOTED.fullmatch(values.datastore_root):
        yield Violation("--datastore-root", repr(values.datastore_root), unquoted, "omit it")


def _check_schedule(schedule: str) -> Iterator[Violation]:
    try:
        argo_schedule(schedule)
    except ScheduleError as error:
        yield Violation("@schedule", repr(schedule), str(error), error.instead)


def _check_timezone(name: str) -> Iterator[Violation]:
    if not name or not is_timezone(KNOWN_ZONE):
        # Without a database of time zones there is nothing to compare with.
        return
    if not is_timezone(name):
        reason = "there is no such time zone"
        yield Violation("@schedule", f"timezone={name!r}", reason, f"use one such as {KNOWN_ZONE}")


def is_timezone(name: str) -> bool:
    """Return True if this machine's database of time zones has this one."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return False
    return True


def _check_names(flow: FlowDescription) -> Iterator[Violation]:
    for parameter in flow.parameters:
        if not _NAME.fullmatch(parameter.name):
            reason = "Argo's names have letters from a to z, digits, `_` and `-` only"
            where = f"parameter {parameter.name}"
            yield Violation(where, "the name", reason, 'rename it: Parameter("name", ...)')
    for name in flow.steps:
        if not _STEP.fullmatch(name):
            reason = (
                "Argo's names have letters from a to z, digits and `-` only, begin with a letter or"
                " digit, and are short"
            )
            yield Violation(f"step {name[:40]}", "the name", reason, "rename the step")


def _check_step(step: StepDescription) -> Iterator[Violation]:
    where = f"step {step.name}"
    for decorator in step.decorators:
        for name, value in decorator.attributes.items():
            if decorator.name == "environment" and isinstance(value, Mapping):
                yield from _check_variables(where, value)
            elif decorator.name == "kubernetes" and "{{" in repr(value):
                what = f"@kubernetes({name}={value!r:.80})"
                reason = "Argo takes {{ for a template of its own"
                yield Violation(where, what, reason, "use another value")


def _check_variables(where: str, variables: Mapping[Any, Any]) -> Iterator[Violation]:
    for name, value in variables.items():
        if problem := text_problem(str(value)):
            yield Violation(where, f"@environment variable {name}", problem, "use a shorter text")
