"""A stack with another version of Kubernetes than the default.

Only if its node image is in Docker: to compile a version takes longer than CI has. The other
versions are tested by hand: `devstack images build node-1.35`, then this file with
`--kubernetes 1.35`, which also runs the other tests of this folder on that version.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from devstack.images import ImageStore
from devstack.images.kubernetes_versions import DEFAULT, SUPPORTED, node_image
from devstack.process import SubprocessRunner
from devstack.progress import Silent
from tests.support.commandline import DATABASE_SERVICES, Devstack
from tests.support.skips import VERSION_NOT_BUILT

WITH_GANGS = ("1.37", "1.36")


@pytest.fixture
def minor(pytestconfig: pytest.Config) -> str:
    """The version that was named, else the newest that is not the default."""
    named = str(pytestconfig.getoption("--kubernetes"))
    chosen = named if named != DEFAULT else next(each for each in SUPPORTED if each != DEFAULT)
    image = node_image(chosen)
    if not ImageStore(SubprocessRunner(), Silent()).present([image])[image]:
        pytest.skip(VERSION_NOT_BUILT)
    return chosen


def test_flows_and_gangs_run_on_another_version(minor: str, tmp_path: Path) -> None:
    stack = Devstack(f"kube-{minor.replace('.', '-')}", tmp_path)
    stack.leave_out(*DATABASE_SERVICES)
    with stack.brought_up("--kubernetes", minor):
        versions = json.loads(stack.kubectl("version", "--output", "json").stdout)
        assert versions["serverVersion"]["gitVersion"].startswith(f"v{minor}.")
        assert stack.json("up")["data"]["changed"] == []
        for other in SUPPORTED:
            if other != minor:
                refused = stack.json("up", "--kubernetes", other, check=False)
                assert refused["error"]["code"] == "STACK_DIFFERS"
        (gang,) = [line for line in stack.run("status").stdout.splitlines() if " gang " in line]
        assert ("off: " in gang) == (minor not in WITH_GANGS)
        parallel = "gang" if minor in WITH_GANGS else "parallel"
        for sample in stack.samples("hello", parallel).values():
            assert sample["ok"], sample["wrong"] or sample["error"]
