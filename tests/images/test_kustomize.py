"""The files below k8s/ as `kubectl apply -k` reads them."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from devstack import tools
from devstack.kube import manifests
from devstack.kube.apply import identify
from devstack.paths import project_file
from devstack.process import SubprocessRunner
from devstack.progress import Silent

FOLDERS = sorted(path.name for path in project_file("k8s").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubectl_sees_the_same_objects_as_devstack(folder: str) -> None:
    done = subprocess.run(
        [
            str(tools.ensure_kubectl(SubprocessRunner(), Silent())),
            "kustomize",
            str(project_file("k8s", folder)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    rendered = [item for item in yaml.safe_load_all(done.stdout) if item]
    assert sorted(rendered, key=identify) == sorted(manifests.load(folder), key=identify)
