"""Airflow's configuration: the file in k8s/, what the user adds, and the executor's part."""

from __future__ import annotations

import configparser
import copy
import io
import json
from collections.abc import Mapping
from typing import Any

from devstack.config import EXECUTORS
from devstack.services.base import Manifest

LOCAL_EXECUTOR, KUBERNETES_EXECUTOR = EXECUTORS
FILE = "airflow.cfg"
WORKER_FILE = "worker.yaml"

_ONLY_SERVERS = ("args", "ports", "startupProbe", "readinessProbe", "livenessProbe")


def executor(settings: Mapping[str, Any]) -> str:
    """Return the executor that ``settings``, the table ``[airflow]`` of devstack.toml, asks for."""
    return str(settings.get("executor", LOCAL_EXECUTOR))


def with_settings(config_map: Manifest, settings: Mapping[str, Any]) -> Manifest:
    """Return the ConfigMap with what the user wants otherwise.

    Args:
        config_map: the one of k8s/airflow.
        settings: the table ``[airflow]`` of devstack.toml.
    """
    parser = _parser()
    parser.read_string(config_map["data"][FILE])
    wanted = {"core": {"executor": executor(settings)}}
    for table in (wanted, settings.get("config", {})):
        for section, options in table.items():
            if not parser.has_section(section):
                parser.add_section(section)
            for name, value in options.items():
                parser.set(section, name, str(value))
    text = io.StringIO()
    parser.write(text)
    return {**config_map, "data": {**config_map["data"], FILE: text.getvalue()}}


def with_worker(config_map: Manifest, scheduler: Manifest) -> Manifest:
    """Return the ConfigMap with the pod that runs one task under KubernetesExecutor.

    It is the scheduler's pod, so that both are of one image, see the same files
    and have the same rights.
    """
    spec = copy.deepcopy(scheduler["spec"]["template"]["spec"])
    container = spec["containers"][0]
    for name in _ONLY_SERVERS:
        container.pop(name, None)
    container["name"] = "base"
    # The executor gives the rest, "airflow tasks run" and so on: it does not wait for set-up.
    container["command"] = ["/usr/bin/tini", "--", "python3", "-m"]
    container["env"].append({"name": "AIRFLOW__CORE__EXECUTOR", "value": LOCAL_EXECUTOR})
    spec["restartPolicy"] = "Never"
    labels = {"app.kubernetes.io/part-of": "devstack", "component": "worker"}
    metadata = {"name": "worker", "namespace": scheduler["metadata"]["namespace"], "labels": labels}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    # JSON is YAML too.
    text = json.dumps(pod, indent=2)
    return {**config_map, "data": {**config_map["data"], WORKER_FILE: text}}


def _parser() -> configparser.ConfigParser:
    # Airflow's own file is read without interpolation of its percent signs here.
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser
