"""Kubernetes quantities: ``100m``, ``128Mi``, ``2G``."""

from __future__ import annotations

import re
from decimal import Decimal

_FORM = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?"
)
_FACTORS = {
    **{unit: Decimal(10) ** power for unit, power in (("n", -9), ("u", -6), ("m", -3))},
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}


def parse(text: object) -> Decimal | None:
    """Return a quantity in its base unit (cores, bytes, pieces), or None if it is not one."""
    matched = _FORM.fullmatch(str(text))
    if matched is None:
        return None
    number, unit = matched.groups()
    return Decimal(number) * _FACTORS.get(unit, Decimal(1))
