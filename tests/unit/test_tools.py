"""The client programs: which of several is used, and what happens without any."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.golang import Compiler
from devstack.images.programs import Program, client_program
from devstack.providers.kind.cli import KIND
from devstack.tools import ensure_kubectl, ensure_tool, find_kubectl, find_tool
from tests.fakes.runner import FakeRunner, Recorder


@pytest.fixture
def no_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path))


@pytest.mark.usefixtures("no_clients")
def test_a_recent_kind_on_the_path_is_used_and_an_old_one_is_not() -> None:
    runner = FakeRunner(["kind"])
    runner.answer("/usr/bin/kind", stdout="kind v0.33.0 go1.26 linux/amd64")
    assert find_tool(KIND, runner) == Path("/usr/bin/kind")
    runner.answer("/usr/bin/kind", stdout="kind v0.20.0 go1.20 linux/amd64")
    assert find_tool(KIND, runner) is None


@pytest.mark.usefixtures("no_clients")
@pytest.mark.parametrize(
    ("compiled", "on_path", "kubernetes", "expected"),
    [
        ([], "32+", "1.34", "kubectl on PATH"),
        ([], "27", "1.34", ""),  # too old for anything
        ([], "", "1.34", ""),
        (["kubectl"], "34", "1.37", "kubectl"),
        (["kubectl"], "34", "1.36", "kubectl"),
        (["kubectl"], "34", "1.35", "kubectl on PATH"),
        (["kubectl"], "32", "1.35", "kubectl"),
        (["kubectl"], "", "1.34", "kubectl"),
        (["kubectl", "kubectl-1.34"], "34", "1.34", "kubectl-1.34"),
    ],
)
def test_the_kubectl_that_fits_the_cluster_best_is_used(
    compiled: list[str], on_path: str, kubernetes: str, expected: str
) -> None:
    runner = FakeRunner(["kubectl"] if on_path else [])
    version = {"clientVersion": {"major": "1", "minor": on_path}}
    runner.answer("/usr/bin/kubectl", stdout=json.dumps(version))
    cache = ArtifactCache()
    paths = {"kubectl on PATH": Path("/usr/bin/kubectl")}
    for name in compiled:
        program = client_program(name)
        paths[name] = cache.path(program.name, program.key)
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        paths[name].touch()
    found = find_kubectl(runner, kubernetes)
    assert found == (paths[expected] if expected else None)


@pytest.mark.usefixtures("no_clients")
def test_a_missing_kubectl_is_compiled_for_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure(_self: Compiler, programs: Sequence[Program]) -> dict[str, Path]:
        return {program.name: Path(program.name) for program in programs}

    monkeypatch.setattr(Compiler, "ensure", ensure)
    name = client_program("kubectl-1.34").name
    assert ensure_kubectl(FakeRunner(), Recorder(), kubernetes="1.34") == Path(name)


@pytest.mark.usefixtures("no_clients")
def test_offline_a_missing_client_is_an_error_with_the_bundle_as_remedy() -> None:
    with pytest.raises(DevstackError) as caught:
        ensure_tool(KIND, FakeRunner(), Recorder(), offline=True)
    assert caught.value.code == "TOOL_MISSING"
    assert "images load" in caught.value.remedy
