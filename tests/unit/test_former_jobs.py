"""Jobs of earlier settings, which `up` deletes before those of present ones."""

from __future__ import annotations

from typing import Any

from devstack.lifecycle.up import up
from devstack.services.base import Manifest, ServiceContext
from tests.fakes.api import namespace
from tests.fakes.stack import FakeService, World


class _WithJob(FakeService):
    version = "a"

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        labels = {"app.kubernetes.io/name": self.name}
        pod: dict[str, Any] = {"spec": {"containers": [], "automountServiceAccountToken": False}}
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"setup-{self.version}",
                "namespace": ctx.state.namespace,
                "labels": labels,
            },
            "spec": {"template": pod},
        }
        return [*super().manifests(ctx), job]


def _jobs(world: World) -> list[str]:
    return [path.rpartition("/")[2] for path in world.api.objects if "/jobs/" in path]


def test_the_job_of_settings_that_return_runs_again(world: World) -> None:
    service = _WithJob("planned")
    world.services.append(service)
    other: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "of-others", "namespace": "devstack"},
    }
    world.api.add(namespace("devstack"), other)
    for version in ("a", "b", "a"):
        service.version = version
        up(world.open())
        assert _jobs(world) == ["of-others", f"setup-{version}"]
    deleted = [request for request in world.api.requests if request[0] == "DELETE"]
    assert len(deleted) == 2
