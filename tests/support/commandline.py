"""devstack as a user runs it: its command line, on a home folder of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devstack.services import SERVICES

DATABASE_SERVICES = tuple(
    service.name for service in SERVICES if service.database or service.name == "postgres"
)
"""Postgres and the services that need it; most tests do without them."""


class Devstack:
    """One stack, used through the ``devstack`` command only.

    Args:
        name: the stack's name.
        home: DEVSTACK_HOME; the cache of built images is the user's own.
        environment: additional environment variables of each command.
    """

    def __init__(self, name: str, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.home = home
        cache = os.environ.get("DEVSTACK_CACHE") or str(_user_cache())
        self.environment = {
            **os.environ,
            "DEVSTACK_HOME": str(home),
            "DEVSTACK_CACHE": cache,
            "DEVSTACK_NAME": name,
            **(environment or {}),
        }

    @property
    def directory(self) -> Path:
        """The stack's directory."""
        return self.home / "state" / self.name

    def leave_out(self, *services: str) -> None:
        """Configure every `up` to leave out optional services."""
        file = self.home / "config" / "config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"without = {json.dumps(services)}\n")

    @contextmanager
    def brought_up(self, *options: str) -> Iterator[None]:
        """Create the stack, with options of ``up``, and remove it at the end."""
        self.remove_leftovers()
        self.run("up", "--timeout", "600", *options, timeout=3600)
        try:
            yield
        finally:
            self.run("down")

    def remove_leftovers(self) -> None:
        """Remove the stack, and one of this name that a killed test run left behind."""
        owner = self.json("down")["data"].get("owner", {}).get("directory", "")
        if "pytest-of-" in owner:
            home = Path(owner).parent.parent
            Devstack(self.name, home).run("down")
            self.run("down")

    def samples(self, *options: str) -> dict[str, Any]:
        """Run samples, by default all; return what ``devstack run`` reports on each, by name."""
        envelope = self.json("run", *options, check=False, timeout=1800)
        assert envelope["data"], envelope
        return {sample["name"]: sample for sample in envelope["data"]["samples"]}

    def command(self, *argv: str) -> list[str]:
        """Return the argv of a call."""
        return [sys.executable, "-m", "devstack", *argv]

    def run(
        self, *argv: str, check: bool = True, timeout: float = 900, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``devstack`` to its end; with ``check``, fail if it fails."""
        done = subprocess.run(
            self.command(*argv),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"devstack {' '.join(argv)} ended with {done.returncode}\n"
                f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
            )
        return done

    def start(self, *argv: str, in_background: bool = False) -> subprocess.Popen[str]:
        """Start ``devstack`` in a process group of its own.

        Args:
            argv: the arguments.
            in_background: start it as `&` in a script does, with SIGINT ignored.
        """
        ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"] if in_background else []
        return subprocess.Popen(
            [*ignoring, *self.command(*argv)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def json(self, *argv: str, check: bool = True, timeout: float = 900) -> dict[str, Any]:
        """Run ``devstack ... --json``; return the envelope."""
        command = 2 if argv[0] in ("images", "node", "pools", "pvc") else 1
        done = self.run(*argv[:command], "--json", *argv[command:], check=check, timeout=timeout)
        envelope: dict[str, Any] = json.loads(done.stdout)
        return envelope

    def kubectl(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl with the rights of a user who runs flows."""
        return self.run("kubectl", *argv, check=False)

    def admin_kubectl(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator."""
        return self.run("kubectl", "--admin", *argv, check=check)

    def give_node(self, node: str, resource: str, amount: int) -> None:
        """Set how much of an extended resource a node has.

        The kubelet keeps resources that it does not manage.
        """
        amounts = {resource: str(amount)}
        body = json.dumps({"status": {"capacity": amounts, "allocatable": amounts}})
        target = ["node", node, "--subresource=status", "--type=merge"]
        self.admin_kubectl("patch", *target, "--patch", body)


def _user_cache() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME")
    return (Path(configured) if configured else Path.home() / ".cache") / "devstack"
