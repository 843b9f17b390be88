"""Postgres, the database of those services that need one."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.services.base import HostPort, Manifest, Outputs, ServiceContext
from devstack.state import StackState
from devstack.waits import Observation

NAMESPACE = "postgres"
ADDRESS = f"postgres.{NAMESPACE}.svc.cluster.local:5432"
"""Where pods find it."""

DATABASES = ("airflow", "metadata")
"""One for each service that needs one, each with one user of the same name."""

SECRET = "postgres"  # noqa: S105 - the Secret's name
DATABASES_SECRET = "postgres-databases"  # noqa: S105 - the Secret's name


class PostgresService:
    """The server; it makes its databases and their users at each start."""

    name = "postgres"
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ("postgres",)
    host_ports: tuple[HostPort, ...] = ()

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/postgres and the two Secrets, random passwords in them."""
        namespace, *objects = manifests.load(self.name)
        server = {"password": ctx.state.credential("postgres_password")}
        users = {name: password(ctx.state, name) for name in DATABASES}
        secrets = [
            manifests.secret(SECRET, NAMESPACE, server),
            manifests.secret(DATABASES_SECRET, NAMESPACE, users),
        ]
        objects = manifests.with_images(objects, ctx.state.images)
        return [namespace, *secrets, *manifests.with_restarts(objects, {**server, **users})]

    def prepare(self, ctx: ServiceContext) -> None:
        """Nothing is left to do: the server makes its databases itself."""

    def observe(self, ctx: ServiceContext) -> Observation:
        """Look whether the server takes connections."""
        return observe_deployment(ctx.api, NAMESPACE, "postgres")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return nothing: only other services use it."""
        return Outputs()


def password(state: StackState, database: str) -> str:
    """Return the password of the user ``database``, which owns the database of that name."""
    return state.credential(f"{database}_db_password")


def url(state: StackState, database: str, scheme: str = "postgresql") -> str:
    """Return how pods connect to ``database``, its user and password in it.

    Args:
        state: the stack's.
        database: one of :data:`DATABASES`.
        scheme: with the driver's name, where SQLAlchemy is to read it.
    """
    return f"{scheme}://{database}:{password(state, database)}@{ADDRESS}/{database}"
