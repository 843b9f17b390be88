"""Airflow's configuration: airflow.cfg from k8s/, the user's options, and the executor."""

from __future__ import annotations

import configparser
import copy
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from devstack.airflow_settings import (
    LOCAL_EXECUTOR,
    executors,
    has_celery,
    most_slots,
    text_key,
)
from devstack.services.airflow import address, cfg_file
from devstack.services.airflow.dag_delivery import dags_folder
from devstack.services.airflow.installation import Installation
from devstack.services.base import Manifest

FILE = "airflow.cfg"
WORKER_FILE = "worker.yaml"
WEB_FILE = "webserver_config.py"

CELERY: dict[str, dict[str, Any]] = {
    "scheduler": {
        "max_tis_per_query": 0,
        "scheduler_idle_sleep_time": 0.2,
        # Tasks wait in the broker until a worker is free. One that waits for ten minutes is sent
        # again, in case that its message was lost; by default, Airflow fails it the third time.
        "num_stuck_in_queued_retries": 1_000_000,
        "task_queued_timeout_check_interval": 30,
    },
    "celery": {
        "task_acks_late": True,
        # A worker takes no message before it can execute its task.
        "worker_prefetch_multiplier": 1,
        # While the broker is down, tasks wait in the scheduler. Seconds for each attempt.
        "operation_timeout": 3.0,
        "task_publish_max_retries": 1_000_000,
        "extra_celery_config": json.dumps(
            {
                "task_publish_retry_policy": {
                    "max_retries": 100,
                    "interval_start": 0.1,
                    "interval_step": 0.1,
                    "interval_max": 0.3,
                },
                "broker_connection_timeout": 2,
                "broker_connection_max_retries": None,
                # Seconds: a broker that was killed sends no FIN.
                "broker_heartbeat": 20,
                "worker_cancel_long_running_tasks_on_connection_loss": False,
                # A lost process is a failed task, which Airflow retries, if the task allows.
                "task_reject_on_worker_lost": False,
            }
        ),
    },
    # Redis only: seconds until an unacknowledged message is delivered again, also if its task still
    # runs. A lost worker needs no such message: the scheduler fails its running tasks when
    # their heartbeat stops, retries them if they have retries, and sends those again that are
    # queued for long (`task_queued_timeout`).
    "celery_broker_transport_options": {"visibility_timeout": 86400},
}
"""What Celery's executors need in airflow.cfg."""

LOCAL_TASKS = 4
"""Airflow's parallelism in k8s/, and the slots of a new pool, without Celery."""

WITH_LOCAL_TASKS = 8
"""The number of tasks at a time if LocalExecutor and Celery's run them. LocalExecutor starts as
many processes, and its tasks share the memory of the scheduler's container."""

_SERVER_FIELDS = ("args", "ports", "startupProbe", "readinessProbe", "livenessProbe")


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
    _add(parser, _options(_celery_options(settings)))
    needed = needed_options(config_map, settings, installation)
    _add(parser, _cfg_options(settings, needed))
    _add(parser, ((section, name, value) for (section, name), value in needed.items()))
    for table in (address.options(settings), settings.get("config", {})):
        options = (each for each in _options(table) if each[:2] != ("core", "executor"))
        _add(parser, options)
    text = io.StringIO()
    parser.write(text)
    web = config_map["data"][WEB_FILE] + _web_settings(installation)
    return {**config_map, "data": {**config_map["data"], FILE: text.getvalue(), WEB_FILE: web}}


def _celery_options(settings: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    if not has_celery(settings):
        return {}
    slots = most_slots(settings)
    # Sent to the workers, whose number may change at any time: enough for all of them, so that no
    # worker waits for the scheduler. The rest waits in the queue.
    core = {
        "parallelism": parallelism(settings),
        "max_active_tasks_per_dag": slots,
        # Airflow's default is 128. An existing pool keeps its slots.
        "default_pool_task_slot_count": max(128, slots),
    }
    return {**CELERY, "core": core}


def parallelism(settings: Mapping[str, Any]) -> int:
    """Return the number of tasks at a time that each scheduler allows, unless the user sets it.

    Args:
        settings: the table ``[airflow]`` of devstack.toml.
    """
    if not has_celery(settings):
        return LOCAL_TASKS
    return WITH_LOCAL_TASKS if LOCAL_EXECUTOR in executors(settings) else most_slots(settings)


def option(settings: Mapping[str, Any], section: str, name: str, default: str) -> str:
    """Return an option of airflow.cfg that the stack itself does not set.

    Args:
        settings: the table ``[airflow]`` of devstack.toml, with the texts of its files.
        section: the option's section.
        name: its name.
        default: Airflow's own value.
    """
    table = settings.get("config", {}).get(section, {})
    if name in table:
        return str(table[name])
    if text := settings.get(text_key("cfg")):
        found = cfg_file.parse(text, str(settings.get("cfg")))
        return found.get(section, name, fallback="").strip() or default
    return default


def _web_settings(installation: Installation) -> str:
    """Return settings of Flask: browsers send a cookie to all ports of a host."""
    return (
        f"SESSION_COOKIE_NAME = {installation.named('session')!r}\n" if installation.prefix else ""
    )


def needed_options(
    config_map: Manifest, settings: Mapping[str, Any], installation: Installation
) -> dict[tuple[str, str], str]:
    """Return the options that the stack needs, by section and name.

    Args:
        config_map: the one of k8s/airflow.
        settings: the table ``[airflow]`` of devstack.toml.
        installation: whose ConfigMap it is.
    """
    parser = _parser()
    parser.read_string(config_map["data"][FILE])
    _add(
        parser,
        [
            ("core", "executor", ",".join(executors(settings))),
            ("core", "dags_folder", dags_folder(settings)),
            ("kubernetes_executor", "namespace", installation.namespace),
        ],
    )
    return {each: parser.get(*each) for each in cfg_file.NEEDED}


def require_usable_cfg(
    config_map: Manifest, settings: Mapping[str, Any], installation: Installation
) -> list[str]:
    """Check the user's airflow.cfg; return which of its and of the table's options are not used.

    Args:
        config_map: the one of k8s/airflow.
        settings: the table ``[airflow]`` of devstack.toml, with the file's text.
        installation: whose file it is.

    Raises:
        DevstackError: ``AIRFLOW_CFG_INVALID`` or ``AIRFLOW_CFG_SECRET``.
    """
    unused = cfg_file.without_effect(settings.get("config", {}))
    text, file = settings.get(text_key("cfg")), str(settings.get("cfg"))
    if not text:
        return unused
    found = cfg_file.parse(text, file)
    cfg_file.require_no_secrets(found, file, installation)
    needed = needed_options(config_map, settings, installation)
    return [*cfg_file.replaced(found, needed), *unused]


def _cfg_options(
    settings: Mapping[str, Any], needed: Mapping[tuple[str, str], str]
) -> Iterator[tuple[str, str, str]]:
    if text := settings.get(text_key("cfg")):
        found = cfg_file.parse(text, str(settings.get("cfg")))
        yield from cfg_file.usable_options(found, needed)


def _options(table: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for section, options in table.items():
        for name, value in options.items():
            yield section, name, str(value)


def _add(parser: configparser.ConfigParser, options: Iterable[tuple[str, str, str]]) -> None:
    for section, name, value in options:
        if not parser.has_section(section):
            parser.add_section(section)
        parser.set(section, name, value)


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
