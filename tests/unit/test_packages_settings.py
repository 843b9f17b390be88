"""What task pods get of this machine's way to packages."""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

import pytest

from devstack.services.packages import authorities, pip_settings, proxies, uv_settings
from devstack.services.packages.machine import read_machine_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

INDEX = "https://user:s3cret@index.example/simple"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_machine_without_settings_gives_pods_nothing(tmp_path: Path, home: Path) -> None:
    found = read_machine_settings({"HOME": str(home), "PATH": "/bin"}, tmp_path)
    assert (dict(found.variables), dict(found.files)) == ({}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIP_INDEX_URL", INDEX),
        ("PIP_EXTRA_INDEX_URL", INDEX),
        ("PIP_TRUSTED_HOST", "index.example"),
        ("PIP_DEFAULT_TIMEOUT", "180"),
        ("UV_DEFAULT_INDEX", INDEX),
        ("UV_INDEX", f"corp={INDEX}"),
        ("UV_INDEX_URL", INDEX),
        ("UV_EXTRA_INDEX_URL", INDEX),
        ("UV_INDEX_CORP_USERNAME", "me"),
        ("UV_INDEX_CORP_PASSWORD", "s3cret"),
        ("UV_INSECURE_HOST", "index.example"),
        ("UV_PYTHON_INSTALL_MIRROR", "https://mirror.example"),
    ],
)
def test_index_variables_reach_pods_as_they_are(
    tmp_path: Path, home: Path, name: str, value: str
) -> None:
    found = read_machine_settings({"HOME": str(home), name: value}, tmp_path)
    assert found.variables[name] == value


@pytest.mark.parametrize(
    "name",
    [
        "PIP_TARGET",
        "PIP_NO_INDEX",
        "PIP_CONFIG_FILE",
        "PIP_CACHE_DIR",
        "UV_CACHE_DIR",
        "UV_PYTHON",
        "UV_CONFIG_FILE",
        "UV_OFFLINE",
        "UV_PUBLISH_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "HOME",
    ],
)
def test_variables_about_this_machine_or_one_command_stay_here(
    tmp_path: Path, home: Path, name: str
) -> None:
    found = read_machine_settings({"HOME": str(home), name: str(tmp_path / "nosuch")}, tmp_path)
    assert name not in found.variables


def test_folders_of_this_machine_are_left_out_of_find_links() -> None:
    assert pip_settings.read_variables({"PIP_FIND_LINKS": "/opt/wheels"}) == {}
    both = pip_settings.read_variables({"PIP_FIND_LINKS": "/opt/wheels https://a.example/w"})
    assert both == {"PIP_FIND_LINKS": "https://a.example/w"}
    assert uv_settings.read_variables({"UV_FIND_LINKS": "./wheels"}) == {}


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("PIP_INDEX_URL", "file:///srv/index", ""),
        ("PIP_EXTRA_INDEX_URL", f"/srv/index {INDEX}", INDEX),
        ("UV_INDEX", "/home/me/wheels", ""),
        ("UV_INDEX", f"local=./index corp={INDEX}", f"corp={INDEX}"),
        ("UV_DEFAULT_INDEX", "local=file:///srv/index", ""),
        ("UV_INDEX_URL", "../index", ""),
        ("UV_EXTRA_INDEX_URL", f"{INDEX} file:///srv/index", INDEX),
        ("UV_PYTHON_INSTALL_MIRROR", "file:///srv/pythons", ""),
    ],
)
def test_indexes_that_are_folders_of_this_machine_stay_here_and_are_named(
    tmp_path: Path, home: Path, name: str, value: str, kept: str
) -> None:
    found = read_machine_settings({"HOME": str(home), name: value}, tmp_path)
    assert found.variables.get(name, "") == kept
    assert f"the folders of this machine that {name} name" in found.warning
    assert "s3cret" not in found.warning


