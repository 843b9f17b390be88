"""Serve until told to stop: ``python -m metadata_service``."""

from __future__ import annotations

import logging

import uvicorn

from metadata_service.application import build_application
from metadata_service.settings import read_settings

IDLE_SECONDS = 75
"""Longer than a heartbeat's pause, or each one would open a connection anew."""

STOP_SECONDS = 5


def main() -> None:
    """Serve with the settings of the environment."""
    settings = read_settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvicorn.run(
        build_application(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


if __name__ == "__main__":
    main()
