"""Starting a DAG run with parameters of the types that the flow has."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from devstack.airflow.client import AirflowClient
from devstack.airflow.dags import find_details, list_dags
from devstack.airflow.runs import DagRun, start_run
from devstack.errors import DevstackError, ExitStatus

_SHELL = set("$`\\")
"""What a shell acts upon within double quotes: Metaflow puts values there as they are."""

_READ: Mapping[str, Callable[[str], Any]] = {"integer": int, "number": float, "string": str}


def trigger(client: AirflowClient, dag_id: str, given: Mapping[str, str]) -> DagRun:
    """Start a run of a DAG.

    Args:
        client: Airflow.
        dag_id: the DAG.
        given: parameters by name, as the user typed them.

    Raises:
        DevstackError: ``DAG_UNKNOWN``, ``DAG_PAUSED`` or ``PARAMETER_WRONG``.
    """
    details = find_details(client, dag_id)
    if details is None:
        raise unknown_dag(dag_id, [dag.dag_id for dag in list_dags(client)])
    if details["is_paused"]:
        raise DevstackError(
            f"the DAG {dag_id} is paused",
            cause="a run of it would wait for ever",
            remedy=f"devstack airflow trigger --unpause {dag_id}",
            code="DAG_PAUSED",
        )
    return start_run(client, dag_id, read_parameters(details.get("params") or {}, given))


def read_parameters(
    known: Mapping[str, Mapping[str, Any]], given: Mapping[str, str]
) -> dict[str, Any]:
    """Return the parameters in the types that the DAG has them in.

    Args:
        known: the DAG's parameters as Airflow describes them, with a JSON schema each.
        given: what the user typed.

    Raises:
        DevstackError: ``PARAMETER_WRONG``.
    """
    return {name: _read(name, text, known) for name, text in given.items()}


def _read(name: str, text: str, known: Mapping[str, Mapping[str, Any]]) -> Any:
    if name not in known:
        names = ", ".join(sorted(known)) or "none"
        raise _wrong(name, f"the flow has no such parameter; it has {names}")
    kind = str((known[name].get("schema") or {}).get("type") or "string")
    if _SHELL & set(text):
        cause = f"the task's shell would act upon {' '.join(sorted(_SHELL & set(text)))} in it"
        raise _wrong(name, cause)
    try:
        return _READ.get(kind, str)(text)
    except ValueError:
        raise _wrong(name, f"{text!r} is no {kind}") from None


def _wrong(name: str, cause: str) -> DevstackError:
    return DevstackError(
        f"cannot give the parameter {name!r} this value",
        cause=cause,
        remedy="devstack airflow trigger --param NAME=VALUE DAG",
        code="PARAMETER_WRONG",
        exit_status=ExitStatus.USAGE,
    )


def resolve_dag(client: AirflowClient, word: str) -> str:
    """Return the DAG that a word names: its id, or the end of it behind a dot.

    ``HelloFlow`` is enough for ``project.branch.HelloFlow`` where there is one such DAG.

    Raises:
        DevstackError: ``DAG_UNKNOWN``, or ``DAG_AMBIGUOUS`` with the DAGs it may be.
    """
    known = [dag.dag_id for dag in list_dags(client)]
    if word in known:
        return word
    found = [dag_id for dag_id in known if dag_id.endswith(f".{word}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise _ambiguous(word, found)
    raise unknown_dag(word, known)


def _ambiguous(word: str, found: Sequence[str]) -> DevstackError:
    return DevstackError(
        f"several DAGs end in {word!r}",
        cause=", ".join(found),
        remedy="name the one that is meant by all of its id",
        code="DAG_AMBIGUOUS",
        exit_status=ExitStatus.USAGE,
    )


def unknown_dag(word: str, known: list[str]) -> DevstackError:
    """Return the error for a DAG that Airflow does not have."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.4)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return DevstackError(
        f"Airflow has no DAG {word!r}",
        cause=f"it has {', '.join(known)}" if known else "it has none at all",
        remedy=f"{meant}`devstack airflow deploy FLOW.py` makes one of a flow",
        code="DAG_UNKNOWN",
        exit_status=ExitStatus.USAGE,
    )
