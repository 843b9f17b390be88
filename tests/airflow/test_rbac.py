"""The rights of those who submit flows and of task pods, asked of the real API server."""

from __future__ import annotations

import pytest

from tests.airflow.rbac_matrix import (
    AIRFLOW,
    AIRFLOW_RIGHTS,
    SUBMITTER_RIGHTS,
    TASK,
    TASK_RIGHTS,
    Right,
)
from tests.support.commandline import Devstack


def question(right: Right) -> list[str]:
    """Return the words of `kubectl auth can-i` for a right."""
    resource, _, subresource = right.resource.partition("/")
    words = ["auth", "can-i", right.verb, resource]
    words += [f"--subresource={subresource}"] if subresource else []
    if right.namespace == "*":
        return [*words, "--all-namespaces"]
    return [*words, f"--namespace={right.namespace or 'metaflow'}"]


@pytest.mark.parametrize("right", SUBMITTER_RIGHTS, ids=str)
def test_a_submitter(stack: Devstack, right: Right) -> None:
    answer = stack.kubectl(*question(right))
    assert answer.stdout.strip() == ("yes" if right.allowed else "no"), answer.stderr


@pytest.mark.parametrize("right", TASK_RIGHTS, ids=str)
def test_a_task_pod(stack: Devstack, right: Right) -> None:
    identity = f"--as=system:serviceaccount:metaflow:{TASK}"
    answer = stack.admin_kubectl(*question(right), identity, check=False)
    assert answer.stdout.strip() == ("yes" if right.allowed else "no"), answer.stderr


@pytest.mark.parametrize("right", AIRFLOW_RIGHTS, ids=str)
def test_airflow(stack: Devstack, right: Right) -> None:
    identity = f"--as=system:serviceaccount:airflow:{AIRFLOW}"
    answer = stack.admin_kubectl(*question(right), identity, check=False)
    assert answer.stdout.strip() == ("yes" if right.allowed else "no"), answer.stderr


def test_the_submitters_rights_are_the_matrix_and_nothing_else(stack: Devstack) -> None:
    """Ask the server for all rules, so that a right nobody thought of is found."""
    listed = stack.kubectl("auth", "can-i", "--list", "--namespace=metaflow", "--no-headers")
    granted = {
        (words[0], verb)
        for words, verbs in map(_rule, listed.stdout.splitlines())
        for verb in verbs
        if words and not words[0].startswith(("[", "selfsubject"))
    }
    assert granted == {(right.resource, right.verb) for right in SUBMITTER_RIGHTS if right.allowed}


def _rule(line: str) -> tuple[list[str], list[str]]:
    """Return the words of a line, and the verbs in its last brackets."""
    return line.split(), line.rsplit("[", 1)[1].rstrip("]").split()
