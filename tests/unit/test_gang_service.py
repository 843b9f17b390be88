from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from devstack.images.catalogue import IMAGES
from devstack.images.kubernetes_versions import DEFAULT
from devstack.kube import manifests
from devstack.kube.client import Object
from devstack.kube.resources import JOBSET
from devstack.providers.base import ClusterSpec
from devstack.providers.kind.config import build_config
from devstack.providers.kind.scheduler import scheduler_mount, scheduler_patch, scheduler_text
from devstack.services.base import Describes, ServiceContext
from devstack.services.gang import GangService
from devstack.services.gang_coscheduling import with_coscheduling
from devstack.state import StackState
from devstack.waits import Ready, Waiting
from tests.fakes.api import FakeApi, available, definition, namespace
from tests.support.gang_objects import gang, gang_pods


@pytest.fixture
def api() -> FakeApi:
    up = FakeApi()
    up.add(available("gang-controller", "gang-system"))
    return up


def context(api: FakeApi, gangs: str = "native") -> ServiceContext:
    return ServiceContext(StackState("mine", gangs=gangs), api.client())


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [item for item in objects if item["kind"] == kind]


def test_without_gang_support_nothing_is_applied_and_a_warning_is_returned(api: FakeApi) -> None:
    ctx = context(api, "off")
    service = GangService()
    assert service.manifests(ctx) == []
    assert service.observe(ctx) == Ready()
    assert api.requests == []


def test_the_image_is_the_catalogues(api: FakeApi) -> None:
    (workload,) = of_kind(GangService().manifests(context(api)), "Deployment")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGES["gang"].reference


def test_every_policy_is_bound() -> None:
    objects = manifests.load("gang")
    policies = {item["metadata"]["name"] for item in of_kind(objects, "MutatingAdmissionPolicy")}
    bound = of_kind(objects, "MutatingAdmissionPolicyBinding")
    assert {item["spec"]["policyName"] for item in bound} == policies


def test_the_controller_can_change_nothing_but_groups_conditions_and_events() -> None:
    (role,) = of_kind(manifests.load("gang"), "ClusterRole")
    read_verbs = {"get", "list", "watch"}
    changes = {
        resource: set(rule["verbs"]) - read_verbs
        for rule in role["rules"]
        for resource in rule["resources"]
        if set(rule["verbs"]) - read_verbs
    }
    assert changes == {
        "jobsets/status": {"patch"},
        "podgroups": {"create"},
        "events": {"create", "patch"},
    }


def test_a_policy_that_is_not_enforced_yet_is_awaited(api: FakeApi) -> None:
    api.add(definition(JOBSET, "JobSet"), namespace("metaflow"))
    ctx = context(api)
    ctx.api.writes = 1
    assert isinstance(GangService().observe(ctx), Waiting)
    assert not of_kind(list(api.objects.values()), "JobSet")


def test_an_unchanged_stack_is_only_read(api: FakeApi) -> None:
    assert GangService().observe(context(api)) == Ready()
    assert api.writes == []


def test_status_counts_gangs_and_reports_what_the_first_waits_for(api: FakeApi) -> None:
    api.add(gang("js-1", 2, "Scheduled"), *gang_pods("js-1", 2, node="one"))
    api.add(
        gang(
            "js-2", 2, "InsufficientResources", "needs 2 pods x 1 cpu at once, free resources for 1"
        )
    )
    service = GangService()
    assert isinstance(service, Describes)
    assert service.describe(context(api)) == (
        "1 running, 1 waiting; js-2 needs 2 pods x 1 cpu at once, free resources for 1"
    )


def test_the_plug_in_finds_its_pods_by_label_and_its_groups_in_its_own_api() -> None:
    objects = with_coscheduling(manifests.load("gang"))
    (role,) = of_kind(objects, "ClusterRole")
    (groups,) = [rule for rule in role["rules"] if "podgroups" in rule["resources"]]
    assert groups["apiGroups"] == ["scheduling.x-k8s.io"]
    text = yaml.safe_dump(of_kind(objects, "MutatingAdmissionPolicy"))
    assert "scheduling.x-k8s.io/pod-group" in text
    assert "schedulingGroup" not in text
    (workload,) = of_kind(objects, "Deployment")
    assert workload["spec"]["template"]["spec"]["containers"][0]["args"] == ["--coscheduling"]


def test_kinds_own_scheduler_settings_are_extended_not_replaced(tmp_path: Path) -> None:
    operations = yaml.safe_load(scheduler_patch(DEFAULT)["patch"])
    assert operations[0]["path"] == "/scheduler/extraArgs/-"
    mounted = scheduler_mount(tmp_path / "scheduler.yaml")
    assert mounted["readOnly"] is True
    assert operations[0]["value"]["value"] == mounted["containerPath"]


def test_kind_mounts_the_schedulers_file_on_the_control_plane_only(tmp_path: Path) -> None:
    text = build_config(ClusterSpec("mine", nodes=2), 0, tmp_path / "scheduler.yaml")
    config = yaml.safe_load(text)
    assert scheduler_patch(DEFAULT) in config["kubeadmConfigPatchesJSON6902"]
    first, second = config["nodes"]
    assert first["extraMounts"] == [scheduler_mount(tmp_path / "scheduler.yaml")]
    assert "extraMounts" not in second


def test_the_scheduler_has_high_rate_limits_and_packs_nodes() -> None:
    config = yaml.safe_load(scheduler_text())
    assert config["clientConnection"]["qps"] >= 500
    (profile,) = config["profiles"]
    (fit,) = profile["pluginConfig"]
    assert fit["args"]["scoringStrategy"]["type"] == "MostAllocated"
