"""Postgres: databases that are added while it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from devstack.errors import DevstackError
from devstack.process import Completed
from devstack.services.base import Manifest, ServiceContext
from devstack.services.postgres import PostgresService, password
from devstack.state import StackState


def context(databases: Sequence[str], added: Sequence[str] = ()) -> ServiceContext:
    return ServiceContext(
        StackState("mine"), databases=tuple(databases), added_databases=tuple(added)
    )


def pods(ctx: ServiceContext) -> list[Manifest]:
    return [item for item in PostgresService().manifests(ctx) if item["kind"] == "Deployment"]


def test_a_database_that_is_added_does_not_restart_the_server() -> None:
    ctx = context(["airflow"])
    before = pods(ctx)
    assert pods(replace(ctx, databases=("airflow", "more"), added_databases=("more",))) == before
    assert pods(replace(ctx, databases=("airflow", "more"))) != before


def test_its_password_is_on_standard_input_only() -> None:
    calls: list[tuple[Sequence[str], str]] = []

    def execute(_namespace: str, target: str, command: Sequence[str], text: str) -> Completed:
        calls.append(([target, *command], text))
        return Completed(tuple(command), 0)

    ctx = replace(context(["airflow", "more"], ["more"]), execute=execute)
    assert not PostgresService().is_prepared(ctx)
    PostgresService().prepare(ctx)
    assert PostgresService().is_prepared(ctx)
    ((command, text),) = calls
    assert text == password(ctx.state, "more")
    assert text not in json.dumps(command)
    assert command[0] == "deployment/postgres"
    assert command[-1] == "more"


def test_an_error_of_psql_is_reported() -> None:
    def execute(_namespace: str, _target: str, command: Sequence[str], _text: str) -> Completed:
        return Completed(tuple(command), 3, stderr="ERROR:  permission denied")

    ctx = replace(context(["more"], ["more"]), execute=execute)
    with pytest.raises(DevstackError) as failed:
        PostgresService().prepare(ctx)
    assert failed.value.code == "DATABASE_FAILED"
    assert "permission denied" in failed.value.output
    assert not PostgresService().is_prepared(ctx)
