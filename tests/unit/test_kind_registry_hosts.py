"""The files by which containerd of the nodes finds registries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devstack.docker.trust import is_insecure, trusted_authorities
from devstack.providers.base import RegistrySettings
from devstack.providers.kind.registry_hosts import build_files, configure_node, files_version

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
MARK = "# Written by devstack.\n"


def lines(files: dict[str, str], registry: str) -> list[str]:
    text = files[f"certs.d/{registry}/hosts.toml"]
    assert text.startswith(MARK)
    return text.removeprefix(MARK).splitlines()


def test_without_settings_there_are_no_files() -> None:
    assert build_files(RegistrySettings(), {}) == {}
    assert files_version({}) == ""


def test_a_mirror_with_a_path_is_asked_below_v2_and_nothing_else_is_asked() -> None:
    settings = RegistrySettings({"docker.io": "registry.corp:5000/hub", "quay.io": "quay.corp"})
    files = build_files(settings, {})
    assert lines(files, "docker.io") == [
        'server = "https://registry.corp:5000/v2/hub"',
        'capabilities = ["pull", "resolve"]',
        "override_path = true",
    ]
    assert lines(files, "quay.io") == [
        'server = "https://quay.corp"',
        'capabilities = ["pull", "resolve"]',
    ]
    assert lines(files, "registry.corp:5000") == []


def test_the_mirror_of_every_other_registry_is_not_asked_for_its_own_images() -> None:
    files = build_files(RegistrySettings({"*": "nexus.corp", "ghcr.io": "ghcr.io"}), {})
    assert lines(files, "_default")[0] == 'server = "https://nexus.corp"'
    assert lines(files, "nexus.corp") == []
    assert lines(files, "ghcr.io") == []


def test_nodes_trust_what_this_machine_trusts() -> None:
    settings = RegistrySettings({"docker.io": "registry.corp:5000/hub"}, authorities=CA)
    files = build_files(settings, {"registry.corp:5000": CA, "team.corp": CA})
    shared = "/etc/containerd/devstack-authorities.crt"
    assert files["devstack-authorities.crt"] == CA
    for registry in ("docker.io", "registry.corp:5000", "team.corp"):
        assert files[f"certs.d/{registry}/ca.crt"] == CA
        assert lines(files, registry)[-1] == f'ca = ["ca.crt", "{shared}"]'
    assert lines(files, "_default") == [f'ca = ["{shared}"]']


def test_a_registry_that_docker_does_not_verify_may_lack_tls() -> None:
    settings = RegistrySettings({"docker.io": "10.0.0.5:5000/hub"})
    files = build_files(settings, {}, ["10.0.0.5:5000"])
    assert lines(files, "docker.io") == [
        'server = "http://10.0.0.5:5000/v2/hub"',
        'capabilities = ["pull", "resolve"]',
        "override_path = true",
        "skip_verify = true",
    ]
    assert 'server = "http://10.0.0.5:5000"' in lines(files, "10.0.0.5:5000")


def test_the_stacks_own_registry_is_on_the_nodes() -> None:
    local = {"localhost:40500": "http://127.0.0.1:30500"}
    files = build_files(RegistrySettings({"*": "nexus.corp"}, local), {})
    assert lines(files, "localhost:40500") == ['server = "http://127.0.0.1:30500"']


def test_files_of_earlier_settings_are_removed_from_a_node() -> None:
    calls: list[tuple[Any, ...]] = []

    class Engine:
        def put_files(self, *arguments: Any) -> None:
            calls.append(arguments)

        def require(self, _node: object, argv: list[str], _message: str) -> None:
            calls.append(tuple(argv[4:]))

    class Node:
        name = "node"

    engine: Any = Engine()
    files = build_files(RegistrySettings({"docker.io": "a.corp"}), {})
    node = Node()
    configure_node(engine, node, files)
    configure_node(engine, node, {})
    assert calls == [(node, "/etc/containerd", files), ("a.corp", "docker.io"), ()]


def test_what_docker_trusts_is_found_in_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    home = tmp_path / "home"
    other = CA.replace("MIIB", "MIIC")
    for folder, text in (
        (tmp_path / "etc/docker/certs.d/registry.corp:5000", CA),
        (home / ".docker/certs.d/registry.corp:5000", other),
        (home / ".config/containers/certs.d/podman.corp", CA),
        (home / ".docker/certs.d/empty.corp", "nothing"),
    ):
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_text(text)
        (folder / "client.key").write_text("a secret")
    assert trusted_authorities(tmp_path, home) == {
        "registry.corp:5000": CA + other,
        "podman.corp": CA,
    }


@pytest.mark.parametrize(
    ("host", "insecure"),
    [
        ("10.0.0.5:5000", True),
        ("127.0.0.1:5000", True),
        ("registry.corp:5000", True),
        ("docker.io", False),
        ("other.corp", False),
        ("10.1.0.5", False),
    ],
)
def test_what_docker_does_not_verify(host: str, insecure: bool) -> None:
    info = {
        "RegistryConfig": {
            "IndexConfigs": {
                "docker.io": {"Secure": True},
                "registry.corp:5000": {"Secure": False},
            },
            "InsecureRegistryCIDRs": ["10.0.0.0/24", "127.0.0.0/8", "::1/128"],
        }
    }
    assert is_insecure(host, info) is insecure
    assert not is_insecure(host, {})
