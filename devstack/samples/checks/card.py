"""What a card's page shows."""

from __future__ import annotations

import base64
import re

_DATA = re.compile(r'__MF_DATA__\["[^"]*"\]\s*=\s*"([^"]+)"')
"""Where the page has what it shows: JSON, in base64."""


def shown_on(page: str) -> str:
    """Return what a card's page shows, as JSON."""
    return "".join(base64.b64decode(data).decode() for data in _DATA.findall(page))
