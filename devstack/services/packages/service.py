"""What task pods need to install packages: settings of this machine, and a cache.

A mutating admission policy adds both to each pod of the task namespace: so they are there
however a pod is created (Metaflow, a gang, Airflow, kubectl), and whichever Secrets and
volumes a step names itself. Variables that a step names have precedence over those of the
policy, and these over an image's; the files have the lowest precedence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from devstack.kube import manifests
from devstack.kube.policies import NEEDED
from devstack.services.base import Manifest, Outputs, Service, ServiceContext
from devstack.services.minio import TASK_SECRET
from devstack.services.packages import authorities
from devstack.services.packages.machine import NETRC, MachineSettings, read_machine_settings
from devstack.services.policies import detect_policy_api, in_served_api
from devstack.waits import Observation, Ready, Waiting

SECRET = "devstack-packages"  # noqa: S105 - the Secret's name
"""The Secret with the variables of task pods."""
FILES_SECRET = "devstack-package-files"  # noqa: S105 - the Secret's name
"""The Secret with pip.conf, uv.toml, netrc and certificates."""

FOLDER = "/etc/devstack/packages"
"""Where the files are in task pods; pip.conf and uv.toml also where pip and uv look."""
CACHE = "/var/cache/devstack"
"""Where the cache is in task pods."""

POLICY, NO_POLICY = "policy", "no policy"
"""How pods get the settings; recorded as the cluster's capability."""

_WARNING = "packages warning"
"""In the state: the last warning about this machine's settings, which is shown once."""

_NAMESPACE = "metaflow"
"""The task namespace in the files below k8s/."""
_CACHE_VARIABLES = {"DEVSTACK_PACKAGE_CACHE": CACHE}
"""The rest is up to the init script: variables of a Secret would override those of an image."""

_NAMES = "devstack.dev/names"
"""Annotation of the Secrets: the names of their values.

`devstack.kube.differences` ignores what an object has in addition to its manifest, as it may be
another manager's; by this annotation, a Secret that lost a value is written again.
"""


class PackagesService(Service):
    """The Secrets with this machine's settings, and the policy that adds them to pods."""

    name = "packages"
    about = "index settings and certificates of this machine, and a package cache, for task pods"
    needs = ("rbac", "minio")
    optional = True
    samples = ("packages",)

    def capabilities_detected(self, ctx: ServiceContext) -> bool:
        """Return True if the state records what the cluster supports, and the same warning."""
        known = ctx.state.capabilities
        return self.name in known and known.get(_WARNING, "") == _machine().warning

    def adapt(self, ctx: ServiceContext) -> str:
        """Detect whether the cluster has admission policies; return a warning if not."""
        supported = bool(detect_policy_api(ctx))
        ctx.state.capabilities[self.name] = POLICY if supported else NO_POLICY
        ctx.state.capabilities[_WARNING] = warning = _machine().warning
        if not supported:
            return (
                f"packages: task pods get variables only, no cache and no certificates: Kubernetes "
                f"{ctx.api.version()} does not serve {NEEDED}"
            )
        return warning and f"packages: {warning}"

    def manifests(self, ctx: ServiceContext) -> list[Manifest]:
        """Return the two Secrets, and the policy if the cluster supports it."""
        machine, namespace = _machine(), ctx.state.namespace
        if not self._has_policy(ctx):
            return [_secret(SECRET, namespace, machine.variables)]
        variables = {**_file_variables(machine), **_CACHE_VARIABLES, **machine.variables}
        if not ctx.owns_cluster:
            variables = {**_file_variables(machine), **machine.variables}
        return [
            _secret(SECRET, namespace, variables),
            _secret(FILES_SECRET, namespace, machine.files),
            *(_of_stack(item, ctx) for item in in_served_api(super().manifests(ctx), ctx)),
        ]

    def observe(self, ctx: ServiceContext) -> Observation:
        """Return whether a new pod would get the settings."""
        if not self._has_policy(ctx) or not ctx.needs_probe:
            return Ready()
        created = ctx.api.create(_build_probe(ctx.state.namespace), dry_run=True)
        if created["spec"]["containers"][0].get("envFrom"):
            return Ready()
        return Waiting("the API server does not apply the policy of packages yet")

    def outputs(self, ctx: ServiceContext) -> Outputs:
        """Return Metaflow's list of Secrets, for clusters without the policy."""
        if self._has_policy(ctx):
            return Outputs()
        return Outputs(metaflow={"METAFLOW_KUBERNETES_SECRETS": f"{TASK_SECRET},{SECRET}"})

    def _has_policy(self, ctx: ServiceContext) -> bool:
        return ctx.state.capabilities.get(self.name) != NO_POLICY


def _machine() -> MachineSettings:
    return read_machine_settings(os.environ)


def _secret(name: str, namespace: str, values: Mapping[str, str]) -> Manifest:
    secret = manifests.secret(name, namespace, values)
    if not values:
        del secret["data"]  # The API omits it, so `up` would find a difference each time.
    annotations = {_NAMES: ",".join(sorted(values))}
    return {**secret, "metadata": {**secret["metadata"], "annotations": annotations}}


def _file_variables(machine: MachineSettings) -> dict[str, str]:
    """Return the variables that name the files."""
    variables = {}
    if authorities.FILE in machine.files:
        variables = dict.fromkeys(authorities.VARIABLES, f"{FOLDER}/{authorities.FILE}")
    if NETRC in machine.files:
        variables["NETRC"] = f"{FOLDER}/{NETRC}"
    return variables


def _of_stack(item: Manifest, ctx: ServiceContext) -> Manifest:
    """Return an object of k8s/packages for the namespace of the stack.

    Policies have no namespace: each stack of a cluster has one of its own.
    """
    namespace, spec = ctx.state.namespace, item["spec"]
    name = item["metadata"]["name"].replace(_NAMESPACE, namespace)
    if "policyName" in spec:
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        spec = {"policyName": name, "matchResources": {"namespaceSelector": selector}}
    elif not ctx.owns_cluster:
        cache = {"name": "cache", "expression": "false"}
        spec = {**spec, "variables": [cache, *spec["variables"][1:]]}
    return {**item, "metadata": {**item["metadata"], "name": name}, "spec": spec}


def _build_probe(namespace: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "devstack-packages-probe", "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [{"name": "probe", "image": "probe"}],
        },
    }
