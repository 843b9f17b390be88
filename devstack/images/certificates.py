"""The certificate authorities that downloads trust, for machines behind a company's proxy.

No image contains them.
"""

from __future__ import annotations

import os
from pathlib import Path

from devstack.errors import DevstackError, ExitStatus

VARIABLE = "DEVSTACK_CA_BUNDLE"


def private_bundle() -> Path | None:
    """Return the PEM file named by DEVSTACK_CA_BUNDLE, else SSL_CERT_FILE, if any.

    Without either, every tool uses the system's own bundle.

    Raises:
        DevstackError: ``CA_BUNDLE_MISSING``.
    """
    named = os.environ.get(VARIABLE) or os.environ.get("SSL_CERT_FILE")
    if not named:
        return None
    bundle = Path(named)
    if bundle.is_file():
        return bundle
    raise DevstackError(
        f"cannot read the certificate authorities in {bundle}",
        cause="the file does not exist",
        remedy=f"point {VARIABLE} (or SSL_CERT_FILE) at a PEM file, or unset it",
        code="CA_BUNDLE_MISSING",
        exit_status=ExitStatus.ENVIRONMENT,
    )


def variables() -> dict[str, str]:
    """Return the environment variables with which Go and pip trust the private bundle."""
    bundle = private_bundle()
    names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
    return dict.fromkeys(names, str(bundle)) if bundle else {}
