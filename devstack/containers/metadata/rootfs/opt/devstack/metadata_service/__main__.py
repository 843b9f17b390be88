"""Run the server: ``python -m metadata_service``."""

from __future__ import annotations

import logging

import uvicorn

from metadata_service.application import build_application
from metadata_service.settings import read_settings

KEEP_ALIVE_SECONDS = 75
"""Longer than the interval of heartbeats, or each would open a new connection."""

SHUTDOWN_SECONDS = 5


def main() -> None:
    """Serve with the settings from the environment."""
    settings = read_settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvicorn.run(
        build_application(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


if __name__ == "__main__":
    main()
