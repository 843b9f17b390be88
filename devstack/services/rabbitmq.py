"""RabbitMQ, the broker between Airflow's schedulers and Celery workers."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import has_celery, required_broker
from devstack.kube import manifests
from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services.airflow.installation import Installation
from devstack.services.base import HostPort, Manifest, Outputs, Service, ServiceContext
from devstack.services.http_probe import answers
from devstack.state import StackState
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "rabbitmq"
ADDRESS = f"rabbitmq.{NAMESPACE}.svc.cluster.local"
"""Its address in the cluster."""

DEFINITIONS_SECRET = "rabbitmq-definitions"  # noqa: S105 - the Secret's name
ADMIN = "devstack"
PORT = "rabbitmq"


class RabbitmqService(Service):
    """The broker: a virtual host for each installation of Airflow, and a user that owns it."""

    name = "rabbitmq"
    about = "message broker of Airflow's Celery workers; included if the executor needs it"
    optional = True
    enabled_by_default = False
    images = ("rabbitmq",)
    host_ports = (
        HostPort(PORT, 15672, 30672, f"{NAMESPACE}/rabbitmq:15672", "RabbitMQ management"),
    )

    def required_by(self, airflow: Mapping[str, Any]) -> str:
        """Return the executor, if its broker is RabbitMQ."""
        return required_broker(airflow, self.name)

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the objects of k8s/rabbitmq, and a Secret of users, virtual hosts and rights."""
        namespace, *objects = manifests.load(self.name)
        text = json.dumps(_definitions(ctx), indent=1, sort_keys=True)
        known = {"definitions.json": text}
        secret = manifests.secret(DEFINITIONS_SECRET, NAMESPACE, known)
        objects = manifests.with_images(objects, ctx.state.images)
        config = next(item for item in objects if item["kind"] == "ConfigMap")
        restarting = manifests.with_restarts(objects, {**known, **config["data"]})
        return [namespace, secret, *restarting]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the broker runs and, if its port is mapped, its page answers."""
        observation = observe_deployment(ctx.api, NAMESPACE, "rabbitmq")
        port = ctx.state.ports.get(PORT, 0)
        if not isinstance(observation, Ready) or not ctx.is_mapped(PORT) or answers(port, "/"):
            return observation
        return Waiting(f"RabbitMQ's management page does not respond on {LOOPBACK}:{port} yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the address of the management page, and its login."""
        return Outputs(
            urls={PORT: f"http://{LOOPBACK}:{ctx.state.ports.get(PORT, 0)}"},
            secrets={"rabbitmq-user": ADMIN, "rabbitmq-password": _admin_password(ctx.state)},
        )


def url(state: StackState, vhost: str) -> str:
    """Return the URL of a virtual host in the cluster, with credentials.

    Args:
        state: the stack's.
        vhost: one that a service declares; also the name of its user.
    """
    return f"amqp://{vhost}:{_password(state, vhost)}@{ADDRESS}:5672/{vhost}"


def management_url(state: StackState, vhost: str) -> str:
    """Return the URL of the management API in the cluster, with a virtual host's credentials."""
    return f"http://{vhost}:{_password(state, vhost)}@{ADDRESS}:15672/api/"


def _password(state: StackState, vhost: str) -> str:
    return state.credential(_credential(vhost))


def _credential(vhost: str) -> str:
    return f"{vhost}_rabbitmq_password"


def _admin_password(state: StackState) -> str:
    return state.credential("rabbitmq_password")


def _definitions(ctx: ServiceContext) -> dict[str, Any]:
    """Return what the broker imports at its start (RabbitMQ: Schema Definition Export)."""
    owners = {vhost: _password(ctx.state, vhost) for vhost in _used_vhosts(ctx)}
    users = [_user(name, password, "management") for name, password in owners.items()]
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    rights = [(vhost, user) for vhost in owners for user in (vhost, ADMIN)]
    return {
        "users": [*users, _user(ADMIN, _admin_password(ctx.state), "administrator")],
        "vhosts": [{"name": vhost} for vhost in owners],
        "permissions": [{"vhost": vhost, "user": user, **everything} for vhost, user in rights],
    }


def _used_vhosts(ctx: ServiceContext) -> list[str]:
    """Return the virtual hosts that an installation of Airflow uses, or once has used.

    A change restarts the broker, so others neither come with an installation nor go with it.
    """
    airflow = ctx.state.airflow
    installations = [Installation(prefix) for prefix in ("", *airflow.get("installations", {}))]
    now = {each.database for each in installations if has_celery(each.settings(airflow))}
    return [
        each for each in ctx.vhosts if each in now or _credential(each) in ctx.state.credentials
    ]


def _user(name: str, password: str, tags: str) -> dict[str, str]:
    """Return a user with the salted hash of a password (RabbitMQ: Credentials and Passwords)."""
    # Derived, so that the Secret does not change from one `up` to the next. The password is random.
    salt = hashlib.sha256(f"{name}:{password}".encode()).digest()[:4]
    hashed = salt + hashlib.sha256(salt + password.encode()).digest()
    return {
        "name": name,
        "password_hash": base64.b64encode(hashed).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }
