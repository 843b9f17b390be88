"""Checks of a stack: its files, cluster, ports and services."""

from __future__ import annotations

import stat

from devstack.doctor.check import REQUEST_TIMEOUT, Check, Fault, Finding, NotApplicableError
from devstack.doctor.engine import require_engine
from devstack.errors import DevstackError
from devstack.paths import document
from devstack.ports import is_free
from devstack.providers.base import HasEngine, HasPools
from devstack.services.network_policies import NAMESPACE, nodes_that_cannot
from devstack.stack import Stack
from devstack.waits import Failed, Waiting

UP = "`devstack up` repairs it."


def _state(stack: Stack) -> list[Finding]:
    stack.dir.read()  # an error becomes the finding
    return []


def _phase(stack: Stack) -> list[Finding]:
    if stack.dir.read_or_none() is None or stack.is_up or stack.dir.holder() is not None:
        return []
    if stack.state.phase == "retained":
        return []
    command = "down" if stack.state.phase == "deleting" else "up"
    return [
        Finding(
            f"`devstack {command}` was interrupted",
            f"devstack {command} --name {stack.state.name} continues",
            "INTERRUPTED",
        )
    ]


def _files(stack: Stack) -> list[Finding]:
    found = []
    for path in (stack.dir.admin_kubeconfig, stack.dir.kubeconfig):
        if not path.exists():
            remedy = "devstack up writes it"
            found.append(Finding(f"{path} is missing", remedy, "FILE_MISSING"))
        elif stat.S_IMODE(path.stat().st_mode) & 0o077:
            remedy = f"chmod 600 {path}"
            found.append(Finding(f"others can read {path}", remedy, "FILE_EXPOSED"))
    return found


def _cluster(stack: Stack) -> list[Finding]:
    provider = stack.provider
    if isinstance(provider, HasEngine):
        require_engine(stack)
    status = provider.status(stack.cluster)
    if status.state == "running":
        return []
    causes = {"absent": "CLUSTER_ABSENT", "stopped": "NODE_STOPPED"}
    remedy = "devstack up starts or recreates it"
    return [Finding(status.detail, remedy, causes.get(status.state, "CLUSTER_UNREACHABLE"))]


def _api(stack: Stack) -> list[Finding]:
    try:
        stack.kube(REQUEST_TIMEOUT).readyz()
    except DevstackError as error:
        remedy = "devstack up waits for it; devstack logs --cluster DIR shows more"
        return [Finding(f"the API does not respond: {error}", remedy, "API_DOWN")]
    return []


def _ports(stack: Stack) -> list[Finding]:
    found = []
    for name, port in stack.state.ports.items():
        if is_free(port):
            remedy = "devstack up"
            found.append(Finding(f"nothing listens on port {port} ({name})", remedy, "PORT_SILENT"))
    return found


def _services(stack: Stack) -> list[Finding]:
    ctx = stack.context(stack.kube(REQUEST_TIMEOUT))
    found = []
    for service in stack.services:
        observation = service.observe(ctx)
        if isinstance(observation, Failed):
            found.append(
                Finding(
                    f"{service.name}: {observation.reason}", observation.remedy, observation.code
                )
            )
        elif isinstance(observation, Waiting):
            remedy = f"devstack logs {service.name}; devstack up waits for it"
            found.append(Finding(f"{service.name}: {observation.reason}", remedy, "NOT_READY"))
    return found


def _policies(stack: Stack) -> list[Finding]:
    """Return a warning if network policies have no effect on a node.

    Raises:
        NotApplicableError: the stack does not enforce them.
    """
    if not isinstance(stack.provider, HasPools):
        raise NotApplicableError("the cluster enforces them itself, or does not")
    if all(service.name != NAMESPACE for service in stack.services):
        raise NotApplicableError(f"the stack leaves out {NAMESPACE}")
    nodes = nodes_that_cannot(stack.kube(REQUEST_TIMEOUT))
    if not nodes:
        return []
    cause = f"the kernel of {', '.join(nodes)} cannot enforce network policies"
    remedy = f"NetworkPolicy objects have no effect there: {document('network-policies.md')}"
    return [Finding(cause, remedy, "NETWORK_POLICIES_UNSUPPORTED", "warning")]


def policies_warnings(stack: Stack) -> list[Finding]:
    """Return what `up` warns of: nodes on which network policies have no effect."""
    try:
        return _policies(stack)
    except NotApplicableError:
        return []


STACK_CHECKS = (
    Check(
        "state",
        "the stack's state can be read",
        _state,
        (
            Fault(
                "STATE_BROKEN",
                "The stack's state file is damaged.",
                "`devstack down` removes the stack; then `devstack up`.",
            ),
            Fault(
                "STATE_NEWER",
                "A later release of devstack wrote the state.",
                "Upgrade devstack, or choose another `--name`.",
            ),
        ),
    ),
    Check(
        "phase",
        "the last command finished",
        _phase,
        (
            Fault(
                "INTERRUPTED",
                "`devstack up` or `down` was interrupted.",
                "Run it again; it continues.",
            ),
        ),
    ),
    Check(
        "cluster",
        "the cluster runs",
        _cluster,
        (
            Fault("CLUSTER_ABSENT", "The cluster was deleted outside devstack.", UP),
            Fault("NODE_STOPPED", "A node's container is stopped or paused.", UP),
            Fault("CLUSTER_UNREACHABLE", "The cluster does not respond.", UP),
        ),
        needs_stack=True,
    ),
    Check(
        "api",
        "the Kubernetes API responds",
        _api,
        (
            Fault(
                "API_DOWN",
                "The API server does not answer, or is not ready.",
                "`devstack up` waits for it; `devstack logs --cluster DIR` shows more.",
            ),
        ),
        needs_stack=True,
        is_vital=True,
    ),
    Check(
        "files",
        "the stack's files exist and are private",
        _files,
        (
            Fault("FILE_MISSING", "A kubeconfig of the stack was deleted.", UP),
            Fault("FILE_EXPOSED", "Other users can read a kubeconfig.", "`chmod 600` it."),
        ),
        needs_stack=True,
    ),
    Check(
        "ports",
        "the host ports accept connections",
        _ports,
        (Fault("PORT_SILENT", "Nothing listens on a port of the stack.", UP),),
        needs_stack=True,
    ),
    Check(
        "services",
        "the services are ready",
        _services,
        (
            Fault(
                "NOT_READY",
                "A service is not ready; a service that has failed has a code of its own.",
                "`devstack logs SERVICE`; `devstack up` waits for it.",
            ),
        ),
        needs_stack=True,
    ),
    Check(
        "network-policies",
        "the nodes' kernel can enforce network policies",
        _policies,
        (
            Fault(
                "NETWORK_POLICIES_UNSUPPORTED",
                "The kernel lacks what enforces NetworkPolicy objects.",
                "They have no effect there: [network-policies.md](network-policies.md).",
                "warning",
            ),
        ),
        needs_stack=True,
    ),
)
