from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from devstack.paths import cache_home, config_home, private_folder, project_file, state_home


@pytest.fixture(autouse=True)
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVSTACK_HOME", "DEVSTACK_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_folders_follow_the_xdg_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_home() == tmp_path / ".local" / "state" / "devstack"
    assert cache_home() == tmp_path / ".cache" / "devstack"
    assert config_home() == tmp_path / ".config" / "devstack"
    monkeypatch.setenv("XDG_STATE_HOME", "elsewhere")
    assert state_home() == Path("elsewhere/devstack")


def test_one_variable_moves_all_folders_and_another_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEVSTACK_HOME", "ours")
    assert [state_home(), cache_home(), config_home()] == [
        Path("ours/state"),
        Path("ours/cache"),
        Path("ours/config"),
    ]
    monkeypatch.setenv("DEVSTACK_CACHE", "shared")
    assert cache_home() == Path("shared")


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_private_folder_is_private_regardless_of_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder = private_folder(tmp_path / "ours")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_manifests_are_distributed_with_the_package() -> None:
    assert (project_file("k8s", "minio", "kustomization.yaml")).is_file()
