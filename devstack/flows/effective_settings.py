"""The settings with which a flow's process, or a task's pod, reaches the stack's services."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devstack.flows.setting_changes import SettingChange, is_setting
from devstack.kube.api_errors import ApiError
from devstack.kube.client import KubeClient, Object
from devstack.services import metadata, minio

_OF_SERVICE = {
    "S3": ("AWS_", "BOTO", "METAFLOW_S3_", "METAFLOW_DATA", "METAFLOW_DEFAULT_DATASTORE"),
    "the metadata service": ("METAFLOW_SERVICE_", "METAFLOW_METADATA", "METAFLOW_DEFAULT_METADATA"),
    "the Kubernetes API": ("KUBECONFIG", "METAFLOW_KUBERNETES_"),
}
_OF_EACH = (
    *("METAFLOW_HOME", "METAFLOW_PROFILE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_OF_TLS = ("SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
_FROM_USER = "from your environment"

STACKS_OWN = "these settings are the stack's own: `devstack status` and `devstack doctor` check it"


@dataclass(frozen=True)
class Settings:
    """The environment of a process, and who set what in it.

    Attributes:
        variables: the complete environment.
        origins: each setting that is not the stack's, with its origin as a sentence says it:
            ``set by my_flow.py, line 5``.
    """

    variables: Mapping[str, str]
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin_for(self, service: str, address: str = "", changed: Iterable[str] = ()) -> str:
        """Return where the settings of a service come from.

        What the flow sets itself has precedence over what the user's environment has.

        Args:
            service: the service's name.
            address: its address.
            changed: the variables that differ once the flow's file was imported.
        """
        origins = dict(self.origins)
        for name in changed:
            if is_setting(name) and origins.get(name, _FROM_USER) == _FROM_USER:
                origins[name] = "changed by the flow or a module that it imports"
        tls = address.startswith("https:")
        prefixes = (*_OF_SERVICE[service], *_OF_EACH, *(_OF_TLS if tls else ()))
        names = [
            name
            for name in origins
            if name.upper().startswith(prefixes) and (tls or name not in _OF_TLS)
        ]
        set_by_flow = [name for name in names if origins[name] != _FROM_USER]
        names = set_by_flow or names
        by_origin: dict[str, list[str]] = {}
        for name in sorted(names):
            by_origin.setdefault(origins[name], []).append(name)
        parts = [f"{', '.join(names)}: {origin}" for origin, names in by_origin.items()]
        return "; ".join(parts) or STACKS_OWN


def process_settings(
    given: Mapping[str, str],
    stacks: Mapping[str, str],
    changes: Iterable[SettingChange],
    file: Path,
) -> Settings:
    """Return the settings of a flow's process on this machine.

    Args:
        given: the environment with which it was started.
        stacks: what of it is the stack's.
        changes: the changes in the flow's file that take effect on this machine.
        file: the flow's file.
    """
    variables = dict(given)
    origins = {name: _FROM_USER for name in given if is_setting(name) and name not in stacks}
    _apply(variables, origins, changes, file)
    return Settings(variables, origins)


def pod_settings(
    kube: KubeClient,
    pod: Object,
    given: Mapping[str, str],
    changes: Iterable[SettingChange],
    file: Path,
) -> Settings:
    """Return the settings of a task's pod, with addresses that this machine can reach.

    Args:
        kube: reads the Secrets that the pod names.
        pod: the pod as the API has it.
        given: the environment of the flow's process, for the addresses.
        changes: the changes in the flow's file.
        file: the flow's file.
    """
    metadata_of_pod, container = pod["metadata"], pod["spec"]["containers"][0]
    step = (metadata_of_pod.get("annotations") or {}).get("metaflow/step_name", "")
    variables: dict[str, str] = {}
    origins: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        name = (source.get("secretRef") or {}).get("name", "")
        values = _secret(kube, metadata_of_pod["namespace"], name)
        variables.update(values)
        if name != minio.TASK_SECRET:
            origins.update({key: f"set by the Secret {name}" for key in values if is_setting(key)})
    own = {each["name"]: each["value"] for each in container.get("env") or [] if "value" in each}
    variables.update(own)
    # Metaflow's own variables are those of the flow's process.
    theirs = [name for name in own if is_setting(name) and not name.startswith("METAFLOW_")]
    origins.update(dict.fromkeys(theirs, "set by the pod's specification"))
    of_step = [change for change in changes if change.step in ("", step)]
    _apply(variables, origins, of_step, file)
    return Settings({**_machine(), **_reachable(variables, given)}, origins)


def _apply(
    variables: dict[str, str],
    origins: dict[str, str],
    changes: Iterable[SettingChange],
    file: Path,
) -> None:
    for change in changes:
        if change.default and change.name in variables:
            continue
        if change.value is not None:
            variables[change.name] = change.value
        by = f"@environment of step {change.step}, " if change.decorator else ""
        origins[change.name] = f"set by {by}{file.name}, line {change.line}"


def _secret(kube: KubeClient, namespace: str, name: str) -> dict[str, str]:
    try:
        found = kube.find("v1", "Secret", name, namespace) if name else None
    except ApiError:
        found = None
    data = (found or {}).get("data") or {}
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _machine() -> dict[str, str]:
    """Return what any program needs of this machine's environment."""
    # Metaflow reads no configuration of the user's in a pod.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "METAFLOW_HOME": os.devnull}


def _reachable(variables: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return a pod's variables with the host's addresses for those in the cluster."""
    hosts = {
        minio.ENDPOINT_IN_CLUSTER: given.get("AWS_ENDPOINT_URL_S3", ""),
        metadata.ADDRESS: _service_url(given),
    }
    return {name: hosts.get(value) or value for name, value in variables.items()}


def _service_url(given: Mapping[str, str]) -> str:
    """Return the metadata service's address on this machine, from the stack's profile."""
    if url := given.get("METAFLOW_SERVICE_URL"):
        return url
    name = f"config_{given.get('METAFLOW_PROFILE', '')}.json"
    try:
        profile = json.loads(Path(given.get("METAFLOW_HOME", ""), name).read_text())
    except (OSError, ValueError):
        return ""
    return str(profile.get("METAFLOW_SERVICE_URL", ""))
