"""DAG files on a volume: what is mounted, and how files are copied to it."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from devstack.deployers.airflow.programs.copy_dags import main
from devstack.services.airflow.service import AirflowService
from devstack.services.base import Manifest, ServiceContext
from devstack.state import StackState


def archive(**files: str) -> str:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/") + ".py")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return base64.b64encode(content.getvalue()).decode()


def files(folder: Path) -> dict[str, str]:
    found = (each for each in folder.rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): each.read_text() for each in found}


def test_files_are_replaced_and_others_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.py").write_text("other")
    (tmp_path / "one.py").write_text("old")
    main(str(tmp_path), archive(one="new", package__two="2"), delete=False)
    assert files(tmp_path) == {"other.py": "other", "one.py": "new", "package/two.py": "2"}
    result = json.loads(capsys.readouterr().out.removeprefix("DEVSTACK_RESULT "))
    assert result == {"written": ["one.py", "package/two.py"], "deleted": []}


def test_others_are_deleted_on_request(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "other.py").write_text("other")
    (tmp_path / "lost+found").mkdir()
    main(str(tmp_path), archive(one="1"), delete=True)
    assert files(tmp_path) == {"one.py": "1"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["lost+found", "one.py"]


def objects(**airflow: Any) -> list[Manifest]:
    return AirflowService().manifests(ServiceContext(StackState("mine", airflow=airflow)))


def claims(found: list[Manifest]) -> list[str]:
    return [each["metadata"]["name"] for each in found if each["kind"] == "PersistentVolumeClaim"]


def mounted(found: list[Manifest], name: str) -> dict[str, str]:
    """Return the claim by the mount path of a Deployment's container."""
    (item,) = (each for each in found if each["metadata"]["name"] == name)
    pod = item["spec"]["template"]["spec"]
    volumes = {
        each["name"]: each["persistentVolumeClaim"]["claimName"]
        for each in pod["volumes"]
        if "persistentVolumeClaim" in each
    }
    mounts = pod["containers"][0]["volumeMounts"]
    return {each["mountPath"]: volumes[each["name"]] for each in mounts if each["name"] in volumes}


def test_a_volume_is_created_and_mounted() -> None:
    found = objects(dags="volume")
    assert claims(found) == ["airflow", "airflow-dags"]
    expected = {"/airflow": "airflow", "/dags": "airflow-dags"}
    assert mounted(found, "airflow-scheduler") == expected
    assert mounted(found, "airflow-triggerer") == expected


def test_a_volume_of_the_users_is_mounted() -> None:
    found = objects(dags="volume", dags_volume="mine")
    assert claims(found) == ["airflow"]
    assert mounted(found, "airflow-scheduler")["/dags"] == "mine"


def test_other_ways_need_no_volume_and_delete_none() -> None:
    assert claims(objects()) == ["airflow"]
    ctx = ServiceContext(StackState("mine"))
    assert claims(AirflowService().leftovers(ctx)) == []


def test_worker_pods_mount_it_too() -> None:
    found = objects(dags="volume", executor="KubernetesExecutor")
    (config,) = (each for each in found if each["metadata"]["name"] == "airflow-config")
    worker = json.loads(config["data"]["worker.yaml"])
    assert "/dags" in [
        each["mountPath"] for each in worker["spec"]["containers"][0]["volumeMounts"]
    ]


def test_all_components_run_from_the_stacks_own_image() -> None:
    state = StackState("mine", airflow_image="devstack/airflow-dags:1")
    found = AirflowService().manifests(ServiceContext(state))
    images = {
        container["image"]
        for each in found
        if "template" in each.get("spec", {})
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"devstack/airflow-dags:1"}
