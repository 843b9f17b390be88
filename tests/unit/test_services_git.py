"""The Git server and git-sync as services: what they apply, and what git-sync reports."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from devstack.kube.client import Object
from devstack.services import SERVICES
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest, ServiceContext
from devstack.services.git import GitService
from devstack.services.git_problems import PROBLEMS, STOPPED, problem_of
from devstack.services.git_sync import GitSyncService, parse_status, read_status
from devstack.services.selection import disabled_services, required_services
from devstack.state import StackState
from tests.fakes.api import FakeApi, decoded

OWN = {"dags": "git", "git": {"repo": "https://git.example/dags.git", "secret": "login"}}


def context(airflow: dict[str, Any]) -> ServiceContext:
    return ServiceContext(StackState("mine", airflow=airflow, ports={"git": 40418}))


def find(objects: list[Manifest], kind: str, name: str) -> Object:
    (found,) = (
        item for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)
    )
    return found


def pod(ctx: ServiceContext, installation: Installation | None = None) -> Object:
    service = GitSyncService(installation) if installation else GitSyncService()
    deployment = find(service.manifests(ctx), "Deployment", "git-sync")
    spec: Object = deployment["spec"]["template"]["spec"]
    return spec


def variables(spec: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in spec["containers"][0]["env"]}


def secret_of(spec: Object) -> Object:
    (volume,) = (each for each in spec["volumes"] if each["name"] == "credentials")
    found: Object = volume["secret"]
    return found


@pytest.mark.parametrize(
    ("airflow", "required"),
    [
        ({}, ()),
        ({"dags": "image"}, ()),
        ({"dags": "git"}, ("git", "git-sync")),
        (OWN, ("git-sync",)),
    ],
)
def test_settings_include_what_they_need(airflow: dict[str, Any], required: tuple[str]) -> None:
    off = disabled_services(SERVICES)
    assert required_services(SERVICES, off, [airflow]) == required


def test_the_stacks_own_server_is_used_without_a_repo() -> None:
    ctx = context({"dags": "git"})
    spec = pod(ctx)
    assert variables(spec)["GIT_SYNC_REPO"] == "http://git.git.svc.cluster.local:8080/dags.git"
    assert secret_of(spec)["secretName"] == "airflow-git"
    login = decoded(find(GitSyncService().manifests(ctx), "Secret", "airflow-git"))
    server = decoded(find(GitService().manifests(ctx), "Secret", "git"))
    assert (login["username"], login["password"]) == ("git", server["password"])


def test_another_repository_is_used_with_its_secret() -> None:
    settings = {"branch": "prod", "subfolder": "/dags/", "interval": 2.5, "depth": 0}
    ctx = context({"dags": "git", "git": {**OWN["git"], **settings}})  # type: ignore[dict-item]
    spec = pod(ctx)
    assert variables(spec) == {
        "GIT_SYNC_REPO": "https://git.example/dags.git",
        "GIT_SYNC_BRANCH": "prod",
        "GIT_SYNC_SUBFOLDER": "dags",
        "GIT_SYNC_INTERVAL": "2.5",
        "GIT_SYNC_DEPTH": "0",
        "GIT_SYNC_SECRET": "login",
        "GIT_SYNC_CONFIG_MAP": "git-sync",
    }
    assert secret_of(spec)["secretName"] == "login"
    assert secret_of(spec)["optional"], "git-sync itself reports that it is missing"
    assert not [each for each in GitSyncService().manifests(ctx) if each["kind"] == "Secret"]


def test_another_installation_has_its_own() -> None:
    objects = GitSyncService(Installation("team")).manifests(context({"dags": "git"}))
    assert {each["metadata"]["namespace"] for each in objects} == {"airflow-team"}
    binding = find(objects, "RoleBinding", "git-sync")
    assert binding["subjects"][0]["namespace"] == "airflow-team"


def test_git_sync_may_write_its_status_and_nothing_else() -> None:
    role = find(GitSyncService().manifests(context(OWN)), "Role", "git-sync")
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["git-sync"],
            "verbs": ["patch"],
        }
    ]


def test_the_login_is_shown_only_with_secrets() -> None:
    outputs = GitService().outputs(context({"dags": "git"}))
    assert outputs.urls == {"git": "http://127.0.0.1:40418/dags.git"}
    assert outputs.secrets["git-user"] == "git"
    assert outputs.secrets["git-password"] not in outputs.urls["git"]


def report(state: str, age: float = 1.0, **values: str) -> str:
    checked = datetime.now(timezone.utc) - timedelta(seconds=age)
    times = {"since": checked.isoformat(), "checked": checked.isoformat()}
    return json.dumps({"state": state, "branch": "main", "subfolder": "", **times, **values})


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (lambda: "", "has reported nothing yet"),
        (lambda: "{", "has reported nothing yet"),
        (
            lambda: report("synced", commit="0123456789abcdef", subject="Add a DAG"),
            "serves commit 0123456789 of main: Add a DAG",
        ),
        (
            lambda: report(
                "failed", commit="0123456789abcdef", code="UNREACHABLE", reason="no route"
            ),
            "serves commit 0123456789 of main; UNREACHABLE: no route",
        ),
        (
            lambda: report("failed", code="UNAUTHORISED", reason="refused"),
            "serves no commit yet; UNAUTHORISED: refused",
        ),
        (
            lambda: report("empty", repo="https://git.example/dags.git", code="REPOSITORY_EMPTY"),
            "https://git.example/dags.git has no commit yet: push one to main",
        ),
    ],
)
def test_the_status_tells_what_is_served(made: Callable[[], str], shown: str) -> None:
    # When it was written counts, so it is made now.
    text = made()
    api = FakeApi()
    data = {"data": {"status": text}} if text else {}
    metadata = {"name": "git-sync", "namespace": "airflow"}
    api.add({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **data})
    assert str(read_status(api.client())) == shown


def test_problems_have_remedies() -> None:
    assert problem_of(parse_status(report("synced"))) is None
    assert problem_of(parse_status(report("empty", code="REPOSITORY_EMPTY"))) is None
    known = parse_status(report("failed", code="BRANCH_MISSING"))
    assert problem_of(known) == PROBLEMS["BRANCH_MISSING"]
    volume = parse_status(report("failed", code="VOLUME_UNUSABLE"))
    assert problem_of(volume) == PROBLEMS["VOLUME_UNUSABLE"]
    other = parse_status(report("failed", code="NEWER"))
    assert problem_of(other) == PROBLEMS["GIT_FAILED"]


def test_a_synchronization_that_has_stopped_is_noticed() -> None:
    status = parse_status(report("synced", age=600, commit="0123456789abcdef"))
    assert problem_of(status) == STOPPED
    assert "has reported nothing since" in str(status)
