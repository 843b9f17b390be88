"""The content of a card."""

from __future__ import annotations

import base64
import re

_DATA = re.compile(r'__MF_DATA__\["[^"]*"\]\s*=\s*"([^"]+)"')
"""The content of the page: JSON in base64."""


def shown_on(page: str) -> str:
    """Return the content of a card's page as JSON."""
    return "".join(base64.b64decode(data).decode() for data in _DATA.findall(page))
