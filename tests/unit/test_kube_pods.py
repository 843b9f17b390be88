from __future__ import annotations

from typing import Any

import pytest

from devstack.kube.client import Object
from devstack.kube.pods import ImagePullFailed, observe_pod
from devstack.waits import Failed, Observation, Ready, Waiting
from tests.fakes.api import FakeApi, event, pod, waiting

AGAIN = "back-off 20s restarting failed container=main"


def observe(item: Object, *others: Object, logs: str = "") -> Observation:
    api = FakeApi()
    api.add(item, *others)
    api.logs["/api/v1/namespaces/devstack/pods/minio-0/log"] = logs
    return observe_pod(api.client(), item)


def observe_failed(item: Object, *others: Object, logs: str = "") -> Failed:
    observation = observe(item, *others, logs=logs)
    assert isinstance(observation, Failed), observation
    return observation


def observe_waiting(item: Object, *others: Object, logs: str = "") -> Waiting:
    observation = observe(item, *others, logs=logs)
    assert isinstance(observation, Waiting), observation
    return observation


def unschedulable(message: str, spec: Object) -> Object:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }
    return pod("minio-0", spec=spec, conditions=[condition])


def asking(**requests: str) -> Object:
    return {"containers": [{"name": "main", "image": "x", "resources": {"requests": requests}}]}


def node(labels: dict[str, str] | None = None, **allocatable: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node", "labels": labels or {}},
        "status": {"allocatable": {"pods": "110", **allocatable}},
    }


def test_a_ready_pod_is_ready() -> None:
    ready = pod("minio-0", phase="Running", conditions=[{"type": "Ready", "status": "True"}])
    assert observe(ready) == Ready()


def test_a_succeeded_pod_is_ready() -> None:
    assert observe(pod("minio-0", phase="Succeeded")) == Ready()


def test_more_memory_than_any_node_has_fails_and_names_both_amounts() -> None:
    item = unschedulable("0/1 nodes are available: 1 Insufficient memory.", asking(memory="64Gi"))
    observation = observe_failed(item, node(cpu="2", memory="8Gi"))
    assert observation.code == "POD_UNSCHEDULABLE"
    assert "pod devstack/minio-0" in observation.reason
    assert "offers 8,192 MiB memory (65,536 MiB requested)" in observation.reason


def test_a_device_that_no_node_has_fails() -> None:
    item = unschedulable("Insufficient nvidia.com/gpu", asking(**{"nvidia.com/gpu": "1"}))
    found = observe_failed(item, node(cpu="2"))
    assert "offers 0 nvidia.com/gpu (1 requested)" in found.reason


def test_the_requests_of_all_containers_count_together() -> None:
    spec = asking(cpu="1500m")
    spec["containers"] *= 2
    assert "(3 requested)" in observe_failed(unschedulable("", spec), node(cpu="2")).reason


def test_resources_that_others_hold_are_awaited() -> None:
    item = unschedulable("0/1 nodes are available: 1 Insufficient cpu.", asking(cpu="1"))
    assert "Insufficient cpu" in observe_waiting(item, node(cpu="2")).reason


def test_a_label_that_no_node_has_fails() -> None:
    spec = {**asking(cpu="1"), "nodeSelector": {"disk": "ssd"}}
    observation = observe_failed(unschedulable("", spec), node(cpu="2"))
    assert "node, has no label disk=ssd" in observation.reason


def test_a_node_affinity_that_no_node_matches_fails() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    spec = {**asking(cpu="1"), "affinity": {"nodeAffinity": required}}
    observation = observe_failed(unschedulable("", spec), node({"zone": "c"}, cpu="2"))
    assert "node, has other labels than zone In (a, b)" in observation.reason
    observe_waiting(unschedulable("", spec), node({"zone": "b"}, cpu="2"))


def test_a_label_that_a_node_has_is_awaited() -> None:
    spec = {**asking(cpu="1"), "nodeSelector": {"disk": "ssd"}}
    observe_waiting(unschedulable("", spec), node({"disk": "ssd"}, cpu="2"))


CLAIMING: Object = {**asking(), "volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]}
CLAIM: Object = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "devstack"},
    "status": {"phase": "Pending"},
}


def test_a_volume_claim_that_does_not_exist_is_named() -> None:
    observation = observe_waiting(unschedulable("", CLAIMING))
    assert "volume claim devstack/data does not exist" in observation.reason


def test_a_volume_claim_that_is_not_bound_is_named_with_its_last_warning() -> None:
    failed = event(
        "data",
        "ProvisioningFailed",
        "no account",
        "2026-01-01T00:00:01Z",
        involved_kind="PersistentVolumeClaim",
    )
    observation = observe_waiting(pod("minio-0", spec=CLAIMING), CLAIM, failed)
    assert observation.reason == (
        "pod devstack/minio-0 is starting"
        " (volume claim devstack/data is not bound (ProvisioningFailed: no account))"
    )


