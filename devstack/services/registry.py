"""A registry for tools that push images; nodes pull from it by the address that users push to."""

from __future__ import annotations

from devstack.kube.readiness import observe_deployment
from devstack.ports import LOOPBACK
from devstack.services.base import HostPort, Outputs, Service, ServiceContext
from devstack.services.http_probe import answers
from devstack.waits import Observation, Ready, Waiting

NAMESPACE = "registry"
NODE_PORT = 30500


class RegistryService(Service):
    """The registry, without accounts, on loopback only."""

    name = "registry"
    about = "registry for tools that push images; its own is built when first included"
    optional = True
    enabled_by_default = False
    images = ("registry",)
    host_ports = (
        HostPort("registry", 5000, NODE_PORT, f"{NAMESPACE}/registry:5000", "image registry"),
    )

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether the registry responds, also from the host if its port is mapped."""
        observation = observe_deployment(ctx.api, NAMESPACE, "registry")
        if (
            not isinstance(observation, Ready)
            or not ctx.is_mapped("registry")
            or answers(ctx.state.ports.get("registry", 0), "/v2/")
        ):
            return observation
        return Waiting(f"the registry does not respond on {_address(ctx)} yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return the registry's address."""
        return Outputs(urls={"registry": f"http://{_address(ctx)}"})


def registry_hosts(port: int) -> tuple[str, ...]:
    """Return the names by which users call the registry on a host port.

    Docker pushes to loopback without TLS.
    """
    return (f"localhost:{port}", f"{LOOPBACK}:{port}")


def _address(ctx: ServiceContext) -> str:
    return registry_hosts(ctx.state.ports.get("registry", 0))[0]
