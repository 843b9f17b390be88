"""Airflow's configuration: airflow.cfg from k8s/, the user's options, and the executor."""

from __future__ import annotations

import configparser
import copy
import io
import json
from collections.abc import Mapping
from typing import Any

from devstack.airflow_settings import KUBERNETES_EXECUTOR, LOCAL_EXECUTOR, executor_names
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest

FILE = "airflow.cfg"
WORKER_FILE = "worker.yaml"

_SERVER_FIELDS = ("args", "ports", "startupProbe", "readinessProbe", "livenessProbe")


def executor(settings: Mapping[str, Any]) -> str:
    """Return the executors of ``settings``, the table ``[airflow]`` of devstack.toml."""
    return ",".join(executor_names(settings.get("executor", LOCAL_EXECUTOR)))


def has_worker_pods(settings: Mapping[str, Any]) -> bool:
    """Return True if an executor of ``settings`` creates a pod for each task."""
    return KUBERNETES_EXECUTOR in executor_names(executor(settings))


def with_settings(
    config_map: Manifest, settings: Mapping[str, Any], installation: Installation
) -> Manifest:
    """Return the ConfigMap with the user's options.

    Args:
        config_map: the one of k8s/airflow.
        settings: the table ``[airflow]`` of devstack.toml.
        installation: whose ConfigMap it is.
    """
    parser = _parser()
    parser.read_string(config_map["data"][FILE])
    overrides = {
        "core": {"executor": executor(settings)},
        "kubernetes_executor": {"namespace": installation.namespace},
    }
    for table in (overrides, settings.get("config", {})):
        for section, options in table.items():
            if not parser.has_section(section):
                parser.add_section(section)
            for name, value in options.items():
                parser.set(section, name, str(value))
    text = io.StringIO()
    parser.write(text)
    return {**config_map, "data": {**config_map["data"], FILE: text.getvalue()}}


def with_worker(config_map: Manifest, scheduler: Manifest) -> Manifest:
    """Return the ConfigMap with the template of KubernetesExecutor's worker pods.

    It is derived from the scheduler's pod: the same image, volumes and service account.
    """
    spec = copy.deepcopy(scheduler["spec"]["template"]["spec"])
    container = spec["containers"][0]
    for name in _SERVER_FIELDS:
        container.pop(name, None)
    container["name"] = "base"
    # The executor appends "airflow tasks run ..."; workers do not wait for the setup.
    container["command"] = ["/usr/bin/tini", "--", "python3", "-m"]
    container["env"].append({"name": "AIRFLOW__CORE__EXECUTOR", "value": LOCAL_EXECUTOR})
    spec["restartPolicy"] = "Never"
    labels = {"app.kubernetes.io/part-of": "devstack", "component": "worker"}
    metadata = {"name": "worker", "namespace": scheduler["metadata"]["namespace"], "labels": labels}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    # JSON is valid YAML.
    text = json.dumps(pod, indent=2)
    return {**config_map, "data": {**config_map["data"], WORKER_FILE: text}}


def _parser() -> configparser.ConfigParser:
    # Without interpolation, since percent signs are literal here.
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser
