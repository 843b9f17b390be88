"""Times as the API has them: RFC 3339, in UTC, in whole seconds."""

from __future__ import annotations

from datetime import datetime, timezone


def format_time(when: datetime) -> str:
    """Return a time, which has a time zone, such as ``2026-11-27T03:00:00Z``."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Return the time that an object of the API has."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
