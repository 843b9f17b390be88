"""Postgres, for services that need a database."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.state import StackState
from devstack.waits import Observation

NAMESPACE = "postgres"
ADDRESS = f"postgres.{NAMESPACE}.svc.cluster.local:5432"
"""Its address in the cluster."""

SECRET = "postgres"  # noqa: S105 - the Secret's name
DATABASES_SECRET = "postgres-databases"  # noqa: S105 - the Secret's name


class PostgresService(Service):
    """The server, which creates the databases and roles that services declare at each start."""

    name = "postgres"
    about = "database server of Airflow and the metadata service"
    optional = True
    images = ("postgres",)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/postgres and its two Secrets with random passwords."""
        namespace, *objects = manifests.load(self.name)
        server = {"password": ctx.state.credential("postgres_password")}
        roles = {name: password(ctx.state, name) for name in ctx.databases}
        secrets = [
            manifests.secret(SECRET, NAMESPACE, server),
            manifests.secret(DATABASES_SECRET, NAMESPACE, roles),
        ]
        objects = manifests.with_images(objects, ctx.state.images)
        return [namespace, *secrets, *manifests.with_restarts(objects, {**server, **roles})]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the server accepts connections."""
        return observe_deployment(ctx.api, NAMESPACE, "postgres")


def password(state: StackState, database: str) -> str:
    """Return the password of the role that owns ``database``; both have the same name."""
    return state.credential(f"{database}_db_password")


def url(state: StackState, database: str, scheme: str = "postgresql") -> str:
    """Return the connection URL of a database in the cluster, with credentials.

    Args:
        state: the stack's.
        database: one that a service declares.
        scheme: the URL's scheme; SQLAlchemy's includes the driver.
    """
    return f"{scheme}://{database}:{password(state, database)}@{ADDRESS}/{database}"
