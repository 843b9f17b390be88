"""Every parameter of @kubernetes, on running pods.

docs/kubernetes.md names, for each of them, the test that proves it: by what the pod has, as its
own task sees it or as the API server reports it while the Job is kept.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.reference import password_registry
from tests.e2e.reference.objects import (
    IMAGE,
    KEY,
    LOGIN,
    NAME,
    NAMESPACE,
    OTHER_NAMESPACE,
    TASK_IMAGE,
    reference_node,
)
from tests.e2e.reference.runs import GANG_FLOW, PLAIN_FLOW, with_variables
from tests.e2e.reference.task_pods import Pods, read, read_gang
from tests.support.commandline import Devstack

MIB = 1 << 20

REFUSED: dict[str, dict[str, Any]] = {
    "devices": {
        "extended_resources": {"example.com/fpga": "2"},
        "tolerations": [{"operator": "Exists"}],
    },
    "namespace": {"namespace": "default"},
    "root": {"security_context": {"run_as_user": 0, "run_as_non_root": True}},
}
"""Attributes with which a step does not run."""


@pytest.fixture(scope="module")
def lost(cluster: Devstack) -> subprocess.Popen[str]:
    """A run of a gang; in the worker, the first pod's name is one that does not exist."""
    changed = '[ "$UBF_CONTEXT" != ubf_task ] || export MF_MASTER_ADDR=nowhere.invalid'
    given = {"SANDBOX_INIT_SCRIPT": changed, "LABELS": f"{KEY}=lost"}
    return cluster.start(*with_variables(cluster, GANG_FLOW, given))


@pytest.fixture(scope="module")
def refused(cluster: Devstack, lost: subprocess.Popen[str]) -> dict[str, Any]:
    """What `devstack run` reports of a step with each of them; the gang runs beside them."""
    running = {}
    for name, attributes in REFUSED.items():
        given = [f"{key}={json.dumps(value)}" for key, value in attributes.items()]
        decorator = ",".join(["kubernetes:cpu=0.1,memory=256,disk=50", *given])
        argv = ["run", "--json", "--local", str(PLAIN_FLOW), "--", "--with", decorator]
        running[name] = cluster.start(*argv)
    return {name: json.loads(each.communicate(timeout=300)[0]) for name, each in running.items()}


def test_cpu_and_memory_are_limits_of_a_guaranteed_pod(attributes: Pods) -> None:
    pod = attributes["everything"]
    assert pod.seen["cpu_limit"] == 2
    assert pod.seen["memory_limit"] == pytest.approx(1024 * 10**6, abs=4096)
    assert pod.resources["limits"]["ephemeral-storage"] == "1024M"
    assert pod.resources["requests"] == {
        **pod.resources["limits"],
        "nvidia.com/gpu": "2",
        "example.com/fpga": "1",
    }


def test_qos_decides_between_limits_and_requests(attributes: Pods) -> None:
    assert attributes["everything"].object["status"]["qosClass"] == "Guaranteed"
    pod = attributes["others"]
    assert pod.object["status"]["qosClass"] == "Burstable"
    assert (pod.seen["cpu_limit"], pod.seen["memory_limit"]) == (None, None)
    assert pod.resources["requests"]["memory"] == "300M"
    kind, share = pod.seen["cpu_share"]
    assert share in {"cpu/cpu.shares": {512}, "cpu.weight": weights_of(512)}[kind]


def weights_of(shares: int) -> set[int]:
    """Return what runc writes into cpu.weight of cgroup v2 for the shares of a container.

    Both conversions of opencontainers/cgroups (``ConvertCPUSharesToCgroupV2Value``): the linear
    one, and since 0.0.5 the one that gives 100 for 1024.
    """
    log = math.log2(shares)
    return {
        1 + (shares - 2) * 9999 // 262142,
        math.ceil(10 ** ((log**2 + 125 * log) / 612 - 7 / 34)),
    }


