"""Kubernetes' own programs run with the flags that devstack's cluster configuration adds."""

from __future__ import annotations

import json

import yaml

from devstack.providers.base import ClusterSpec
from devstack.providers.kind.config import build_config
from tests.support.commandline import Devstack

PROGRAMS = {
    "apiServer": "kube-apiserver",
    "controllerManager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
}


def test_each_program_got_its_flags_from_kubeadm(stack: Devstack) -> None:
    config = yaml.safe_load(build_config(ClusterSpec(stack.name), 0))
    added = [
        (PROGRAMS[operation["path"].split("/")[1]], operation["value"])
        for patch in config["kubeadmConfigPatchesJSON6902"]
        for operation in json.loads(patch["patch"])
        if "extraArgs" in operation["path"]
    ]
    assert {program for program, _ in added} >= {"kube-controller-manager"}
    for program, flag in added:
        pod = f"{program}-devstack-{stack.name}-control-plane"
        shown = stack.admin_kubectl("get", "pod", "-n", "kube-system", pod, "-o", "json").stdout
        (container,) = json.loads(shown)["spec"]["containers"]
        assert f"--{flag['name']}={flag['value']}" in container["command"]
