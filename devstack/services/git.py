"""A Git server with one repository of DAG files, for `dags = "git"` without one of your own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services.airflow.dag_delivery import GIT, delivery
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.http_probe import answers
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "git"
REPOSITORY = "dags.git"
BRANCH = "main"
"""The branch of the repository, which has no commit at first."""
ADDRESS = f"http://git.{NAMESPACE}.svc.cluster.local:8080/{REPOSITORY}"
"""The repository's URL in the cluster."""
USER = "git"
SECRET = "git"  # noqa: S105 - the Secret's name


class GitService(Service):
    """The server, on loopback, with a random password."""

    name = "git"
    about = "Git server for DAG files; built when first included"
    optional = True
    enabled_by_default = False
    images = ("git",)
    host_ports = (HostPort("git", 8418, 30418, f"{NAMESPACE}/git:8080", "Git server"),)

    def required_by(self, airflow: Mapping[str, Any]) -> str:
        """Return the setting of a delivery from Git without a repository."""
        own = airflow.get("git", {}).get("repo")
        return 'dags = "git" without a repo' if delivery(airflow) == GIT and not own else ""

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/git and the Secret with the password."""
        namespace, *objects = manifests.with_images(manifests.load(self.name), ctx.state.images)
        settings = {"password": password(ctx)}
        secret = manifests.secret(SECRET, NAMESPACE, settings)
        return [namespace, secret, *manifests.with_restarts(objects, settings)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the server responds, also from the host if its port is mapped."""
        observation = observe_deployment(ctx.api, NAMESPACE, "git")
        if (
            not isinstance(observation, Ready)
            or not ctx.is_mapped("git")
            or answers(ctx.state.ports.get("git", 0), "/ready")
        ):
            return observation
        return Waiting(f"the Git server does not respond on {url(ctx)} yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the repository's URL for the host, and the login."""
        return Outputs(
            urls={"git": url(ctx)},
            secrets={"git-user": USER, "git-password": password(ctx)},
        )


def url(ctx: ServiceContext) -> str:
    """Return the repository's URL on the host; the login is not in it."""
    return f"http://{LOOPBACK}:{ctx.state.ports.get('git', 0)}/{REPOSITORY}"


def password(ctx: ServiceContext) -> str:
    """Return the password of the server's one user."""
    return ctx.state.credential("git_password")