def test_indexes_in_files_that_are_folders_of_this_machine_stay_here_and_are_named(
    tmp_path: Path, home: Path
) -> None:
    write(home / ".pip/pip.conf", "[global]\nindex-url = file:///srv\nretries = 3\n")
    write(
        home / ".config/uv/uv.toml",
        f'extra-index-url = ["/srv", "{INDEX}"]\npython-install-mirror = "file:///srv"\n'
        '[[index]]\nurl = "/srv/wheels"\ndefault = true\n'
        f'[[index]]\nurl = "{INDEX}"\n',
    )
    found = read_machine_settings({"HOME": str(home)}, tmp_path)
    assert "srv" not in "".join(found.files.values())
    assert "retries = 3" in found.files["pip.conf"]
    assert tomllib.loads(found.files["uv.toml"]) == {
        "extra-index-url": [INDEX],
        "index": [{"url": INDEX}],
    }
    for name in (
        "index-url in pip.conf",
        "extra-index-url in uv.toml",
        "index in uv.toml",
        "python-install-mirror in uv.toml",
    ):
        assert name in found.warning


def test_folders_in_find_links_are_no_problem(tmp_path: Path, home: Path) -> None:
    variables = {"HOME": str(home), "PIP_FIND_LINKS": "/srv", "UV_FIND_LINKS": "./wheels"}
    write(home / ".config/uv/uv.toml", 'find-links = ["/srv"]\n')
    found = read_machine_settings(variables, tmp_path)
    assert (dict(found.variables), dict(found.files), found.warning) == ({}, {}, "")


def test_an_index_keeps_all_its_settings(tmp_path: Path, home: Path) -> None:
    text = (
        f'[[index]]\nname = "corp"\nurl = "{INDEX}"\nignore-error-codes = [403]\n'
        'cache-control = { api = "max-age=600", "a b" = "x" }\nuntil = 2026-01-02T03:04:05Z\n'
    )
    write(home / ".config/uv/uv.toml", text)
    rendered = read_machine_settings({"HOME": str(home)}, tmp_path).files["uv.toml"]
    assert tomllib.loads(rendered) == tomllib.loads(text)


@pytest.mark.parametrize("wrong", [f'index = "{INDEX}"', f'index = ["{INDEX}"]', "find-links = 1"])
def test_settings_of_a_wrong_type_are_left_to_uv(tmp_path: Path, home: Path, wrong: str) -> None:
    write(home / ".config/uv/uv.toml", f"native-tls = true\n{wrong}\n")
    files = read_machine_settings({"HOME": str(home)}, tmp_path).files
    assert files == {"uv.toml": "native-tls = true\n"}


def test_pip_s_files_are_merged_by_its_own_precedence(tmp_path: Path, home: Path) -> None:
    write(tmp_path / "etc/pip.conf", "[global]\nindex-url = https://system\ntimeout = 7\n")
    write(home / ".config/pip/pip.conf", "[global]\nindex_url = https://user\n")
    write(tmp_path / "venv/pip.conf", "[install]\nextra-index-url =\n  https://a\n  https://b\n")
    variables = {"HOME": str(home), "VIRTUAL_ENV": str(tmp_path / "venv")}
    found = pip_settings.read_files(variables, tmp_path)
    assert found == {
        "timeout": "7",
        "index-url": "https://user",
        "extra-index-url": "\nhttps://a\nhttps://b",
    }
    named = write(tmp_path / "own.conf", "[install]\nindex-url = https://named\nuser = true\n")
    found = pip_settings.read_files({**variables, "PIP_CONFIG_FILE": str(named)}, tmp_path)
    assert found["index-url"] == "https://named"
    assert "user" not in found
    assert pip_settings.read_files({**variables, "PIP_CONFIG_FILE": os.devnull}, tmp_path) == {}


def test_the_pip_conf_of_pods_has_the_same_settings(tmp_path: Path, home: Path) -> None:
    write(home / ".pip/pip.conf", f"[global]\nindex-url = {INDEX}\ncert = /etc/x.pem\n")
    text = read_machine_settings({"HOME": str(home)}, tmp_path).files["pip.conf"]
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    assert dict(parser["global"]) == {"index-url": INDEX}


