"""Stacks with another version of Kubernetes than the default, each created for its test.

The other versions take a compiler several minutes, so they are tested by hand:
docs/kubernetes-versions.md. `pytest --kubernetes MINOR` runs all other tests on one of them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devstack.images.kubernetes_versions import SUPPORTED
from tests.support.commandline import DATABASE_SERVICES, Devstack

MINORS = ("1.36",)
"""The versions that CI has the time for."""


@pytest.mark.parametrize("minor", MINORS)
def test_flows_and_gangs_run_on_another_version(minor: str, tmp_path: Path) -> None:
    stack = Devstack(f"kube-{minor.replace('.', '-')}", tmp_path)
    stack.leave_out(*DATABASE_SERVICES)
    with stack.brought_up("--kubernetes", minor):
        versions = json.loads(stack.kubectl("version", "--output", "json").stdout)
        assert versions["serverVersion"]["gitVersion"].startswith(f"v{minor}.")
        assert versions["clientVersion"]["gitVersion"].startswith(f"v{minor}.")
        assert stack.json("up")["data"]["changed"] == []
        for other in SUPPORTED:
            if other != minor:
                refused = stack.json("up", "--kubernetes", other, check=False)
                assert refused["error"]["code"] == "STACK_DIFFERS"
        (gang,) = [line for line in stack.run("status").stdout.splitlines() if " gang " in line]
        assert "off" not in gang
        for sample in stack.samples("hello", "gang").values():
            assert sample["ok"], sample["wrong"] or sample["error"]
