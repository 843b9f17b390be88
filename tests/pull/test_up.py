"""`up` on a machine whose engine has no image: everything that is published is pulled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.images.catalogue import IMAGES
from tests.pull.published import Inside, Internet, internet

MISSING = "xcom"
"""The image that the registry does not have."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, published: Path) -> Iterator[Internet]:
    """A machine whose engine has no image."""
    with internet(tmp_path_factory.mktemp("internet"), published) as machine:
        machine.change(MISSING, "digest", f"sha256:{'0' * 64}")
        yield machine


@pytest.fixture(scope="module")
def stack(machine: Internet, tmp_path_factory: pytest.TempPathFactory) -> Inside:
    """A stack that is not up yet."""
    return machine.devstack("pulled", tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="module")
def printed(stack: Inside) -> str:
    """What `up` printed."""
    return stack.run("up", "--timeout", "600", timeout=1200).stderr


@pytest.fixture(scope="module")
def sources(stack: Inside, printed: str) -> dict[str, str]:
    """Where the images come from, by their names."""
    listed = stack.json("images", "list")["data"]["images"]
    return {image["name"]: image["source"] for image in listed}


def test_what_is_published_is_pulled(sources: dict[str, str]) -> None:
    published = {name for name, image in IMAGES.items() if image.upstream and not image.on_request}
    assert {name for name, source in sources.items() if source == "pulled"} == published - {MISSING}


def test_only_the_image_that_cannot_be_pulled_is_built(
    printed: str, sources: dict[str, str]
) -> None:
    assert sources[MISSING] == "built"
    (warning,) = re.findall(r"cannot pull .*", printed)
    assert f"cannot pull {MISSING}: docker.io does not have it" in warning
    assert re.search(r"takes about \d+ minute", warning)


def test_the_size_is_shown_before_the_download(printed: str) -> None:
    assert re.search(r"Pull \d+ images.*\d (MB|GB)", printed), printed


def test_the_node_is_the_published_one(stack: Inside, printed: str) -> None:
    listed = stack.admin_kubectl("get", "daemonsets,storageclasses", "-A", "-oname").stdout
    assert "daemonset.apps/kindnet" in listed
    assert "storageclass.storage.k8s.io/standard" in listed


def test_a_flow_runs(stack: Inside, printed: str) -> None:
    samples = stack.samples("hello")
    assert samples["hello"]["ok"], samples


def test_a_second_stack_pulls_and_builds_nothing(
    machine: Internet, stack: Inside, printed: str, tmp_path: Path
) -> None:
    stack.run("down")
    machine.registry.stop()
    second = machine.devstack("second", tmp_path / "home")
    done = second.run("up", "--images", "pull", "--timeout", "600", timeout=1200)
    assert not re.search(r"Pull|Build|Compile|Install (Debian|Python)", done.stderr), done.stderr
    second.run("down")
