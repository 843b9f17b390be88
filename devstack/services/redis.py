"""Redis, as the broker between Airflow's schedulers and Celery workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import required_broker
from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.services.base import Manifest, Service, ServiceContext
from devstack.state import StackState
from devstack.waits import Observation

NAMESPACE = "redis"
ADDRESS = f"redis.{NAMESPACE}.svc.cluster.local:6379"
"""Its address in the cluster."""

CONFIG_SECRET = "redis-config"  # noqa: S105 - the Secret's name

_CONFIG = """\
bind 0.0.0.0
port 6379
requirepass {password}
dir /data
# Each message is on disk within a second; no snapshots beside that.
appendonly yes
appendfsync everysec
save ""
# A full memory refuses messages; it must not drop them.
maxmemory 192mb
maxmemory-policy noeviction
"""


class RedisService(Service):
    """The server, with a password and an append-only file."""

    name = "redis"
    about = "Redis, another broker for Celery workers; included if the settings name it"
    optional = True
    enabled_by_default = False
    images = ("redis",)

    def required_by(self, airflow: Mapping[str, Any]) -> str:
        """Return the executor, if its broker is Redis."""
        return required_broker(airflow, self.name)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/redis, and a Secret with its configuration."""
        namespace, *objects = manifests.load(self.name)
        known = {"redis.conf": _CONFIG.format(password=_password(ctx.state))}
        secret = manifests.secret(CONFIG_SECRET, NAMESPACE, known)
        objects = manifests.with_images(objects, ctx.state.images)
        return [namespace, secret, *manifests.with_restarts(objects, known)]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the server accepts connections."""
        return observe_deployment(ctx.api, NAMESPACE, "redis")


def url(state: StackState) -> str:
    """Return the server's URL in the cluster, with its password."""
    return f"redis://:{_password(state)}@{ADDRESS}/0"


def _password(state: StackState) -> str:
    return state.credential("redis_password")
