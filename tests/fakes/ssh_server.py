"""An SSH server that serves Git repositories of a folder to one key."""

from __future__ import annotations

import asyncio
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

_COMMANDS = ("git-upload-pack", "git-receive-pack")


@dataclass(frozen=True)
class SshServer:
    """A server that runs.

    Attributes:
        url: the repository ``dags.git``.
        client_key: the private key, OpenSSH's format, that it accepts.
        known_hosts: the line by which clients know its host key.
    """

    url: str
    client_key: str
    known_hosts: str


@contextmanager
def ssh_server(root: Path, host: str = "127.0.0.1") -> Iterator[SshServer]:
    """Serve the repositories below a folder over SSH on an address of this machine."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    client, own = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        program, folder = shlex.split(process.command or "")
        assert program in _COMMANDS
        child = await asyncio.create_subprocess_exec(
            program,
            str(root / folder.lstrip("/")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert child.stdin
        assert child.stdout
        assert child.stderr
        # git ends by the protocol, not by the end of its input.
        given = asyncio.ensure_future(_copy(process.stdin, child.stdin))
        # All output comes before the exit status.
        await asyncio.gather(
            _copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr)
        )
        given.cancel()
        process.exit(await child.wait())
        await process.wait_closed()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            host,
            0,
            server_host_keys=[own],
            authorized_client_keys=asyncssh.import_authorized_keys(_public(client)),
            process_factory=serve,
            encoding=None,
        )

    async def close() -> None:
        acceptor.close()
        await acceptor.wait_closed()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    port = acceptor.get_port()
    try:
        yield SshServer(
            f"ssh://git@{host}:{port}/dags.git",
            client.export_private_key().decode(),
            f"[{host}]:{port} {_public(own)}",
        )
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _copy(source: Any, target: Any) -> None:
    while data := await source.read(1 << 16):
        target.write(data)
        await target.drain()


def _public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode()
