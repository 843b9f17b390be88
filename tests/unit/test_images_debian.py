"""Root file systems made from Debian packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.errors import DevstackError
from devstack.images import certificates, versions
from devstack.images.artifact_cache import ArtifactCache
from devstack.images.debian import RootFileSystem, host_sources
from tests.fakes.runner import Call, FakeRunner, Recorder


def os_release(path: Path, distribution: str, codename: str) -> Path:
    path.write_text(f'ID={distribution}\nVERSION_CODENAME="{codename}"\n')
    return path


def test_the_hosts_own_sources_are_used_if_it_runs_the_same_suite(tmp_path: Path) -> None:
    lists = tmp_path / "apt" / "sources.list.d"
    lists.mkdir(parents=True)
    (lists / "debian.sources").write_text("Types: deb\nSuites: bookworm bookworm-updates\n")
    (lists / "other.list").write_text("deb https://example.org/apt stable main\n")
    (lists / "off.sources.disabled").write_text("Suites: bookworm\n")
    release = os_release(tmp_path / "os-release", "debian", "bookworm")
    assert host_sources(release, tmp_path / "apt") == [lists / "debian.sources"]


@pytest.mark.parametrize(("distribution", "codename"), [("ubuntu", "noble"), ("debian", "trixie")])
def test_the_sources_of_another_release_are_not_used(
    tmp_path: Path, distribution: str, codename: str
) -> None:
    (tmp_path / "sources.list").write_text("deb https://example.org bookworm main\n")
    release = os_release(tmp_path / "os-release", distribution, codename)
    assert host_sources(release, tmp_path) == []


def test_a_private_authority_is_passed_on_and_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "company.pem"
    pem.write_text("pem")
    monkeypatch.setenv(certificates.VARIABLE, str(pem))
    runner = FakeRunner()
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    runner.answer("mmdebstrap", effect=_write_target)
    RootFileSystem("test", ("bash",)).build(runner, Recorder(), ArtifactCache(tmp_path))
    argv = runner.calls[0].argv
    assert any(str(pem) in word for word in argv)
    assert any(word.startswith("--customize-hook") and "99mmdebstrap" in word for word in argv)
    assert certificates.variables()["SSL_CERT_FILE"] == str(pem)


@pytest.mark.parametrize("user", [0, 1000])
def test_mounts_of_a_killed_build_do_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    runner = FakeRunner()
    runner.answer("mmdebstrap")
    runner.answer(
        "unshare" if user == 0 else "mmdebstrap",
        effect=_write_target,
    )
    RootFileSystem("test", ("bash",)).build(runner, Recorder(), ArtifactCache(tmp_path))
    (call,) = runner.calls
    assert (call.argv[:3] == ("unshare", "--mount", "mmdebstrap")) == (user == 0)
    # Below the cache, where the next build removes what a killed one left.
    folder = str(call.env.get("TMPDIR", ""))
    assert folder.startswith(str(tmp_path)) == (user == 0)
    assert not folder or not Path(folder).exists()


def _write_target(call: Call) -> None:
    Path(call.argv[call.argv.index(versions.DEBIAN_SUITE) + 1]).write_text("tar")


def test_a_missing_ca_bundle_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(certificates.VARIABLE, "/nowhere/ca.pem")
    with pytest.raises(DevstackError) as caught:
        certificates.private_bundle()
    assert caught.value.code == "CA_BUNDLE_MISSING"


def test_without_mmdebstrap_the_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevstackError) as caught:
        RootFileSystem("test", ()).build(FakeRunner(), Recorder(), ArtifactCache(tmp_path))
    assert caught.value.code == "MMDEBSTRAP_MISSING"
    assert "apt-get install mmdebstrap" in caught.value.remedy


def test_unavailable_packages_point_at_the_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    runner = FakeRunner()
    runner.answer("mmdebstrap", returncode=1, stderr="E: cannot connect")
    with pytest.raises(DevstackError) as caught:
        RootFileSystem("test", ()).build(runner, Recorder(), ArtifactCache(tmp_path))
    assert caught.value.code == "DEBIAN_UNREACHABLE"
    assert certificates.VARIABLE in caught.value.remedy
    assert "cannot connect" in caught.value.output
