"""The logins of this machine at registries, as Docker's own configuration has them.

``~/.docker/config.json`` (or that of DOCKER_CONFIG) has logins itself, or names programs that
keep them. The SDK reads both, in the order that the ``docker`` command uses.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from devstack.errors import DevstackError, ExitStatus

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Credential:
    """A login at a registry.

    Attributes:
        registry: the registry, ``HOST[:PORT]``, as images name it.
        user: the user's name.
        password: the password or token; it is never shown.
    """

    registry: str
    user: str
    password: str = field(repr=False)


class Credentials:
    """This machine's logins at registries.

    Raises:
        DevstackError: ``CREDENTIALS_UNREADABLE``, from all methods too.
    """

    def __init__(self) -> None:
        import docker.auth
        from docker.utils.config import find_config_file

        # The SDK ignores a file that it cannot read.
        file = str(find_config_file() or "")
        try:
            if file:
                json.loads(Path(file).read_text())
        except (OSError, ValueError) as error:
            raise _unreadable(f"{file}: {error}") from error
        self._auth: Any = _translated(docker.auth.load_config)

    def registries(self) -> list[str]:
        """Return the registries for which there may be a login; :meth:`find` tells."""
        from docker.auth import resolve_index_name
        from docker.credentials import Store

        kept = self._auth.creds_store
        of_store = _translated(Store(kept).list) if kept else {}
        known = {*self._auth.auths, *of_store, *self._auth.cred_helpers}
        return sorted({resolve_index_name(each) for each in known})

    def find(self, registry: str) -> Credential | None:
        """Return the login at a registry, or None.

        Raises:
            DevstackError: ``LOGIN_UNSUPPORTED`` for a token that pods cannot use.
        """
        entry = _translated(lambda: self._auth.resolve_authconfig(registry))
        if not entry:
            return None
        # The SDK names what a program returned differently from what the file has.
        found = {name.lower(): value for name, value in entry.items()}
        if found.get("identitytoken"):
            raise _unsupported(registry)
        user, password = found.get("username"), found.get("password")
        return Credential(registry, user, password) if user and password else None


def _translated(read: Callable[[], _Result]) -> _Result:
    """Return the result of a function of the SDK, with its errors as those of devstack."""
    from docker.credentials import StoreError
    from docker.errors import DockerException

    try:
        with warnings.catch_warnings():
            # That a program is missing is an error below.
            warnings.simplefilter("ignore")
            return read()
    except (DockerException, StoreError, ValueError, TypeError, AttributeError) as error:
        raise _unreadable(str(error)) from error


def missing_login(registry: str = "") -> DevstackError:
    """Return the error for a registry at which this machine is not logged in."""
    return DevstackError(
        f"this machine is not logged in to {registry or 'any registry'}",
        cause="Docker's configuration has no credentials for it",
        remedy=f"docker login {registry or 'REGISTRY'}, then run the command again",
        code="LOGIN_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _unreadable(cause: str) -> DevstackError:
    return DevstackError(
        "cannot read the logins of Docker's configuration",
        cause=cause,
        remedy="correct ~/.docker/config.json, or install the docker-credential program that it "
        "names; `docker login REGISTRY` writes a new login",
        code="CREDENTIALS_UNREADABLE",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def _unsupported(registry: str) -> DevstackError:
    return DevstackError(
        f"pods cannot use this machine's login at {registry}",
        cause="it is an identity token; Kubernetes passes only a user's name and a password on",
        remedy=f"docker login {registry} with an access token of the registry as the password",
        code="LOGIN_UNSUPPORTED",
        exit_status=ExitStatus.ENVIRONMENT,
    )
