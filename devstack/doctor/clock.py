"""The check of the engine's clock, which stops while a virtual machine sleeps."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from devstack.doctor.check import BY_DEGREE, Check, Fault, Finding, NotApplicableError
from devstack.doctor.engine import require_engine
from devstack.stack import Stack

NOTICEABLE = timedelta(minutes=1)
HARMFUL = timedelta(minutes=10)
"""S3 refuses requests that are 15 minutes off; certificates may not be valid yet."""


def _clock(stack: Stack) -> list[Finding]:
    before = datetime.now(timezone.utc)
    text = str(require_engine(stack).describe_engine().info.get("SystemTime") or "")
    after = datetime.now(timezone.utc)
    if not text:
        raise NotApplicableError("the engine does not tell its time")
    engine_time = _parse(text)
    # It was read between the two.
    skew = max(before - engine_time, engine_time - after, timedelta(0))
    if skew < NOTICEABLE:
        return []
    side = "behind" if engine_time < before else "ahead of"
    cause = f"the engine's clock is {skew.total_seconds():.0f} s {side} this machine's"
    remedy = "synchronize both: restart the engine's virtual machine (it loses time while the "
    remedy += "machine sleeps), or on this machine: timedatectl set-ntp true"
    severity = "error" if skew >= HARMFUL else "warning"
    return [Finding(cause, remedy, "CLOCK_SKEW", severity)]


def _parse(text: str) -> datetime:
    """Return a time of RFC 3339, of which Python before 3.11 reads microseconds at most."""
    found = re.fullmatch(r"([^.]+?)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if not found:
        raise NotApplicableError(f"the engine's time is {text!r}")
    zone = "+00:00" if found[3] == "Z" else found[3]
    return datetime.fromisoformat(f"{found[1]}{(found[2] or '.0')[:7]:0<7}{zone}")


CLOCK_CHECKS = (
    Check(
        "clock",
        "the engine's clock and this machine's agree",
        _clock,
        (
            Fault(
                "CLOCK_SKEW",
                "The clocks differ by a minute or more: certificates, tokens and S3 requests "
                "are refused.",
                "Restart the engine's virtual machine; `timedatectl set-ntp true`.",
                BY_DEGREE,
            ),
        ),
    ),
)
