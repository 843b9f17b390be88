"""git-sync: serves Airflow's DAG files from a branch of a Git repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import msgspec

from devstack.kube import manifests
from devstack.kube.client import KubeClient
from devstack.kube.readiness import observe_deployment
from devstack.kube.resources import CORE
from devstack.services import git
from devstack.services.airflow.dag_delivery import GIT, delivery
from devstack.services.airflow.installation import DEFAULT, Installation
from devstack.services.airflow.objects import change_pods
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.waits import Observation

NAME = "git-sync"
"""Of its Deployment, and of the ConfigMap with its status."""
OWN_SECRET = "airflow-git"  # noqa: S105 - the Secret's name
"""The login at the stack's own Git server."""

INTERVAL = 5.0
DEPTH = 1
STALE_SECONDS = 120.0
"""Age of a status, which is written twice a minute, after which git-sync does not work."""


class GitSyncService(Service):
    """One Deployment that writes to Airflow's volume, which all of Airflow's pods mount."""

    name = NAME
    about = 'serves DAG files from a branch; included by `dags = "git"`'
    needs = ("airflow",)
    optional = True
    enabled_by_default = False
    images = ("git",)

    def __init__(self, installation: Installation = DEFAULT) -> None:
        self.installation = installation

    def required_by(self, airflow: Mapping[str, Any]) -> str:
        """Return the setting of a delivery from Git."""
        return 'dags = "git"' if delivery(airflow) == GIT else ""

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/git-sync with the table ``[airflow.git]``."""
        namespace = self.installation.namespace
        objects = manifests.with_images(manifests.load(self.name), ctx.state.images)
        objects = manifests.with_namespace(objects, DEFAULT.namespace, namespace)
        source = source_of(ctx.state.airflow)
        objects = [change_pods(item, source.configure) for item in objects]
        if not source.is_own_server:
            return objects
        login = {"username": git.USER, "password": git.password(ctx)}
        secret = manifests.secret(OWN_SECRET, namespace, login)
        return [secret, *manifests.with_restarts(objects, login)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether it runs; what it reports is no reason to stop `up`."""
        return observe_deployment(ctx.api, self.installation.namespace, NAME)

    def describe(self, ctx: ServiceContext) -> str:
        """Return the commit that is served, and why there is no later one."""
        return str(read_status(ctx.api, self.installation))


@dataclass(frozen=True)
class GitSource:
    """The branch that DAG files come from.

    Attributes:
        repo: the repository's URL as pods use it.
        branch: the branch.
        subfolder: the folder of DAG files in it; empty for its root.
        interval: seconds between two looks at the branch.
        depth: the number of commits that are fetched; 0 for all.
        secret: the Secret with the login; empty for none.
        is_own_server: True for the stack's own Git server.
    """

    repo: str
    branch: str
    subfolder: str
    interval: float
    depth: int
    secret: str
    is_own_server: bool

    def configure(self, pod: Manifest) -> None:
        """Write the settings into the spec of git-sync's pod."""
        values = {
            "GIT_SYNC_REPO": self.repo,
            "GIT_SYNC_BRANCH": self.branch,
            "GIT_SYNC_SUBFOLDER": self.subfolder,
            "GIT_SYNC_INTERVAL": f"{self.interval:g}",
            "GIT_SYNC_DEPTH": str(self.depth),
            "GIT_SYNC_SECRET": self.secret,
        }
        for variable in pod["containers"][0]["env"]:
            variable["value"] = values.get(variable["name"], variable["value"])
        for volume in pod["volumes"]:
            if volume["name"] == "credentials":
                # A Secret must have a name, also if there is none.
                volume["secret"]["secretName"] = self.secret or OWN_SECRET


def source_of(settings: Mapping[str, Any]) -> GitSource:
    """Return the branch that DAG files come from.

    Args:
        settings: the table ``[airflow]`` of devstack.toml.
    """
    table = settings.get("git", {})
    repo = table.get("repo", "")
    return GitSource(
        repo=repo or git.ADDRESS,
        branch=table.get("branch", git.BRANCH),
        subfolder=table.get("subfolder", "").strip("/"),
        interval=float(table.get("interval", INTERVAL)),
        depth=int(table.get("depth", DEPTH)),
        secret=table.get("secret", "") if repo else OWN_SECRET,
        is_own_server=not repo,
    )


@dataclass(frozen=True)
class GitStatus:
    """What git-sync reports.

    Attributes:
        state: "synced", "empty", "failed", or "unknown" if it has reported nothing yet.
        repo: the repository's URL.
        branch: the branch.
        subfolder: the folder of DAG files; empty for the repository's root.
        commit: the id of the commit that is served; empty if there is none.
        subject: the first line of that commit's message.
        code: why no later commit is served, such as ``UNAUTHORISED``.
        reason: the same in git's words.
        since: since when the state lasts.
        checked: when git-sync reported last.
    """

    state: str = "unknown"
    repo: str = ""
    branch: str = ""
    subfolder: str = ""
    commit: str = ""
    subject: str = ""
    code: str = ""
    reason: str = ""
    since: datetime | None = None
    checked: datetime | None = None

    @property
    def is_stale(self) -> bool:
        """True if git-sync has stopped to report."""
        if self.checked is None:
            return False
        return (datetime.now(timezone.utc) - self.checked).total_seconds() > STALE_SECONDS

    def __str__(self) -> str:
        served = f"commit {self.commit[:10]} of {self.branch}" if self.commit else "no commit yet"
        if self.is_stale and self.checked:
            return f"serves {served}; has reported nothing since {self.checked.isoformat()}"
        if self.state == "unknown":
            return "has reported nothing yet"
        if self.reason and self.state == "failed":
            return f"serves {served}; {self.code}: {self.reason}"
        if self.state == "empty":
            return f"{self.repo} has no commit yet: push one to {self.branch}"
        return f"serves {served}: {self.subject}" if self.subject else f"serves {served}"


def read_status(kube: KubeClient, installation: Installation = DEFAULT) -> GitStatus:
    """Return what git-sync reports for an installation."""
    found = kube.find(CORE, "ConfigMap", NAME, installation.namespace) or {}
    text = (found.get("data") or {}).get("status")
    return parse_status(text) if text else GitStatus()


def parse_status(text: str) -> GitStatus:
    """Return a status from the text in the ConfigMap; unknown if it is damaged."""
    try:
        return msgspec.json.decode(text, type=GitStatus)
    except msgspec.MsgspecError:
        return GitStatus()