def test_a_bound_volume_claim_is_not_reported() -> None:
    bound = {**CLAIM, "status": {"phase": "Bound"}}
    assert observe_waiting(pod("minio-0", spec=CLAIMING), bound).reason.endswith("is starting")


def test_without_permission_to_read_nodes_the_schedulers_message_is_shown() -> None:
    api = FakeApi()
    api.refuse("GET", "/nodes", 403)
    item = unschedulable("1 Insufficient memory", asking(memory="64Gi"))
    observation = observe_pod(api.client(), item)
    assert isinstance(observation, Waiting)
    assert "1 Insufficient memory" in observation.reason


def pulled(image: str, policy: str, message: str = "no such host") -> Failed:
    container = {"name": "main", "image": image, "imagePullPolicy": policy}
    status = {**waiting("ErrImagePull", message), "image": image}
    return observe_failed(
        pod("minio-0", spec={"containers": [container]}, containerStatuses=[status])
    )


def test_a_missing_image_can_be_added_from_this_machine() -> None:
    found = pulled("team/model:1", "IfNotPresent")
    assert isinstance(found, ImagePullFailed)
    assert (found.code, found.image, found.always) == ("IMAGE_PULL_FAILED", "team/model:1", False)
    assert "devstack images add team/model:1" in found.remedy
    assert "imagePullPolicy" not in found.reason


def test_the_pull_policy_always_is_named_as_the_cause() -> None:
    found = pulled("devstack/task:3.11-1", "Always")
    assert isinstance(found, ImagePullFailed)
    assert found.always
    assert "imagePullPolicy Always" in found.reason
    assert "no such host" in found.reason
    policy = 'remove image_pull_policy from @kubernetes, or set it to "IfNotPresent"'
    assert found.remedy == policy
    added = pulled("team/model:1", "Always").remedy
    assert added.startswith(policy)
    assert "devstack images add team/model:1" in added


@pytest.mark.parametrize("image", ["team/model:latest", "team/model", "localhost:5000/model"])
def test_the_tag_latest_may_not_have_a_policy_of_the_users(image: str) -> None:
    found = pulled(image, "Always")
    assert "imagePullPolicy Always" in found.reason
    assert found.remedy.startswith(f"`devstack images add {image}`")
    # The flow may set the policy, or compute the name.
    assert 'set image_pull_policy="IfNotPresent"' in found.remedy


@pytest.mark.parametrize("policy", ["Always", "IfNotPresent"])
@pytest.mark.parametrize("image", ["team/model@sha256:12", "team/model:1@sha256:12"])
def test_an_image_named_by_its_digest_cannot_be_added(image: str, policy: str) -> None:
    remedy = pulled(image, policy).remedy
    assert "name it by a tag" in remedy
    assert "devstack images add NAME:TAG" in remedy
    assert image not in remedy


@pytest.mark.parametrize(
    ("image", "message", "advice"),
    [
        (
            "docker.io/team/app:1",
            'failed to resolve reference "docker.io/team/app:1": unexpected status from HEAD'
            " request to https://registry.corp:5000/v2/hub/team/app/manifests/1?ns=docker.io: 401"
            " Unauthorized",
            "`devstack images login registry.corp:5000`",
        ),
        (
            "team/app:1",
            "pull access denied, repository does not exist or may require authorization",
            "if the image needs a login, `devstack images login docker.io`",
        ),
        (
            # GitLab, whose tokens come from another server.
            "registry.gitlab.corp/team/app:1",
            'failed to resolve reference "registry.gitlab.corp/team/app:1": failed to authorize:'
            " failed to fetch anonymous token: unexpected status from GET request to"
            " https://gitlab.corp/jwt/auth?scope=repository%3Ateam%2Fapp%3Apull&service="
            "container_registry: 403 Forbidden",
            "`devstack images login registry.gitlab.corp`",
        ),
        (
            "registry.gitlab.corp/team/app:1",
            "failed to authorize: failed to fetch anonymous token: Get"
            ' "https://gitlab.corp/jwt/auth?service=container_registry": tls: failed to verify'
            " certificate: x509: certificate signed by unknown authority",
            "~/.docker/certs.d/registry.gitlab.corp/ca.crt",
        ),
        (
            "team/app:1",
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET"
            " request to https://auth.docker.io/token?service=registry.docker.io: 401 Unauthorized",
            "`devstack images login docker.io`",
        ),
        (
            "registry.corp/team/app:1",
            'failed to do request: Head "https://registry.corp/v2/team/app/manifests/1": tls:'
            " failed to verify certificate: x509: certificate signed by unknown authority",
            "~/.docker/certs.d/registry.corp/ca.crt, or name it in DEVSTACK_CA_BUNDLE",
        ),
        (
            "quay.io/team/app:1",
            'failed to do request: Head "https://quay.io/v2/team/app/manifests/1": dial tcp: lookup'
            " quay.io on 172.18.0.1:53: no such host",
            "if the nodes cannot reach quay.io, name a mirror: `devstack up --mirror quay.io=",
        ),
        (
            "team/app:1",
            'failed to do request: Head "https://registry-1.docker.io/v2/team/app/manifests/1":'
            " dial tcp 1.2.3.4:443: i/o timeout",
            "if the nodes cannot reach docker.io, name a mirror: `devstack up --mirror docker.io=",
        ),
    ],
)
def test_what_a_registry_needs_is_part_of_the_remedy(image: str, message: str, advice: str) -> None:
    remedy = pulled(image, "IfNotPresent", message).remedy
    assert advice in remedy
    assert f"devstack images add {image}" in remedy


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"])
def test_an_image_that_cannot_be_pulled_fails_and_is_named(reason: str) -> None:
    observation = observe_failed(
        pod("minio-0", containerStatuses=[waiting(reason, "no such host")])
    )
    assert observation.code == "IMAGE_PULL_FAILED"
    assert "devstack/x:1" in observation.reason
    assert "no such host" in observation.reason
    assert "devstack images" in observation.remedy


