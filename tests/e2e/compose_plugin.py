"""`docker compose`, built from its Go module where Docker came without it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from devstack.paths import cache_home

SOURCES = Path(__file__).parent / "compose-plugin"
PROGRAM = "github.com/docker/compose/v2/cmd"


def docker_has_compose() -> bool:
    """Return True where ``docker compose`` works as it is."""
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return asked.returncode == 0


def built_plugin() -> Path:
    """Return the DOCKER_CONFIG folder that holds the plugin, built once and cached."""
    pins = b"".join((SOURCES / name).read_bytes() for name in ("go.mod", "go.sum"))
    folder = cache_home() / "compose" / hashlib.sha256(pins).hexdigest()[:16]
    plugin = folder / "cli-plugins" / "docker-compose"
    if not plugin.exists():
        plugin.parent.mkdir(parents=True, exist_ok=True)
        unfinished = plugin.with_name(f".{plugin.name}.{os.getpid()}")
        _build(unfinished)
        unfinished.replace(plugin)
    return folder


def _build(target: Path) -> None:
    go = shutil.which("go") or cache_home() / "go-release" / "bin" / "go"
    options = ["-trimpath", "-mod=readonly", "-ldflags=-s -w"]
    done = subprocess.run(
        [go, "build", *options, "-o", target, PROGRAM],
        cwd=SOURCES,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"docker compose did not compile:\n{done.stderr[-4000:]}"
