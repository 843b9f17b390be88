"""Run the server: ``python -m kubeflow_pipelines``."""

from __future__ import annotations

import logging

import uvicorn

from kubeflow_pipelines.application import build_application
from kubeflow_pipelines.settings import read_settings

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
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


if __name__ == "__main__":
    main()
