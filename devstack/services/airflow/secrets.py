"""Airflow's Secrets: what its pods get as variables, and what only the setup may read."""

from __future__ import annotations

from devstack.kube import manifests
from devstack.services import minio, postgres
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest, ServiceContext

SECRET = "airflow"  # noqa: S105 - the Secret's name
ADMIN_SECRET = "airflow-admin"  # noqa: S105 - the Secret's name
S3_SECRET = "airflow-s3"  # noqa: S105 - the Secret's name

_TIMEOUT_PARAMS = "?connect_timeout=5&tcp_user_timeout=15000"
"""A killed pod sends no FIN; without timeouts clients hang for 15 minutes. In seconds and
milliseconds."""


def variables(ctx: ServiceContext, installation: Installation) -> dict[str, str]:
    """Return the variables of all components: the database's URL, and random keys."""
    address = postgres.url(ctx.state, installation.database, "postgresql+psycopg2")
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address + _TIMEOUT_PARAMS,
        # Fernet requires 32 bytes in padded base64.
        "AIRFLOW__CORE__FERNET_KEY": installation.credential(ctx.state, "fernet_key", 32) + "=",
        "AIRFLOW__WEBSERVER__SECRET_KEY": installation.credential(ctx.state, "secret_key"),
    }


def administrator(ctx: ServiceContext, installation: Installation) -> dict[str, str]:
    """Return the administrator's password."""
    return {"password": installation.credential(ctx.state, "admin_password")}


def secrets(
    ctx: ServiceContext, installation: Installation, environment: dict[str, str]
) -> list[Manifest]:
    """Return the Secrets.

    Args:
        ctx: the stack.
        installation: whose Secrets.
        environment: the variables of all components, with the id of the setup.
    """
    values = {
        SECRET: environment,
        ADMIN_SECRET: administrator(ctx, installation),
        S3_SECRET: minio.pod_environment(ctx),
    }
    namespace = installation.namespace
    return [manifests.secret(name, namespace, each) for name, each in values.items()]