def test_a_step_without_attributes_has_metaflows_defaults(attributes: Pods) -> None:
    pod = attributes["defaults"]
    assert pod.resources["requests"] == {
        "cpu": "1",
        "memory": "4096M",
        "ephemeral-storage": "10240M",
        "nvidia.com/gpu": "0",
    }
    assert pod.container["image"] == TASK_IMAGE
    assert pod.container["imagePullPolicy"] == "IfNotPresent"
    assert pod.spec["serviceAccountName"] == "metaflow-task"
    assert pod.object["metadata"]["namespace"] == NAMESPACE


def test_gpus_are_counted_and_assigned(attributes: Pods) -> None:
    pod = attributes["everything"]
    assert pod.resources["limits"]["nvidia.com/gpu"] == "2"
    assert len(set(pod.environment["NVIDIA_VISIBLE_DEVICES"].split(","))) == 2
    assert "NVIDIA_VISIBLE_DEVICES" not in attributes["defaults"].environment


def test_gpus_have_a_vendor(attributes: Pods) -> None:
    assert attributes["others"].resources["limits"] == {"amd.com/gpu": "1"}


def test_an_extended_resource_is_counted(attributes: Pods, refused: Mapping[str, Any]) -> None:
    """Only the pool's node has one; `refused` asks for two."""
    assert attributes["everything"].resources["limits"]["example.com/fpga"] == "1"
    error = refused["devices"]["error"]
    assert error["code"] == "POD_UNSCHEDULABLE"
    assert "offers 1 example.com/fpga (2 requested)" in error["cause"]


def test_the_image_and_how_it_is_pulled(cluster: Devstack, attributes: Pods) -> None:
    """The registry has asked for the password of the Secret, although the node has the image."""
    pod = attributes["everything"]
    assert pod.container["image"] == f"{password_registry.HOST}/{IMAGE}"
    assert pod.container["imagePullPolicy"] == "Always"
    assert pod.spec["imagePullSecrets"] == [{"name": LOGIN}]
    log = cluster.admin_kubectl("logs", password_registry.NAME, "-n", OTHER_NAMESPACE)
    assert "SERVED /v2/devstack/reference/manifests/1" in log.stdout


def test_the_account(attributes: Pods) -> None:
    pod = attributes["everything"]
    assert pod.environment["METAFLOW_KUBERNETES_SERVICE_ACCOUNT_NAME"] == NAME
    assert pod.spec["serviceAccountName"] == NAME


def test_the_namespace_is_where_the_pod_is(
    attributes: Pods, variables: Pods, refused: Mapping[str, Any]
) -> None:
    """The attribute has precedence over the variable, which names another one."""
    assert attributes["everything"].metadata["namespace"] == NAMESPACE
    assert variables["start"].metadata["namespace"] == OTHER_NAMESPACE
    assert variables["end"].metadata["namespace"] == NAMESPACE
    assert "is forbidden" in " ".join(refused["namespace"]["error"]["output"])


def test_node_selector_compute_pool_and_tolerations_lead_to_the_node(
    cluster: Devstack, attributes: Pods
) -> None:
    """The pool's node is tainted, and the only one with the label."""
    pod = attributes["everything"]
    assert pod.spec["nodeSelector"] == {
        "kubernetes.io/os": "linux",
        "outerbounds.co/compute-pool": NAME,
    }
    assert {"key": KEY, "operator": "Exists"} in pod.spec["tolerations"]
    assert pod.node == attributes["others"].node == reference_node(cluster)
    assert attributes["defaults"].node != pod.node


def test_labels_and_annotations(cluster: Devstack, attributes: Pods) -> None:
    pod = attributes["everything"]
    (owner,) = pod.metadata["ownerReferences"]
    job = read(cluster, "job", owner["name"], "-n", NAMESPACE)
    for metadata in (pod.metadata, job["metadata"]):
        assert metadata["labels"][KEY] == "label"
        assert metadata["annotations"][KEY] == "annotation, of any text"
        assert metadata["annotations"]["metaflow/step_name"] == "everything"


