"""Runs of Argo get the template that is deployed, although the controller's cache lags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.deployers.argo.deployer import open_deployer
from devstack.deployers.argo.trigger import VERSION, with_version
from devstack.kube.client import Object
from devstack.kube.resources import ARGO
from tests.fakes.api import FakeApi, namespace
from tests.fakes.argo import argo_stack, template


class Controller:
    """Gives each new run the oldest template in a list that shrinks, as a cache catches up.

    Args:
        api: where runs are created.
        cached: what the cache has at each run; None for no template.
    """

    def __init__(self, api: FakeApi, monkeypatch: pytest.MonkeyPatch, *cached: Object | None):
        self._cached = list(cached)
        post = api._post

        def create(path: str, query: Any, body: Object) -> Any:
            if body.get("kind") == "Workflow":
                self._operate(body)
            return post(path, query, body)

        monkeypatch.setattr(api, "_post", create)

    def _operate(self, run: Object) -> None:
        found = self._cached.pop(0) if len(self._cached) > 1 else self._cached[0]
        if found is None:
            message = 'workflowtemplates.argoproj.io "myflow" not found'
            run["status"] = {"phase": "Error", "message": message}
            return
        run["status"] = {"phase": "Running"}
        run["metadata"].setdefault("annotations", {}).update(
            found["spec"].get("workflowMetadata", {}).get("annotations", {})
        )


def runs(api: FakeApi) -> list[Object]:
    return api.client().list_objects(ARGO, "Workflow", "metaflow")


def versioned(text: str) -> Object:
    made = template()
    made["spec"]["entrypoint"] = text
    return with_version(made)


@pytest.mark.parametrize("cached", [None, versioned("before")], ids=["none", "the former one"])
def test_a_run_is_created_again_if_it_got_another_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: Object | None
) -> None:
    api = FakeApi()
    latest = versioned("now")
    api.add(namespace("metaflow"), latest)
    argo = open_deployer(argo_stack(tmp_path, api, monkeypatch))
    Controller(api, monkeypatch, cached, cached, latest)
    run = argo.trigger("MyFlow", {})
    (left,) = runs(api)
    assert left["metadata"]["name"] == run.run_id
    wanted = latest["spec"]["workflowMetadata"]["annotations"][VERSION]
    assert left["metadata"]["annotations"][VERSION] == wanted


def test_a_template_of_metaflows_own_command_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeApi()
    api.add(namespace("metaflow"), template())
    argo = open_deployer(argo_stack(tmp_path, api, monkeypatch))
    Controller(api, monkeypatch, template())
    run = argo.trigger("MyFlow", {})
    assert [each["metadata"]["name"] for each in runs(api)] == [run.run_id]


def test_a_run_waits_for_a_controller_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = FakeApi()
    api.add(namespace("metaflow"), versioned("now"))
    argo = open_deployer(argo_stack(tmp_path, api, monkeypatch))
    assert argo.trigger("MyFlow", {}).state == "pending"
    assert len(runs(api)) == 1


def test_the_version_changes_with_the_template_only() -> None:
    first, same, other = versioned("one"), versioned("one"), versioned("two")
    assert json.dumps(first) == json.dumps(same)
    assert first["spec"]["workflowMetadata"] != other["spec"]["workflowMetadata"]
