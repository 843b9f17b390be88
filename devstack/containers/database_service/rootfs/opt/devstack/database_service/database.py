"""Connections to Postgres, and schema migrations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from database_service.errors import ServiceError

UNAVAILABLE = (
    # Connection lost or refused.
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    # Starting up, shutting down, or out of resources.
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    # The database or its role does not exist yet, or the password is wrong.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
"""Errors of a database that is temporarily unavailable."""

STATEMENT_SECONDS = 10
CONNECT_SECONDS = 3
RETRY_INTERVAL = 0.2
_LOCK = 7263814
"""The advisory lock held during migrations, so that only one process runs them."""

_LOG = logging.getLogger(__name__)


class Database:
    """A connection pool that tolerates outages of Postgres.

    Args:
        name: the service's, for Postgres' list of connections.
        migrations: the folder with the schema, in files that are applied in the order of names.
        url: connection URL; empty for libpq's variables.
        connections: the maximum number of connections.
        acquire_timeout: seconds to wait for a connection.
    """

    def __init__(
        self, name: str, migrations: Path, url: str, connections: int, acquire_timeout: float
    ) -> None:
        self._name = name
        self._migrations = migrations
        self._url = url
        self._connections = connections
        self._acquire_timeout = acquire_timeout
        self._pool: Any = None
        self._opening: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._last_error = ""

    async def open(self) -> None:
        """Start connecting in the background: the database may start later."""
        self._opening = asyncio.create_task(self._open())

    async def close(self) -> None:
        """Close all connections."""
        if self._opening:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
        if self._pool:
            with suppress(*UNAVAILABLE):
                await asyncio.wait_for(self._pool.close(), timeout=2)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Acquire a connection for a block.

        Raises:
            ServiceError: 503 if the database does not respond in time.
        """
        connection = await self._acquire()
        self._record_success()
        try:
            yield connection
        except UNAVAILABLE as error:
            self._record_error(error)
            raise self._unavailable() from error
        finally:
            await self._release(connection)

    async def check(self) -> None:
        """Verify that the tables exist; create them if the database was lost.

        Raises:
            ServiceError: 503 if it does not respond.
        """
        async with self.connection() as connection:
            if await _version(connection) < len(_files(self._migrations)):
                await migrate(connection, self._migrations)

    async def _open(self) -> None:
        while not self._opened.is_set():
            try:
                self._pool = self._pool or await self._create_pool()
                async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                    await migrate(connection, self._migrations)
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                self._record_error(error)
                await asyncio.sleep(RETRY_INTERVAL)
            else:
                self._record_success()
                self._opened.set()

    async def _create_pool(self) -> Any:
        return await asyncpg.create_pool(
            self._url or None,
            min_size=0,
            max_size=self._connections,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings={
                "application_name": self._name,
                "statement_timeout": str(STATEMENT_SECONDS * 1000),
                # Compilation pays off only for queries much longer than these.
                "jit": "off",
            },
        )

    async def _acquire(self) -> Any:
        deadline = asyncio.get_running_loop().time() + self._acquire_timeout
        while True:
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self._opened.wait(), timeout=max(left, 0))
                return await self._pool.acquire(timeout=max(left, RETRY_INTERVAL))
            except UNAVAILABLE as error:
                if self._opened.is_set():
                    self._record_error(error)
                if left <= RETRY_INTERVAL:
                    raise self._unavailable() from error
                await asyncio.sleep(RETRY_INTERVAL)

    async def _release(self, connection: Any) -> None:
        with suppress(*UNAVAILABLE):
            await self._pool.release(connection, timeout=CONNECT_SECONDS)

    def _record_error(self, error: BaseException) -> None:
        before, self._last_error = self._last_error, str(error) or type(error).__name__
        if not before:
            _LOG.warning("the database does not respond: %s", self._last_error)

    def _record_success(self) -> None:
        if self._last_error:
            _LOG.info("the database responds")
        self._last_error = ""

    def _unavailable(self) -> ServiceError:
        cause = self._last_error or "no connection was free in time"
        return ServiceError(503, f"the database does not respond: {cause}")


async def migrate(connection: Any, migrations: Path) -> None:
    """Migrate the schema to the newest version, in one transaction.

    Args:
        connection: a connection to the database.
        migrations: the folder with the schema.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
        for migration in _files(migrations)[await _version(connection) :]:
            _LOG.info("apply migration %s", migration.name)
            await connection.execute(migration.read_text())
            await connection.execute("INSERT INTO migrations (name) VALUES ($1)", migration.name)


async def _version(connection: Any) -> int:
    if not await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL"):
        return 0
    return int(await connection.fetchval("SELECT count(*) FROM migrations"))


def _files(migrations: Path) -> list[Path]:
    return sorted(migrations.glob("*.sql"))
