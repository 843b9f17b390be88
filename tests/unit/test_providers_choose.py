from __future__ import annotations

from pathlib import Path

import pytest

from devstack.config import StackSpec, load
from devstack.errors import DevstackError, ExitStatus
from devstack.providers.base import (
    ChecksMachine,
    HasEngine,
    KeepsVolumes,
    LoadsImages,
    MapsPorts,
    NeedsNodeImage,
    Provider,
)
from devstack.providers.choose import AUTO, CHOICES, ProviderParts, make_provider, require_known
from devstack.stack import open_stack
from devstack.state import StackDir
from tests.fakes.runner import FakeClock, FakeRunner, Recorder
from tests.fakes.stack import FakeImages

CAPABILITIES = (ChecksMachine, HasEngine, KeepsVolumes, LoadsImages, MapsPorts, NeedsNodeImage)


def provider(name: str) -> Provider:
    images = FakeImages()
    parts = ProviderParts(StackDir("ci"), images, FakeRunner(), FakeClock(), Recorder())  # type: ignore[arg-type]
    return make_provider(name, parts)


@pytest.mark.parametrize("name", [name for name in CHOICES if name != AUTO])
def test_every_choice_but_auto_is_a_provider_of_that_name(home: Path, name: str) -> None:
    assert provider(name).name == name
    assert isinstance(provider(name), Provider)


def test_auto_is_kind(home: Path) -> None:
    assert provider(AUTO).name == "kind"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kind", set(CAPABILITIES)),
        ("minikube", {ChecksMachine, LoadsImages}),
        ("context", set()),
    ],
)
def test_providers_differ_in_what_they_can_do(home: Path, name: str, expected: set[type]) -> None:
    assert {each for each in CAPABILITIES if isinstance(provider(name), each)} == expected


@pytest.mark.parametrize(
    ("name", "hint"), [("knd", "did you mean 'kind'?"), ("docker", "auto, context, kind, minikube")]
)
def test_an_unknown_provider_is_an_error_with_the_closest_match(name: str, hint: str) -> None:
    with pytest.raises(DevstackError) as caught:
        require_known(name)
    error = caught.value
    assert (error.code, error.exit_status) == ("PROVIDER_UNKNOWN", ExitStatus.USAGE)
    assert hint in error.cause
    assert "auto, kind, context, minikube" in error.remedy


def test_an_unknown_provider_of_the_settings_file_is_an_error(home: Path) -> None:
    Path("devstack.toml").write_text('provider = "minicube"\n')
    with pytest.raises(DevstackError) as caught:
        open_stack(load())
    assert caught.value.code == "PROVIDER_UNKNOWN"
    assert "did you mean 'minikube'?" in caught.value.cause


def test_an_unknown_provider_of_the_state_is_an_error(home: Path) -> None:
    stack = open_stack(StackSpec())
    stack.state.provider = "k3d"
    stack.save()
    with pytest.raises(DevstackError) as caught:
        _ = open_stack(StackSpec()).provider
    assert caught.value.code == "PROVIDER_UNKNOWN"
