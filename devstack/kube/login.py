"""Log in by a program that a kubeconfig names (``users[].user.exec``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from devstack.errors import DevstackError, ExitStatus
from devstack.kube.kubeconfig import ClientConfig
from devstack.process import Runner

LOGIN_SECONDS = 60.0
"""Timeout of the program, which may open a browser window."""


def log_in(config: ClientConfig, runner: Runner) -> ClientConfig:
    """Return ``config`` with the credentials that its login program prints.

    Raises:
        DevstackError: ``LOGIN_FAILED``, or those of the program itself.
    """
    if config.login is None:
        return config
    argv = [config.login["command"], *(config.login.get("args") or [])]
    done = runner.run(argv, env=_environment(config.login), timeout=LOGIN_SECONDS)
    try:
        status = json.loads(done.stdout)["status"]
    except (ValueError, KeyError, TypeError) as error:
        raise DevstackError(
            f"cannot log in to context {config.context!r}",
            cause=f"`{argv[0]}` did not print an ExecCredential",
            remedy=f"run `kubectl --context {config.context} version` and fix what it reports",
            code="LOGIN_FAILED",
            exit_status=ExitStatus.ENVIRONMENT,
        ) from error
    return replace(
        config,
        token=status.get("token", ""),
        certificate=_pem(status, "clientCertificateData"),
        key=_pem(status, "clientKeyData"),
        login=None,
    )


def _environment(login: Mapping[str, Any]) -> dict[str, str]:
    request = {"kind": "ExecCredential", "apiVersion": login["apiVersion"], "spec": {}}
    named = {entry["name"]: entry["value"] for entry in login.get("env") or []}
    return {**named, "KUBERNETES_EXEC_INFO": json.dumps(request)}


def _pem(status: Mapping[str, Any], key: str) -> bytes | None:
    return status[key].encode() if status.get(key) else None
