"""Postgres, for services that need a database."""

from __future__ import annotations

from devstack.errors import DevstackError
from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.state import StackState
from devstack.waits import Observation

NAMESPACE = "postgres"
# The last dot: a resolver tries a name with fewer than five dots in the search domains first.
ADDRESS = f"postgres.{NAMESPACE}.svc.cluster.local.:5432"
"""Its address in the cluster."""

SECRET = "postgres"  # noqa: S105 - the Secret's name
DATABASES_SECRET = "postgres-databases"  # noqa: S105 - the Secret's name


class PostgresService(Service):
    """The server, which creates the databases and roles that services declare at each start."""

    name = "postgres"
    about = "database server of Airflow, the metadata service and the pipelines API"
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
        # What is added to a running server does not restart it, and the services that use it.
        known = {name: each for name, each in roles.items() if name not in ctx.added_databases}
        return [namespace, *secrets, *manifests.with_restarts(objects, {**server, **known})]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the server accepts connections."""
        return observe_deployment(ctx.api, NAMESPACE, "postgres")

    def is_prepared(self, ctx: ServiceContext) -> bool:
        """Return whether the server has all databases."""
        return set(ctx.added_databases) <= set(ctx.state.databases)

    def prepare(self, ctx: ServiceContext) -> None:
        """Create the databases that were added since the server started; idempotent.

        Raises:
            DevstackError: ``DATABASE_FAILED`` with the end of psql's output.
        """
        for name in ctx.added_databases:
            _create_database(ctx, name)
        ctx.state.databases = list(ctx.added_databases)


def _create_database(ctx: ServiceContext, name: str) -> None:
    if ctx.execute is None:
        raise RuntimeError("a plan must not create databases")
    scripts = next(item for item in manifests.load("postgres") if item["kind"] == "ConfigMap")
    # The script of this devstack: the kubelet updates a mounted one with a delay.
    command = ["sh", "-c", scripts["data"]["ensure-databases"], "ensure-databases", name]
    done = ctx.execute(NAMESPACE, "deployment/postgres", command, password(ctx.state, name))
    if not done.ok:
        raise DevstackError(
            f"cannot create the database {name!r}",
            cause=f"psql ended with status {done.returncode}",
            remedy="devstack logs postgres; then `devstack up` again",
            code="DATABASE_FAILED",
            output=done.stderr,
        )


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
