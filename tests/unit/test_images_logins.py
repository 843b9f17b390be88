"""Which logins pods need, by the registries in the names of images."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from devstack.docker.credentials import Credential
from devstack.errors import DevstackError
from devstack.images.logins import WELL_KNOWN, by_registry, find_hosts, read_logins
from devstack.kube.pull_secrets import build_pull_secret, registries_of

MIRRORS = {"docker.io": "registry.corp:5000/hub", "quay.io": "quay.io"}


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    hosts = ("registry.corp:5000", "https://index.docker.io/v1/")
    auths = {host: {"auth": base64.b64encode(b"me:secret").decode()} for host in hosts}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))


def login(host: str) -> Credential:
    return Credential(host, "me", f"secret of {host}")


def test_the_login_at_a_mirror_is_that_for_the_registries_it_serves() -> None:
    logins = [login("registry.corp:5000"), login("docker.io"), login("quay.io")]
    assert by_registry(logins, MIRRORS) == {
        "docker.io": ("me", "secret of registry.corp:5000"),
        "quay.io": ("me", "secret of quay.io"),
        "registry.corp:5000": ("me", "secret of registry.corp:5000"),
    }


def test_the_login_at_a_registry_is_never_sent_to_its_mirror() -> None:
    assert by_registry([login("docker.io")], MIRRORS) == {}


def test_the_mirror_of_every_other_registry_serves_those_that_are_known() -> None:
    found = by_registry([login("nexus.corp")], {"*": "nexus.corp", "ghcr.io": "ghcr.io"})
    assert set(found) == {*WELL_KNOWN, "nexus.corp"} - {"ghcr.io"}


def test_a_login_is_looked_for_where_images_are_pulled_from(logged_in: None) -> None:
    warnings: list[str] = []
    assert find_hosts("docker.io", MIRRORS, warnings.append) == ["registry.corp:5000"]
    assert find_hosts("docker.io", {}, warnings.append) == ["docker.io"]
    assert find_hosts("", {}, warnings.append) == ["docker.io", "registry.corp:5000"]
    with pytest.raises(DevstackError) as caught:
        find_hosts("ghcr.io", {"ghcr.io": "harbor.corp/ghcr"}, warnings.append)
    assert caught.value.code == "LOGIN_MISSING"
    assert caught.value.remedy.startswith("docker login harbor.corp")
    assert warnings == []


def test_of_all_logins_those_that_pods_cannot_use_are_left_out(
    logged_in: None, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    settings = json.loads(file.read_text())
    settings["auths"]["token.corp"] = {"identitytoken": "x"}
    settings["credHelpers"] = {"gcr.io": "absent"}
    file.write_text(json.dumps(settings))
    warnings: list[str] = []
    assert find_hosts("", {}, warnings.append) == ["docker.io", "registry.corp:5000"]
    assert [each.partition(" ")[0] for each in warnings] == ["gcr.io", "token.corp"]


def test_hosts_without_login_are_named(logged_in: None) -> None:
    logins, missing = read_logins(["docker.io", "gone.corp"])
    assert [each.registry for each in logins] == ["docker.io"]
    assert missing == ["gone.corp"]


def test_the_secret_is_what_the_kubelet_reads() -> None:
    secret = build_pull_secret("metaflow", {"b.corp": ("me", "a:b c"), "a.corp": ("you", "x")})
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    content = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert base64.b64decode(content["auths"]["b.corp"]["auth"]) == b"me:a:b c"
    assert registries_of(secret) == ["a.corp", "b.corp"]
    assert registries_of({}) == []
