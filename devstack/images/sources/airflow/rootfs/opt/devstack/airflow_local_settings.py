"""What every task of this Airflow is given; Airflow imports it by its name.

Metaflow's DAG files are not touched: what they leave to Airflow is chosen here.
"""

from __future__ import annotations

import os
from typing import Any

XCOM_CONTAINER = "airflow-xcom-sidecar"
XCOM_COMMAND = 'trap "exit 0" INT; while true; do sleep 0.2; done;'
"""Provider's own sleeps for a whole second, by which every task would end later."""

POD_OPERATOR = "KubernetesPodOperator"


def task_policy(task: Any) -> None:
    """Look at a starting pod every second, not every five."""
    # A mapped task has no operator yet, but the arguments that it will be made with.
    mapped = getattr(task, "partial_kwargs", None)
    operator = task.operator_class if mapped is not None else type(task)
    if all(each.__name__ != POD_OPERATOR for each in operator.__mro__):
        return
    if mapped is not None:
        mapped["startup_check_interval_seconds"] = 1
    else:
        task.startup_check_interval_seconds = 1


def pod_mutation_hook(pod: Any) -> None:
    """Use the sidecar's image that the node has; upstream's has no tag, so it would be pulled."""
    for container in pod.spec.containers:
        if container.name == XCOM_CONTAINER:
            container.image = os.environ.get("DEVSTACK_XCOM_IMAGE", container.image)
            container.image_pull_policy = "IfNotPresent"
            container.command = ["sh", "-c", XCOM_COMMAND]
