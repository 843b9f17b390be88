"""Every METAFLOW_KUBERNETES_* variable, on running pods.

docs/kubernetes.md names, for each of them, the test that proves it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.reference.objects import (
    KEY,
    LOGIN,
    NAME,
    NAMESPACE,
    OTHER_NAMESPACE,
    VARIABLE_IMAGE,
    reference_node,
)
from tests.e2e.reference.runs import GANG_FLOW, PLAIN_FLOW, SMALL, TTL_SECONDS, with_variables
from tests.e2e.reference.task_pods import Pods, read
from tests.support.commandline import Devstack
from tests.support.eventually import eventually


def test_variables_describe_the_pod(cluster: Devstack, variables: Pods) -> None:
    pod = variables["start"]
    assert pod.metadata["annotations"][KEY] == "from a variable"
    assert pod.metadata["labels"][KEY] == "variable"
    assert pod.metadata["namespace"] == OTHER_NAMESPACE
    assert pod.object["status"]["qosClass"] == "Guaranteed"
    assert pod.seen["cpu_limit"] == pytest.approx(0.5)
    assert pod.seen["memory_limit"] == pytest.approx(1000 * 10**6, abs=4096)
    assert pod.resources["limits"]["ephemeral-storage"] == "200M"
    assert pod.container["image"] == VARIABLE_IMAGE
    assert pod.container["imagePullPolicy"] == "Never"
    assert pod.container["ports"][0]["containerPort"] == 8001
    assert pod.spec["imagePullSecrets"] == [{"name": LOGIN}]
    assert pod.node == reference_node(cluster)
    assert pod.spec["serviceAccountName"] == NAME
    assert {"operator": "Exists"} in pod.spec["tolerations"]
    assert pod.environment["TOKEN"] == f"a b$c of {OTHER_NAMESPACE}"
    assert pod.environment["DEVSTACK_INIT"] == "yes"
    assert pod.seen["folders"]["/claim"]


def test_attributes_have_precedence_over_variables(variables: Pods) -> None:
    pod = variables["end"]
    assert pod.metadata["namespace"] == NAMESPACE
    assert pod.metadata["labels"][KEY] == "attribute"
    assert pod.metadata["labels"][f"{KEY}-2"] == "variable"
    assert pod.metadata["annotations"][KEY] == "an attribute"
    assert pod.metadata["annotations"][f"{KEY}-2"] == "from a variable"


def test_the_vendor_of_gpus_from_a_variable(variables: Pods) -> None:
    limits = variables["end"].resources["limits"]
    assert limits["amd.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits


def test_variables_that_metaflow_sets_in_pods(variables: Pods) -> None:
    pod = variables["start"]
    prefix = "METAFLOW_KUBERNETES_"
    found = {name.removeprefix(prefix): value for name, value in pod.environment.items()}
    assert found["POD_NAME"] == pod.metadata["name"]
    assert found["POD_ID"] == pod.metadata["uid"]
    assert found["POD_NAMESPACE"] == found["NAMESPACE"] == pod.metadata["namespace"]
    assert found["SERVICE_ACCOUNT_NAME"] == NAME
    assert found["NODE_IP"] == pod.object["status"]["hostIP"]
    assert found["WORKLOAD"] == "1"


def test_a_task_records_its_instance(cluster: Devstack, variables: Pods) -> None:
    run = re.findall(r"\(run-id (\w+)\)", variables.output)[0]
    program = (
        "import json, metaflow; metaflow.namespace(None);"
        f"task = metaflow.Run('VariablesFlow/{run}')['start'].task;"
        "print(json.dumps(task.metadata_dict))"
    )
    done = cluster.run("shell", "--", sys.executable, "-c", program)
    recorded = json.loads(done.stdout)
    assert recorded["kubernetes-pod-name"] == variables["start"].seen["pod"]
    assert recorded["ec2-instance-type"] == "m5.4xlarge"
    assert recorded["ec2-region"] == "eu-west-1"
    assert recorded["ec2-availability-zone"] == "eu-west-1b"


MISTAKES = {
    "JOBSET_GROUP": (GANG_FLOW, "jobsets.example.com", "Forbidden"),
    "JOBSET_VERSION": (GANG_FLOW, "v1beta9", "Not Found"),
    "SHARED_MEMORY": (PLAIN_FLOW, "64", "Invalid shared_memory value: 64"),
}
"""Variable: a flow, a value with which it does not run, and why."""


def test_values_that_the_stack_does_not_serve(cluster: Devstack) -> None:
    running = {}
    for name, (flow, value, _) in MISTAKES.items():
        argv = with_variables(cluster, flow, {**SMALL, name: value})
        decorated = ["--with", "kubernetes"] if flow == PLAIN_FLOW else []
        running[name] = cluster.start(*argv, *decorated)
    for name, process in running.items():
        assert MISTAKES[name][2] in "".join(process.communicate(timeout=300))
        assert process.returncode != 0


def test_the_platform_of_packages(cluster: Devstack, tmp_path: Path) -> None:
    """A program in the place of micromamba tells for which platform it is to resolve them."""
    program = tmp_path / "micromamba"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--dry-run*) echo "resolves for $CONDA_SUBDIR" >&2; exit 1;; esac\n'
        'echo \'{"channels": [], "envs": [], "envs_dirs": ["/nowhere"], "platform": "linux-64"}\'\n'
    )
    program.chmod(0o755)
    behind = Devstack(cluster.name, cluster.home, {"METAFLOW_PATH_TO_MICROMAMBA": str(program)})
    argv = with_variables(cluster, PLAIN_FLOW, {"CONDA_ARCH": "linux-aarch64"})
    options = ["--with", "kubernetes", "--with", "conda:python=3.11.5"]
    done = behind.run(*argv[:-1], "--environment=conda", argv[-1], *options, check=False)
    assert "resolves for linux-aarch64" in done.stdout + done.stderr


def jobs(stack: Devstack, mode: str) -> list[dict[str, Any]]:
    """Return the Jobs with a label, wherever they are."""
    found = read(stack, "jobs", "-A", "-l", f"{KEY}={mode}")["items"]
    return list(found)


def test_what_becomes_of_the_job_of_an_interrupted_run(cluster: Devstack) -> None:
    """Its pod tolerates no taint, so it does not start."""
    running = {}
    for mode in ("delete", "stop"):
        waiting = {
            "NODE_SELECTOR": f"outerbounds.co/compute-pool={NAME}",
            "LABELS": f"{KEY}={mode}",
        }
        given = {**SMALL, **waiting, "JOB_TERMINATE_MODE": mode}
        running[mode] = cluster.start(
            *with_variables(cluster, PLAIN_FLOW, given), "--with", "kubernetes"
        )
    for process in running.values():
        # An interruption before this line would not find the Job that Metaflow has created.
        assert process.stdout
        assert any("Task is starting (" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)
    for process in running.values():
        process.communicate(timeout=120)
    eventually("the Job to be deleted", lambda: not jobs(cluster, "delete"))
    (kept,) = jobs(cluster, "stop")
    assert kept["spec"]["parallelism"] == 0
    cluster.admin_kubectl("delete", "job", kept["metadata"]["name"], "-n", NAMESPACE)


def test_a_finished_job_is_deleted(cluster: Devstack, variables: Pods) -> None:
    """The last test here, since this takes a while."""
    (owner,) = variables["start"].metadata["ownerReferences"]
    argv = ["get", "job", owner["name"], "-n", OTHER_NAMESPACE, "--ignore-not-found", "-o", "name"]

    def gone() -> bool:
        return cluster.admin_kubectl(*argv).stdout == ""

    eventually("the Job to be deleted", gone, timeout=TTL_SECONDS + 30, interval=2)