def test_uv_s_files_are_merged_by_its_own_precedence(tmp_path: Path, home: Path) -> None:
    write(
        tmp_path / "etc/uv/uv.toml",
        'index-strategy = "first-index"\nnative-tls = true\n[[index]]\nurl = "https://system"\n',
    )
    write(
        home / ".config/uv/uv.toml",
        'index-strategy = "unsafe-best-match"\ncache-dir = "/x"\n'
        f'[[index]]\nname = "corp"\nurl = "{INDEX}"\ndefault = true\n',
    )
    text = read_machine_settings({"HOME": str(home)}, tmp_path).files["uv.toml"]
    assert tomllib.loads(text) == {
        "index-strategy": "unsafe-best-match",
        "native-tls": True,
        "index": [{"name": "corp", "url": INDEX, "default": True}, {"url": "https://system"}],
    }
    assert uv_settings.read_files({"HOME": str(home), "UV_NO_CONFIG": "1"}, tmp_path) == {}


@pytest.mark.parametrize("broken", ["[global", "\xff\xfe", "[global]\nno value"])
def test_a_broken_file_is_left_to_its_own_tool(tmp_path: Path, home: Path, broken: str) -> None:
    (home / ".pip").mkdir()
    (home / ".pip/pip.conf").write_text(broken, encoding="latin-1")
    write(home / ".config/uv/uv.toml", broken)
    assert read_machine_settings({"HOME": str(home)}, tmp_path).files == {}


def test_pods_use_no_proxy_for_addresses_of_the_cluster() -> None:
    found = proxies.read_variables({"HTTPS_PROXY": "http://p.example:3128", "no_proxy": "a.corp"})
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://p.example:3128"
    assert "http_proxy" not in found
    direct = found["NO_PROXY"].split(",")
    assert direct[0] == "a.corp"
    assert {".svc", ".local", "10.96.0.0/12", "10.244.0.0/16"} <= set(direct)
    assert found["no_proxy"] == found["NO_PROXY"]


def test_without_a_proxy_no_proxy_is_not_set() -> None:
    assert proxies.read_variables({"NO_PROXY": "a.corp"}) == {}


@pytest.mark.parametrize(
    "name", ["DEVSTACK_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"]
)
def test_the_certificates_of_a_named_bundle_reach_pods_and_its_key_does_not(
    tmp_path: Path, home: Path, name: str
) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
    bundle = write(tmp_path / "corp.pem", f"# Corp\n{key}{CERTIFICATE}")
    files = read_machine_settings({"HOME": str(home), name: str(bundle)}, tmp_path).files
    assert files == {authorities.FILE: CERTIFICATE}


def test_certificates_that_an_administrator_added_reach_pods(tmp_path: Path, home: Path) -> None:
    write(tmp_path / "etc/ssl/certs/ca-certificates.crt", CERTIFICATE)
    (tmp_path / "usr/local/share/ca-certificates").mkdir(parents=True)
    assert authorities.read_authorities({"HOME": str(home)}, tmp_path) == ""
    write(tmp_path / "usr/local/share/ca-certificates/corp.crt", CERTIFICATE)
    assert authorities.read_authorities({"HOME": str(home)}, tmp_path) == CERTIFICATE


def test_a_bundle_that_pip_s_configuration_names_reaches_pods(tmp_path: Path, home: Path) -> None:
    bundle = write(tmp_path / "corp.pem", CERTIFICATE)
    write(tmp_path / "etc/pip.conf", f"[global]\ncert = {bundle}\n")
    assert authorities.read_authorities({"HOME": str(home)}, tmp_path) == CERTIFICATE


SYSTEM = CERTIFICATE.replace("MIIB", "MIIC")


@pytest.mark.parametrize(
    "path",
    [
        "etc/ssl/certs/ca-certificates.crt",
        "etc/pki/tls/certs/ca-bundle.crt",
        "etc/ssl/ca-bundle.pem",
        "etc/ssl/cert.pem",
    ],
)
def test_with_a_named_bundle_pods_keep_the_public_authorities(
    tmp_path: Path, home: Path, path: str
) -> None:
    write(tmp_path / path, SYSTEM + CERTIFICATE)
    bundle = write(tmp_path / "corp.pem", CERTIFICATE)
    variables = {"HOME": str(home), "PIP_CERT": str(bundle)}
    assert authorities.read_authorities(variables, tmp_path) == CERTIFICATE + SYSTEM


