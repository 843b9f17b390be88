"""Checks of what task pods need in order to start: Secrets, permissions, quota, images."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from devstack import quantity
from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding
from devstack.kube.client import KubeClient, Object
from devstack.kube.conditions import has_ended
from devstack.kube.offers import measure_offers
from devstack.kube.pods import observe_pod
from devstack.kube.resources import CORE, RBAC
from devstack.services.base import Manifest
from devstack.stack import Stack
from devstack.waits import Failed

Right = tuple[str, str, str]
"""An API group, a resource and a verb."""

OVER_QUOTA = "exceeded quota"
"""Part of the API's message if a quota is exceeded."""

_OF_EVERY_TASK = ("pods", "count/pods", "count/jobs.batch", "cpu", "memory")
"""Resources of quotas without which no task runs."""


def _secrets(stack: Stack) -> list[Finding]:
    kube = stack.kube(REQUEST_TIMEOUT)
    found = []
    for item in _manifests(stack, "Secret"):
        metadata = item["metadata"]
        if kube.find(CORE, "Secret", metadata["name"], metadata["namespace"]) is None:
            cause = f"Secret {_name(item)} is missing: pods that refer to it do not start"
            found.append(Finding(cause, "devstack up creates it", "SECRET_MISSING"))
    return found


def _rights(stack: Stack) -> list[Finding]:
    kube = stack.kube(REQUEST_TIMEOUT)
    roles = [_lost_rights(kube, item) for item in _manifests(stack, "Role")]
    bindings = [_lost_subjects(kube, item) for item in _manifests(stack, "RoleBinding")]
    return [
        Finding(cause, "devstack up grants it", "RIGHTS_MISSING")
        for cause in [*roles, *bindings]
        if cause
    ]


def _lost_rights(kube: KubeClient, role: Manifest) -> str:
    """Return the permissions that a live Role lacks; empty if there are none."""
    metadata = role["metadata"]
    live = kube.find(RBAC, "Role", metadata["name"], metadata["namespace"])
    granted = set(_expand(live or {}))
    lost = [right for right in _expand(role) if not _covers(granted, right)]
    listed = ", ".join(f"{verb} {resource}" for _, resource, verb in lost)
    return f"Role {_name(role)} does not allow: {listed}" if lost else ""


def _covers(granted: set[Right], right: Right) -> bool:
    group, resource, verb = right
    choices = ((g, r, v) for g in (group, "*") for r in (resource, "*") for v in (verb, "*"))
    return any(choice in granted for choice in choices)


def _expand(role: Object) -> Iterator[Right]:
    for rule in role.get("rules") or []:
        for group in rule.get("apiGroups") or []:
            for resource in rule.get("resources") or []:
                for verb in rule.get("verbs") or []:
                    yield group, resource, verb


def _lost_subjects(kube: KubeClient, binding: Manifest) -> str:
    metadata = binding["metadata"]
    live = kube.find(RBAC, "RoleBinding", metadata["name"], metadata["namespace"]) or {}
    there = {(each["kind"], each["name"]) for each in live.get("subjects") or []}
    lost = [each for each in binding["subjects"] if (each["kind"], each["name"]) not in there]
    if not lost:
        return ""
    names = ", ".join(f"{each['kind']} {each['name']}" for each in lost)
    return f"RoleBinding {_name(binding)} does not grant {names} its Role"


def _quota(stack: Stack) -> list[Finding]:
    """Return the quotas that are used up.

    One of 0 forbids a kind of object on purpose, unless all tasks need it.
    """
    kube, namespace = stack.kube(REQUEST_TIMEOUT), stack.state.namespace
    causes = [
        f"ResourceQuota {_name(quota)} is used up: {used} of {hard} {resource}"
        for quota in kube.list_objects(CORE, "ResourceQuota", namespace)
        for resource, hard, used in _limits(quota)
        if _is_used_up(resource, quantity.parse(used) or 0, quantity.parse(hard) or 0)
    ]
    events = kube.list_objects(CORE, "Event", namespace, fields="type=Warning")
    causes += [
        f"{each['involvedObject']['kind']} {each['involvedObject']['name']}: {each['message']}"
        for each in events
        if OVER_QUOTA in each.get("message", "")
    ]
    remedy = f"wait for flows to end, request less, or raise it: kubectl -n {namespace} get quota"
    return [Finding(cause, remedy, "QUOTA_EXCEEDED") for cause in dict.fromkeys(causes)]


def _is_used_up(resource: str, used: Decimal | int, hard: Decimal | int) -> bool:
    return used >= hard and (hard > 0 or resource.removeprefix("requests.") in _OF_EVERY_TASK)


def _limits(quota: Object) -> Iterator[tuple[str, str, str]]:
    status = quota.get("status") or {}
    for resource, hard in (status.get("hard") or {}).items():
        yield resource, hard, (status.get("used") or {}).get(resource, "0")


def _task_pods(stack: Stack) -> list[Finding]:
    kube = stack.kube(REQUEST_TIMEOUT)
    pods = kube.list_objects(CORE, "Pod", stack.state.namespace)
    waiting = [pod for pod in pods if not has_ended(pod)]
    # Once for all pods: it lists all nodes and pods of the cluster.
    unplaced = any(not pod["spec"].get("nodeName") for pod in waiting)
    offers = measure_offers(kube) if unplaced else None
    observations = [observe_pod(kube, pod, offers) for pod in waiting]
    return [
        Finding(each.reason, each.remedy, each.code)
        for each in observations
        if isinstance(each, Failed)
    ]


def _manifests(stack: Stack, kind: str) -> Iterator[Manifest]:
    ctx = stack.context(stack.kube(REQUEST_TIMEOUT))
    for service in stack.services:
        yield from (item for item in service.manifests(ctx) if item["kind"] == kind)


def _name(item: Object) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


RIGHTS_CHECKS = (
    Check(
        "secrets",
        "the Secrets that pods refer to exist",
        _secrets,
        (
            Fault(
                "SECRET_MISSING",
                "A Secret of the stack was deleted.",
                "`devstack up` creates it again.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "rights",
        "the stack's Roles are complete",
        _rights,
        (
            Fault(
                "RIGHTS_MISSING",
                "A Role or RoleBinding of the stack was changed.",
                "`devstack up` grants it again.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "quota",
        "the quota for task pods is not used up",
        _quota,
        (
            Fault(
                "QUOTA_EXCEEDED",
                "A ResourceQuota of the tasks' namespace allows no more pods.",
                "Wait for flows to end, request less, or raise it.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "task-pods",
        "task pods can start",
        _task_pods,
        (
            Fault(
                "IMAGE_PULL_FAILED",
                "An image of a task cannot be pulled; other reasons have codes of their own.",
                "[images.md](images.md); `devstack why POD`.",
            ),
            Fault(
                "POD_UNSCHEDULABLE",
                "No node offers what a task requests.",
                "Add a pool, or request less: [pools.md](pools.md).",
            ),
        ),
        needs_stack=True,
    ),
)
