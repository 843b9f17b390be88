from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import psutil
import pytest

from devstack.errors import DevstackError, ExitStatus
from devstack.ports import LOOPBACK, any_free, choose, is_free, listener, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_something_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
)
def test_listening_on_all_addresses_includes_loopback(
    family: socket.AddressFamily, address: str
) -> None:
    dual = family == socket.AF_INET6
    with socket.create_server((address, 0), family=family, dualstack_ipv6=dual) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_just_closed_is_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((LOOPBACK, port))
        served, _ = server.accept()
        served.close()
        client.close()
    assert is_free(port)


def test_a_low_port_that_only_docker_may_bind_counts_as_free(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    free = any_free(set())

    def refuse(*_arguments: object) -> None:
        raise PermissionError

    class Unprivileged(socket.socket):
        bind = refuse  # type: ignore[assignment]

    monkeypatch.setattr(socket, "socket", Unprivileged)
    assert is_free(free)
    assert not is_free(taken)


def test_the_preferred_port_is_chosen_if_it_is_free() -> None:
    free = any_free(set())
    assert choose({"minio": free}, {}, {}) == {"minio": free}


def test_another_port_is_chosen_if_the_preferred_one_is_in_use(taken: int) -> None:
    chosen = choose({"minio": taken}, {}, {})
    assert chosen["minio"] != taken
    assert is_free(chosen["minio"])


def test_no_two_names_get_the_same_port() -> None:
    free = any_free(set())
    chosen = choose({"minio": free, "console": free, "api": 0}, {}, {})
    assert len(set(chosen.values())) == 3
    assert chosen["minio"] == free


def test_a_remembered_port_is_kept_although_the_stack_uses_it(taken: int) -> None:
    assert choose({"minio": 9000}, {}, {"minio": taken}) == {"minio": taken}


def test_a_remembered_port_is_not_assigned_to_another_name() -> None:
    free = any_free(set())
    chosen = choose({"api": free, "minio": 0}, {}, {"minio": free})
    assert chosen["minio"] == free
    assert chosen["api"] != free


def test_a_required_port_overrides_all_others(taken: int) -> None:
    assert choose({"minio": 9000}, {"minio": taken}, {"minio": 40000}) == {"minio": taken}


def test_a_requested_port_that_the_stack_does_not_have_is_rejected() -> None:
    with pytest.raises(DevstackError) as caught:
        choose({"minio": 9000, "console": 9001}, {"mino": 9000}, {})
    error = caught.value
    assert (error.code, error.exit_status) == ("PORT_UNKNOWN", ExitStatus.USAGE)
    assert "mino" in error.message
    assert "console, minio" in error.remedy


@pytest.mark.parametrize(
    ("requested", "remembered"),
    [({"minio": 9000, "console": 9000}, {}), ({"minio": 9000}, {"console": 9000})],
)
def test_one_port_for_two_names_is_rejected(
    requested: dict[str, int], remembered: dict[str, int]
) -> None:
    with pytest.raises(DevstackError) as caught:
        choose({"minio": 0, "console": 0}, requested, remembered)
    assert caught.value.code == "PORT_DUPLICATE"
    assert caught.value.cause == "minio has it already"


def test_the_error_for_a_taken_port_names_the_program(taken: int) -> None:
    with pytest.raises(DevstackError) as caught:
        require_free({"console": any_free(set()), "minio": taken})
    error = caught.value
    assert (error.code, error.exit_status) == ("PORT_TAKEN", ExitStatus.ENVIRONMENT)
    assert error.message == f"cannot use port {taken} for minio"
    assert f"process {os.getpid()} ({psutil.Process().name()})" in error.cause
    assert "--port minio=" in error.remedy


def test_a_free_port_has_no_listener() -> None:
    assert listener(any_free(set())) is None


def test_a_listener_that_cannot_be_inspected_is_another_program(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    def refuse(_kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert listener(taken) == "another program"


def test_a_listener_that_ends_meanwhile_is_another_program(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    def vanish(pid: int) -> None:
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr(psutil, "Process", vanish)
    assert listener(taken) == "another program"
