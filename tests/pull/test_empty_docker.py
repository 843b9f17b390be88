"""The engine of these tests: empty, apart from this machine's own, and gone afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.empty_docker import CGROUPS, EmptyDocker
from tests.support.private_authority import PrivateAuthority
from tests.support.registry import UPSTREAM_HOSTS, Registry

IMAGE = "devstack/xcom:1"
NAME = "docker.io/library/busybox"


def rules() -> str:
    argv = ["iptables-save"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    # Without counters and times.
    return "\n".join(line for line in lines if line.startswith("-A"))


def test_an_image_is_pulled_under_its_upstream_name(tmp_path: Path) -> None:
    before = rules()
    authority = PrivateAuthority(tmp_path / "authority")
    hosts = dict.fromkeys(UPSTREAM_HOSTS, "127.0.0.1")
    folder = tmp_path / "docker"
    with EmptyDocker(folder, hosts=hosts, authorities=[authority.certificate]) as engine:
        assert engine.run("docker", "image", "ls", "--quiet").stdout == ""
        with Registry(
            tmp_path / "registry", port=443, network=engine.pid, authority=authority
        ) as registry:
            digest = registry.add(IMAGE, "library/busybox:1", index=True)
            engine.run("docker", "pull", f"{NAME}:1@{digest}")
            done = engine.run("docker", "run", "--rm", f"{NAME}@{digest}", "sh", "-c", "echo ran")
            assert done.stdout == "ran\n"
    assert not folder.exists()
    assert not list(CGROUPS.glob(f"*/{engine.cgroup}"))
    assert rules() == before