def test_a_named_bundle_is_more_important_than_the_public_authorities(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorities, "LARGEST", len(CERTIFICATE) + 1)
    write(tmp_path / "etc/ssl/cert.pem", SYSTEM)
    variables = {"HOME": str(home), "PIP_CERT": str(write(tmp_path / "corp.pem", CERTIFICATE))}
    found = read_machine_settings(variables, tmp_path)
    assert (found.files[authorities.FILE], found.warning) == (CERTIFICATE, "")


@pytest.mark.parametrize("name", ["pip.conf", "PIP_CERT", "DEVSTACK_CA_BUNDLE"])
def test_a_bundle_may_be_named_relative_to_the_home(tmp_path: Path, home: Path, name: str) -> None:
    write(home / "certs/corp.pem", CERTIFICATE)
    variables = {"HOME": str(home)}
    if name == "pip.conf":
        write(home / ".config/pip/pip.conf", "[global]\ncert = ~/certs/corp.pem\n")
    else:
        variables[name] = "~/certs/corp.pem"
    assert authorities.read_authorities(variables, tmp_path) == CERTIFICATE


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_own_bundle_without_certificates_is_reported(
    tmp_path: Path, home: Path, content: str | None
) -> None:
    bundle = tmp_path / "corp.pem"
    if content:
        write(bundle, content)
    variables = {"HOME": str(home), "DEVSTACK_CA_BUNDLE": str(bundle)}
    found = read_machine_settings(variables, tmp_path)
    assert found.files == {}
    assert f"DEVSTACK_CA_BUNDLE: {bundle} is not a readable file" in found.warning


def test_a_bundle_that_does_not_exist_is_left_to_its_own_tool(tmp_path: Path, home: Path) -> None:
    variables = {"HOME": str(home), "SSL_CERT_FILE": str(tmp_path / "nosuch")}
    assert authorities.read_authorities(variables, tmp_path) == ""


def test_of_netrc_pods_get_the_entries_of_the_indexes_only(tmp_path: Path, home: Path) -> None:
    write(
        home / ".netrc",
        "machine index.example login me password s3cret\n"
        "machine bank.example login me password other\n",
    ).chmod(0o600)
    variables = {"HOME": str(home), "UV_DEFAULT_INDEX": "https://index.example/simple"}
    files = read_machine_settings(variables, tmp_path).files
    assert files == {"netrc": "machine index.example login me password s3cret\n"}


@pytest.mark.parametrize(
    ("name", "value", "host"),
    [
        ("HTTPS_PROXY", "http://127.0.0.1:3128", "127.0.0.1:3128"),
        ("PIP_INDEX_URL", "http://me:pw@localhost:3141/root", "localhost:3141"),
        ("UV_INDEX", "corp=http://[::1]:8080/simple", "::1:8080"),
    ],
)
def test_addresses_that_only_this_machine_reaches_are_named_without_passwords(
    tmp_path: Path, home: Path, name: str, value: str, host: str
) -> None:
    found = read_machine_settings({"HOME": str(home), name: value}, tmp_path)
    assert found.loopback == [host]
    assert host in found.warning
    assert "pw" not in found.warning


@pytest.mark.parametrize(
    "url", ["http://u:a]b@proxy:1", "http://localhost:abc", "http://[::1", "http://localhost:99999"]
)
def test_an_invalid_address_is_left_to_its_own_tool(tmp_path: Path, home: Path, url: str) -> None:
    found = read_machine_settings({"HOME": str(home), "HTTP_PROXY": url}, tmp_path)
    assert found.variables["http_proxy"] == url
    assert (found.loopback, found.warning) == ([], "")


def test_certificates_that_no_secret_can_hold_are_reported(tmp_path: Path, home: Path) -> None:
    text = "".join(CERTIFICATE.replace("MIIB", f"MII{n}") for n in range(20_000))
    bundle = write(tmp_path / "all.pem", text)
    found = read_machine_settings({"HOME": str(home), "SSL_CERT_FILE": str(bundle)}, tmp_path)
    assert found.files == {}
    assert "DEVSTACK_CA_BUNDLE" in found.warning
