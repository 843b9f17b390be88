from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstack.errors import DevstackError
from devstack.kube import kubeconfig
from devstack.kube.login import log_in
from tests.fakes.runner import FakeRunner

CA = base64.b64encode(b"authority").decode()


def config(
    cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, name: str = "kind-x"
) -> dict[str, Any]:
    server = {"server": "https://127.0.0.1:6443/", "certificate-authority-data": CA}
    return {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": server | (cluster or {})}],
        "users": [{"name": "u", "user": user or {}}],
    }


def client_config(**parts: Any) -> kubeconfig.ClientConfig:
    return kubeconfig.client_config(kubeconfig.parse(yaml.safe_dump(config(**parts))))


def test_the_current_context_is_used() -> None:
    found = client_config(user={"token": "t"})
    assert (found.context, found.server) == ("kind-x", "https://127.0.0.1:6443")
    assert (found.ca, found.token, found.namespace) == (b"authority", "t", "default")


def test_certificates_are_read_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("certificate")
    (tmp_path / "token").write_text("t0ken\n")
    found = client_config(
        user={
            "client-certificate": str(tmp_path / "cert.pem"),
            "client-key-data": base64.b64encode(b"key").decode(),
            "tokenFile": str(tmp_path / "token"),
        }
    )
    assert (found.certificate, found.key, found.token) == (b"certificate", b"key", "t0ken")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a: [", "expected"),
        ("- one", "not a mapping"),
        ("clusters: 3", "not a list"),
        ("users: [{user: {}}]", "has no name"),
    ],
)
def test_an_invalid_kubeconfig_names_the_error(text: str, cause: str) -> None:
    with pytest.raises(DevstackError, match=cause) as caught:
        kubeconfig.parse(text)
    assert caught.value.code == "KUBECONFIG_BROKEN"


def test_an_unknown_context_names_the_known_ones() -> None:
    parsed = kubeconfig.parse(yaml.safe_dump(config()))
    with pytest.raises(DevstackError, match="it has kind-x") as caught:
        kubeconfig.client_config(parsed, "prod")
    assert caught.value.code == "CONTEXT_UNKNOWN"


def test_an_empty_kubeconfig_has_no_context() -> None:
    with pytest.raises(DevstackError, match="has no context"):
        kubeconfig.client_config(kubeconfig.parse(""))


def test_a_context_that_names_a_missing_user_is_broken() -> None:
    broken = config() | {"users": []}
    with pytest.raises(DevstackError, match="names user 'u'"):
        kubeconfig.client_config(kubeconfig.parse(yaml.safe_dump(broken)))


def test_data_that_is_not_base64_is_broken() -> None:
    with pytest.raises(DevstackError, match="not base64"):
        client_config(cluster={"certificate-authority-data": "%%%"})


def test_another_identity_keeps_the_cluster_and_nothing_of_the_administrator() -> None:
    admin = kubeconfig.parse(yaml.safe_dump(config(user={"client-key-data": "c2VjcmV0"})))
    text = kubeconfig.with_token(admin, name="devstack-x", namespace="flows", token="t0ken")
    assert "c2VjcmV0" not in text
    found = kubeconfig.client_config(kubeconfig.parse(text))
    assert (found.context, found.namespace, found.token) == ("devstack-x", "flows", "t0ken")
    assert (found.server, found.ca) == ("https://127.0.0.1:6443", b"authority")


LOGIN = {"command": "cloud", "args": ["token"], "apiVersion": "client.authentication.k8s.io/v1"}


def test_a_login_program_gives_the_token() -> None:
    runner = FakeRunner()
    runner.answer("cloud", "token", stdout=json.dumps({"status": {"token": "fresh"}}))
    found = log_in(client_config(user={"exec": LOGIN}), runner)
    assert found.token == "fresh"
    info = json.loads(runner.calls[0].env["KUBERNETES_EXEC_INFO"])
    assert info["kind"] == "ExecCredential"


def test_a_login_program_that_prints_nonsense_is_reported() -> None:
    runner = FakeRunner()
    runner.answer("cloud", stdout="please log in")
    with pytest.raises(DevstackError, match="did not print an ExecCredential") as caught:
        log_in(client_config(user={"exec": LOGIN}), runner)
    assert caught.value.code == "LOGIN_FAILED"


def test_no_login_program_runs_if_none_is_named() -> None:
    runner = FakeRunner()
    log_in(client_config(user={"token": "t"}), runner)
    assert runner.calls == []
