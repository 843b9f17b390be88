"""Pulls by an engine's API, against a server that answers as Docker does."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from devstack.docker.registries import EngineRefusedError, Event, ask_registry, pull_image
from devstack.errors import DevstackError
from devstack.images.pull_errors import find_fault
from tests.support.eventually import eventually

DIGEST = "sha256:" + "e" * 64
IMAGE = f"registry.corp:5000/team/app@{DIGEST}"


class Engine(ThreadingHTTPServer):
    """Answers requests of the API for images."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []
        self.events: list[Event] = []
        self.refusal: tuple[int, str] | None = None
        self.hangs = False
        self.disconnected = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Engine
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        if self.path.endswith("/version"):
            self._answer(200, {"ApiVersion": "1.41", "Arch": "amd64"})
            return
        self._record()
        if self.server.hangs:
            self.server.disconnected.wait(20)
            return
        status, message = self.server.refusal or (200, "")
        self._answer(status, {"message": message})

    def do_POST(self) -> None:
        self._record()
        if self.server.refusal:
            self._answer(self.server.refusal[0], {"message": self.server.refusal[1]})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in self.server.events:
            self._chunk(json.dumps(event).encode() + b"\r\n")
        if self.server.hangs:
            self._wait_for_the_client_to_leave()
        else:
            self._chunk(b"")

    def _wait_for_the_client_to_leave(self) -> None:
        self.connection.settimeout(20)
        if self.rfile.read(1) == b"":
            self.server.disconnected.set()
        self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _record(self) -> None:
        url = urlsplit(self.path)
        header = self.headers.get("X-Registry-Auth", "")
        self.server.requests.append((url.path, parse_qs(url.query), header))

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Engine]:
    server = Engine()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    yield server
    server.shutdown()
    server.server_close()


def log_in(folder: Path, **settings: object) -> None:
    auth = base64.b64encode(b"reader:a:b c").decode()
    config = {"auths": {"registry.corp:5000": {"auth": auth}}, **settings}
    (folder / "config.json").write_text(json.dumps(config))


def pull(reference: str = IMAGE) -> list[Event]:
    events: list[Event] = []
    pull_image(reference, events.append, lambda: None)
    return events


def test_a_pull_reports_the_messages_of_the_engine(engine: Engine) -> None:
    engine.events = [{"status": "Downloading", "id": "a"}, {"status": "Pull complete", "id": "a"}]
    assert pull() == engine.events
    ((path, query, header),) = engine.requests
    assert path.endswith("/images/create")
    assert query == {"fromImage": ["registry.corp:5000/team/app"], "tag": [DIGEST]}
    assert header == ""


def test_a_tag_is_pulled_if_there_is_no_digest(engine: Engine) -> None:
    pull("registry.corp:5000/team/app:1")
    assert engine.requests[0][1]["tag"] == ["1"]


def test_the_engine_gets_the_credentials_of_the_registry(engine: Engine, tmp_path: Path) -> None:
    log_in(tmp_path)
    pull()
    ask_registry(IMAGE, 5)
    for _, _, header in engine.requests:
        sent = json.loads(base64.urlsafe_b64decode(header))
        assert (sent["username"], sent["password"]) == ("reader", "a:b c")


def test_a_credential_helper_that_is_missing_leaves_public_images(
    engine: Engine, tmp_path: Path
) -> None:
    log_in(tmp_path, credsStore="absent-helper")
    pull()
    assert engine.requests[0][2] == ""


def test_a_credential_helper_that_is_missing_is_the_reason_if_access_is_denied(
    engine: Engine, tmp_path: Path
) -> None:
    log_in(tmp_path, credsStore="absent-helper")
    engine.refusal = (500, "unauthorized: authentication required")
    for act in (pull, lambda: ask_registry(IMAGE, 5)):
        with pytest.raises(EngineRefusedError) as caught:
            act()
        assert find_fault(caught.value.message).code == "REGISTRY_CREDENTIALS"
    engine.refusal = (500, "manifest unknown")
    with pytest.raises(EngineRefusedError) as caught:
        pull()
    assert caught.value.message == "manifest unknown"


@pytest.mark.parametrize("events", [[], [{"status": "Downloading", "id": "a"}]])
def test_an_error_in_the_messages_is_raised(engine: Engine, events: list[Event]) -> None:
    engine.events = [*events, {"errorDetail": {"message": "x"}, "error": "unknown blob"}]
    with pytest.raises(EngineRefusedError, match="unknown blob"):
        pull()


def test_a_refused_request_is_raised(engine: Engine) -> None:
    engine.refusal = (500, "manifest unknown")
    with pytest.raises(EngineRefusedError, match="manifest unknown"):
        pull()
    with pytest.raises(EngineRefusedError, match="manifest unknown"):
        ask_registry(IMAGE, 5)


def test_an_interrupted_pull_is_ended_in_the_engine(engine: Engine) -> None:
    engine.events, engine.hangs = [{"status": "Downloading", "id": "a"}], True
    received: list[Event] = []

    def check() -> None:
        if received:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull_image(IMAGE, received.append, check)
    assert engine.disconnected.wait(10)
    eventually(
        "the reading thread to end",
        lambda: not [each for each in threading.enumerate() if "_read" in each.name],
        10,
    )


def test_a_question_has_a_deadline(engine: Engine) -> None:
    engine.hangs = True
    began = time.monotonic()
    with pytest.raises(EngineRefusedError, match="no answer within 0 s"):
        ask_registry(IMAGE, 0.2)
    assert time.monotonic() - began < 5
    engine.disconnected.set()


def test_an_interrupted_question_is_not_waited_for(engine: Engine) -> None:
    engine.hangs = True
    began = time.monotonic()

    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_registry(IMAGE, 30, check=check)
    assert time.monotonic() - began < 10
    engine.disconnected.set()


def test_an_engine_that_does_not_answer_is_not_a_registry_that_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    for act in (pull, lambda: ask_registry(IMAGE, 1)):
        with pytest.raises(DevstackError) as caught:
            act()
        assert caught.value.code == "DOCKER_STOPPED"