def test_the_image_of_an_init_container_counts_too() -> None:
    item = pod("minio-0", initContainerStatuses=[waiting("ErrImagePull")])
    assert observe_failed(item).code == "IMAGE_PULL_FAILED"


def test_a_crash_loop_fails_and_shows_the_log() -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    status = waiting("CrashLoopBackOff", AGAIN, lastState=ended, restartCount=2)
    observation = observe_failed(pod("minio-0", containerStatuses=[status]), logs="boom\n")
    assert observation.code == "POD_CRASHES"
    assert "ended with status 3, restarted 2 times" in observation.reason
    assert observation.output == "boom\n"


def test_a_crash_while_the_cluster_starts_is_tolerated() -> None:
    """The count of restarts includes those of earlier starts of the node."""
    message = "back-off 10s restarting failed container=main"
    status = waiting("CrashLoopBackOff", message, restartCount=7)
    observe_waiting(pod("minio-0", containerStatuses=[status]))


@pytest.mark.parametrize("put_off", ["20s", "1m20s", "5m0s"])
def test_a_longer_back_off_is_a_failure(put_off: str) -> None:
    message = f"back-off {put_off} restarting failed container=main"
    status = waiting("CrashLoopBackOff", message, restartCount=3)
    assert observe_failed(pod("minio-0", containerStatuses=[status])).code == "POD_CRASHES"


def test_a_kill_for_lack_of_memory_is_named() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    status = waiting("CrashLoopBackOff", AGAIN, lastState=ended, restartCount=2)
    assert "(OOMKilled)" in observe_failed(pod("minio-0", containerStatuses=[status])).reason


def test_a_missing_secret_fails_and_is_named() -> None:
    status = waiting("CreateContainerConfigError", 'secret "minio-root" not found')
    observation = observe_failed(pod("minio-0", containerStatuses=[status]))
    assert observation.code == "POD_CONFIG_MISSING"
    assert "create secret generic minio-root -n " in observation.remedy
    assert 'secret "minio-root" not found' in observation.reason


def test_a_missing_key_of_a_secret_has_no_command_that_creates_the_secret() -> None:
    message = "couldn't find key password in Secret metaflow/warehouse"
    status = waiting("CreateContainerConfigError", message)
    remedy = observe_failed(pod("t-1", containerStatuses=[status])).remedy
    assert remedy.startswith("create what it names; or")


def test_a_failed_pod_shows_how_it_ended() -> None:
    state: dict[str, Any] = {"terminated": {"exitCode": 1, "reason": "Error"}}
    status = {"name": "main", "image": "x", "state": state}
    observation = observe_failed(
        pod("minio-0", phase="Failed", containerStatuses=[status]), logs="last lines"
    )
    assert "container 'main' ended with status 1" in observation.reason
    assert observation.output == "last lines"


def test_an_evicted_pod_shows_why() -> None:
    observation = observe_failed(
        pod("minio-0", phase="Failed", reason="Evicted", message="low on disk")
    )
    assert "low on disk" in observation.reason


def test_a_failing_probe_shows_its_event_and_the_log() -> None:
    status = {"name": "main", "image": "x", "ready": False, "state": {"running": {}}}
    observation = observe_waiting(
        pod("minio-0", phase="Running", containerStatuses=[status]),
        event("minio-0", "Scheduled", "assigned", "2026-01-01T00:00:09Z", kind="Normal"),
        event("minio-0", "Unhealthy", "probe failed: 503", "2026-01-01T00:00:05Z"),
        logs="starting\n",
    )
    assert "runs but is not ready (Unhealthy: probe failed: 503)" in observation.reason
    assert observation.output == "starting\n"


def test_a_starting_pod_shows_its_newest_event() -> None:
    observation = observe_waiting(
        pod("minio-0"),
        event("minio-0", "Scheduled", "assigned", "2026-01-01T00:00:01Z", kind="Normal"),
        event("minio-0", "Pulled", "image there", "2026-01-01T00:00:02Z", kind="Normal"),
    )
    assert observation.reason == "pod devstack/minio-0 is starting (Pulled: image there)"
