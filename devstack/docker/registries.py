"""What the engine knows of registries, and pulls by it.

The engine is asked, not the registry: only the engine has its mirrors, proxy, certificates and
the way to the registry. The ``docker`` command shows bytes on a terminal only, so pulls go through
the API (`POST /images/create`, Docker Engine API 1.41), whose messages have them.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from devstack.docker.connection import connect
from devstack.docker.engine import DOCKER, PODMAN, Engine
from devstack.docker.errors import translate_docker_errors
from devstack.docker.podman import pulled_name
from devstack.parallel import Background

_DENIED = re.compile(r"unauthorized|denied|authentication|no basic auth", re.IGNORECASE)
_LIBPOD = "v4.0.0/libpod"
LOOK_SECONDS = 0.25
"""How often a pull looks whether it is to end."""

Event = Mapping[str, Any]
"""A message of a pull: status, layer (id) and bytes (progressDetail)."""


class EngineRefusedError(Exception):
    """The engine cannot reach a registry, or gets something else from it than an image.

    Args:
        message: the engine's message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def ask_registry(
    reference: str,
    timeout: float,
    engine: Engine = DOCKER,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Ask the engine for an image's description in its registry.

    Args:
        reference: the image.
        timeout: seconds.
        engine: the engine.
        check: is called several times a second; if it raises, the answer is not waited for.

    Raises:
        EngineRefusedError: it does not get one.
    """
    Background(lambda: _ask(reference, timeout, engine)).finish(check)


def _ask(reference: str, timeout: float, engine: Engine) -> None:
    import requests

    with translate_docker_errors(engine):
        api = connect(engine).api
        header, problem = _credentials(api, reference)
        url = f"{api.base_url}/v{api.api_version}/distribution/{reference}/json"
        if engine == PODMAN:
            # Docker's request is missing in Podman; its own for lists describes images, too.
            url = f"{api.base_url}/{_LIBPOD}/manifests/{pulled_name(reference)}/json"
        try:
            with api.get(url, headers=header, timeout=timeout) as response:
                _raise_refusal(response, problem)
        except requests.Timeout as error:
            raise EngineRefusedError(f"no answer within {timeout:.0f} s") from error
        finally:
            api.close()


def pull_image(
    reference: str,
    on_event: Callable[[Event], None],
    check: Callable[[], None],
    engine: Engine = DOCKER,
) -> None:
    """Pull an image; return when the engine has it.

    Args:
        reference: the image, by tag or digest.
        on_event: is called with each message.
        check: is called several times a second. If it raises, the connection is closed, which ends
            the pull in the engine.
        engine: the engine.

    Raises:
        EngineRefusedError: the engine does not get the image.
    """
    with translate_docker_errors(engine):
        stream = _Stream(reference, engine)
        try:
            for event in stream.events(check):
                if "error" in event:
                    raise _refused(str(event["error"]), stream.credentials_problem)
                on_event(event)
        finally:
            stream.close()


class _Stream:
    """The messages of a pull, read in a thread so that a silent engine does not block the caller.

    Args:
        reference: the image.
        engine: the engine.

    Attributes:
        credentials_problem: why there are no credentials; empty if there is no reason.
    """

    def __init__(self, reference: str, engine: Engine) -> None:
        self.credentials_problem = ""
        self._reference = pulled_name(reference) if engine == PODMAN else reference
        self._response: Any = None
        self._closed = False
        self._received: queue.Queue[Event | BaseException | None] = queue.Queue()
        self._api = connect(engine).api
        threading.Thread(target=self._read, daemon=True).start()

    def events(self, check: Callable[[], None]) -> Iterator[Event]:
        while True:
            check()
            try:
                event = self._received.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if event is None:
                return
            if isinstance(event, BaseException):
                raise event
            yield event

    def close(self) -> None:
        self._closed = True
        if self._response is not None:
            # The thread may be reading: it ends when the socket does. One that has ended has none.
            with suppress(ValueError, RuntimeError, OSError):
                self._response.raw.shutdown()
        self._api.close()

    def _read(self) -> None:
        try:
            for event in self._request():
                self._received.put(event)
            self._received.put(None)
        except Exception as error:
            self._received.put(error)

    def _request(self) -> Iterator[Event]:
        repository, _, version = self._reference.partition("@")
        if not version:
            repository, _, version = self._reference.rpartition(":")
        header, self.credentials_problem = _credentials(self._api, self._reference)
        with self._api.post(
            f"{self._api.base_url}/v{self._api.api_version}/images/create",
            params={"fromImage": repository, "tag": version},
            headers=header,
            stream=True,
            timeout=None,
        ) as response:
            self._response = response
            if self._closed:
                return
            _raise_refusal(response, self.credentials_problem)
            for line in response.iter_lines(chunk_size=None):
                if line.strip():
                    yield json.loads(line)


def _raise_refusal(response: Any, credentials_problem: str) -> None:
    if response.ok:
        return
    try:
        message = str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = response.text.strip() or f"status {response.status_code}"
    raise _refused(message, credentials_problem)


def _refused(message: str, credentials_problem: str) -> EngineRefusedError:
    """Return the error; a helper that failed is the reason if credentials are missing."""
    if credentials_problem and _DENIED.search(message):
        return EngineRefusedError(f"{message} ({credentials_problem})")
    return EngineRefusedError(message)


def _credentials(api: Any, reference: str) -> tuple[dict[str, str], str]:
    """Return the header with the user's credentials, from Docker's configuration and its helpers.

    An image is pulled without credentials if their helper does not work: most are public. The
    second value says why it does not work.
    """
    import docker.auth

    # The SDK warns of a helper that is missing, where only a refusal would make it interesting.
    warnings.filterwarnings("ignore", message="docker-credential-")
    registry, _ = docker.auth.resolve_repository_name(reference.partition("@")[0])
    try:
        header = docker.auth.get_config_header(api, registry)
    except docker.errors.DockerException as error:
        return {}, str(error)
    return {"X-Registry-Auth": _text(header)} if header else {}, ""


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