def test_secrets_are_variables(attributes: Pods) -> None:
    assert attributes["everything"].environment["TOKEN"] == f"a b$c of {NAMESPACE}"
    assert "TOKEN" not in attributes["others"].environment


def test_a_claim_is_mounted_and_keeps_what_a_step_writes(attributes: Pods, variables: Pods) -> None:
    """The second run has the claim from a variable."""
    assert attributes["everything"].seen["folders"]["/claim"]
    run = attributes["everything"].metadata["annotations"]["metaflow/run_id"]
    assert f"KEPT {run}" in variables.output


def test_tmpfs_has_its_size_and_path_and_is_the_folder_for_temporary_files(
    attributes: Pods,
) -> None:
    pod = attributes["everything"]
    assert pod.size_of("/scratch") == 64 * MIB
    assert pod.environment["METAFLOW_TEMPDIR"] == "/scratch"
    assert "TEMPDIR /scratch" in attributes.output
    other = attributes["others"]
    assert other.size_of("/metaflow_temp") == 150 * MIB
    assert "METAFLOW_TEMPDIR" not in other.environment
    assert "PATH /metaflow_temp" in attributes.output


def test_shared_memory_is_the_size_of_dev_shm(attributes: Pods) -> None:
    assert attributes["everything"].size_of("/dev/shm") == 128 * MIB


def test_the_port_is_declared(attributes: Pods) -> None:
    (port,) = attributes["everything"].container["ports"]
    assert port["containerPort"] == 8000


def test_the_executable_runs_the_task(attributes: Pods) -> None:
    assert attributes["everything"].environment["DEVSTACK_EXECUTABLE"] == "yes"
    assert "DEVSTACK_EXECUTABLE" not in attributes["others"].environment


def test_a_security_context_restricts_the_process(attributes: Pods) -> None:
    seen = attributes["everything"].seen
    assert seen["ids"] == [1234, 2345]
    assert seen["status"]["NoNewPrivs"] == "1"
    assert int(seen["status"]["CapEff"], 16) == 0
    assert seen["writable"] == ["/home/task", "/scratch", "/claim"]


def test_run_as_non_root_rejects_root(attributes: Pods, refused: Mapping[str, Any]) -> None:
    assert attributes["everything"].container["securityContext"]["runAsNonRoot"] is True
    assert "container's runAsUser breaks non-root policy" in refused["root"]["error"]["cause"]


def test_a_security_context_gives_privileges(attributes: Pods) -> None:
    seen = attributes["others"].seen
    assert seen["ids"][0] == 0
    assert seen["status"]["NoNewPrivs"] == "0"
    known = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert int(seen["status"]["CapEff"], 16).bit_count() > known // 2


def test_a_gang_has_the_attributes_too(cluster: Devstack, attributes: Pods) -> None:
    gang = read_gang(cluster, attributes["gang"])
    assert len(gang) == 2
    for pod in gang:
        assert pod.environment["METAFLOW_KUBERNETES_JOBSET_NAME"]
        assert pod.environment["MF_MASTER_PORT"] == "9000"
        assert pod.environment["MF_PARALLEL_MAIN_IP"]
        assert pod.size_of("/dev/shm") == 32 * MIB
        assert pod.metadata["labels"][KEY] == "gang"
        assert pod.seen["ids"][0] == 1234


def test_workers_wait_for_the_first_pod_s_name_as_long_as_the_timeout_says(
    cluster: Devstack, lost: subprocess.Popen[str]
) -> None:
    lost.communicate(timeout=300)
    assert lost.returncode != 0
    log = cluster.kubectl("logs", "-n", NAMESPACE, "-l", f"{KEY}=lost", "--tail=-1").stdout
    assert "Failed to get host by name for MF_MASTER_ADDR after waiting for 3 seconds" in log
