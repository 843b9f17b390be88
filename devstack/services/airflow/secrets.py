"""Airflow's Secrets: what its pods get as variables, and what only the setup may read."""

from __future__ import annotations

from devstack.airflow_settings import RABBITMQ, broker, has_celery
from devstack.kube import manifests
from devstack.services import minio, postgres, rabbitmq, redis
from devstack.services.airflow.address import flower_prefix
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest, ServiceContext

SECRET = "airflow"  # noqa: S105 - the Secret's name
ADMIN_SECRET = "airflow-admin"  # noqa: S105 - the Secret's name
S3_SECRET = "airflow-s3"  # noqa: S105 - the Secret's name

FLOWER_SECRET = "airflow-flower"  # noqa: S105 - the Secret's name
FLOWER_USER = "admin"
BROKER_URL = "AIRFLOW__CELERY__BROKER_URL"

_TIMEOUT_PARAMS = "?connect_timeout=5&tcp_user_timeout=15000"
"""A killed pod sends no FIN; without timeouts clients hang for 15 minutes. In seconds and
milliseconds."""


def variables(ctx: ServiceContext, installation: Installation) -> dict[str, str]:
    """Return the variables of all components: the database's URL, and random keys."""
    address = postgres.url(ctx.state, installation.database, "postgresql+psycopg2")
    return {
        **_broker(ctx, installation),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address + _TIMEOUT_PARAMS,
        # Fernet requires 32 bytes in padded base64.
        "AIRFLOW__CORE__FERNET_KEY": installation.credential(ctx.state, "fernet_key", 32) + "=",
        "AIRFLOW__WEBSERVER__SECRET_KEY": installation.credential(ctx.state, "secret_key"),
    }


def _broker(ctx: ServiceContext, installation: Installation) -> dict[str, str]:
    """Return the variable with the broker's URL; none without Celery."""
    settings = installation.settings(ctx.state.airflow)
    if not has_celery(settings):
        return {}
    if broker(settings) != RABBITMQ:
        return {BROKER_URL: redis.url(ctx.state)}
    return {BROKER_URL: rabbitmq.url(ctx.state, installation.database)}


def flower(ctx: ServiceContext, installation: Installation) -> dict[str, str]:
    """Return the variables of Flower: the broker, its management API, and the login."""
    values = {
        "FLOWER_URL_PREFIX": flower_prefix(installation.settings(ctx.state.airflow)),
        "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{flower_password(ctx, installation)}",
    }
    if broker(installation.settings(ctx.state.airflow)) == RABBITMQ:
        address = rabbitmq.management_url(ctx.state, installation.database)
        values["FLOWER_BROKER_API"] = address
    return {**values, "CELERY_BROKER_URL": _broker(ctx, installation)[BROKER_URL]}


def flower_password(ctx: ServiceContext, installation: Installation) -> str:
    """Return the password of Flower's user."""
    return installation.credential(ctx.state, "flower_password")


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
    if has_celery(installation.settings(ctx.state.airflow)):
        values[FLOWER_SECRET] = flower(ctx, installation)
    namespace = installation.namespace
    return [manifests.secret(name, namespace, each) for name, each in values.items()]
