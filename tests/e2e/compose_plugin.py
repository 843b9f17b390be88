"""`docker compose`, compiled from its Go module where Docker came without it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devstack.images import certificates
from devstack.images.golang import find_go
from devstack.images.pieces import Pieces, digest
from devstack.process import SubprocessRunner
from devstack.progress import Silent

SOURCES = Path(__file__).parent / "compose-plugin"
PROGRAM = "github.com/docker/compose/v2/cmd"


def docker_has_compose() -> bool:
    """Return True where ``docker compose`` works as it is."""
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return asked.returncode == 0


def plugin_folder() -> Path:
    """Return the DOCKER_CONFIG folder that holds the plugin, compiled once and kept."""
    return Pieces().make("docker-compose", digest(SOURCES, "-s -w"), _compile)


def _compile(folder: Path) -> None:
    runner, pieces = SubprocessRunner(), Pieces()
    plugin = folder / "cli-plugins" / "docker-compose"
    caches = {"GOCACHE": pieces.root / "go" / "build", "GOMODCACHE": pieces.root / "go" / "mod"}
    go = find_go(runner, Silent(), pieces)
    runner.run(
        [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(plugin), PROGRAM],
        cwd=SOURCES,
        env={
            **certificates.variables(),
            **{name: str(folder) for name, folder in caches.items()},
            "CGO_ENABLED": "0",
            "GOFLAGS": "-modcacherw -buildvcs=false -mod=readonly",
            "GOWORK": "off",
        },
    )
