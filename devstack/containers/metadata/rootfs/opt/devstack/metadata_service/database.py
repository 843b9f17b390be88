"""The connections to Postgres, and the tables' versions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from metadata_service.errors import ServiceError

MIGRATIONS = Path(__file__).with_name("migrations")
AWAY = (
    # It went away, or is not there yet.
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    # It starts, ends, or has no room.
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # The database or its user is yet to be made, or the password is wrong.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
"""What a database that cannot be used for now makes of a call."""

ANSWER_SECONDS = 10
CONNECT_SECONDS = 3
PAUSE_SECONDS = 0.2
_LOCK = 7263814
"""Held while the tables change, so that of several services only one does it."""

_LOG = logging.getLogger(__name__)


class Database:
    """A Postgres that may come late, go away and come back.

    Args:
        url: where it is; empty for libpq's variables.
        connections: how many to hold at most.
        patience: seconds to wait for a connection.
    """

    def __init__(self, url: str, connections: int, patience: float) -> None:
        self._url = url
        self._connections = connections
        self._patience = patience
        self._pool: Any = None
        self._opening: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._trouble = ""

    async def open(self) -> None:
        """Start to connect; return at once, for the database may come late."""
        self._opening = asyncio.create_task(self._open())

    async def close(self) -> None:
        """Give all connections back."""
        if self._opening:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
        if self._pool:
            with suppress(*AWAY):
                await asyncio.wait_for(self._pool.close(), timeout=2)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Lend a connection.

        Raises:
            ServiceError: 503 where the database does not answer in time.
        """
        connection = await self._acquire()
        self._clear()
        try:
            yield connection
        except AWAY as error:
            self._note(error)
            raise self._unavailable() from error
        finally:
            await self._release(connection)

    async def check(self) -> None:
        """Look whether the tables are there; make them where the database was lost.

        Raises:
            ServiceError: 503 where it does not answer.
        """
        async with self.connection() as connection:
            if await _version(connection) < len(_migrations()):
                await migrate(connection)

    async def _open(self) -> None:
        while not self._opened.is_set():
            try:
                self._pool = self._pool or await self._make_pool()
                async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                    await migrate(connection)
            except (*AWAY, asyncpg.PostgresError) as error:
                self._note(error)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                self._clear()
                self._opened.set()

    async def _make_pool(self) -> Any:
        return await asyncpg.create_pool(
            self._url or None,
            min_size=0,
            max_size=self._connections,
            timeout=CONNECT_SECONDS,
            command_timeout=ANSWER_SECONDS,
            server_settings={
                "application_name": "metaflow-metadata",
                "statement_timeout": str(ANSWER_SECONDS * 1000),
                # The plans that compiled code would pay for take longer than these queries.
                "jit": "off",
            },
        )

    async def _acquire(self) -> Any:
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._opened.wait(), timeout=max(left, 0))
                return await self._pool.acquire(timeout=max(left, PAUSE_SECONDS))
            except AWAY as error:
                if self._opened.is_set():
                    self._note(error)
                if left <= PAUSE_SECONDS:
                    raise self._unavailable() from error
                await asyncio.sleep(PAUSE_SECONDS)

    async def _release(self, connection: Any) -> None:
        with suppress(*AWAY):
            await self._pool.release(connection, timeout=CONNECT_SECONDS)

    def _note(self, error: BaseException) -> None:
        before, self._trouble = self._trouble, str(error) or type(error).__name__
        if not before:
            _LOG.warning("the database does not answer: %s", self._trouble)

    def _clear(self) -> None:
        if self._trouble:
            _LOG.info("the database answers")
        self._trouble = ""

    def _unavailable(self) -> ServiceError:
        trouble = self._trouble or "no connection was free in time"
        return ServiceError(503, f"the database does not answer: {trouble}")


async def migrate(connection: Any) -> None:
    """Bring the tables to the newest version, in one transaction."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
        for migration in _migrations()[await _version(connection) :]:
            _LOG.info("change the tables: %s", migration.name)
            await connection.execute(migration.read_text())
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", migration.name)


async def _version(connection: Any) -> int:
    if not await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL"):
        return 0
    return int(await connection.fetchval("SELECT count(*) FROM migrations"))


def _migrations() -> list[Path]:
    return sorted(MIGRATIONS.glob("*.sql"))
