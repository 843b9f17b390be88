from __future__ import annotations

import pytest

from devstack import quantity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("500m", "0.5"),
        ("1Gi", "1024Mi"),
        ("1k", "1000"),
        ("2", 2),
        ("128974848", "123Mi"),
        ("1e3", "1k"),
    ],
)
def test_writes_the_same_amount_in_two_ways(one: object, other: object) -> None:
    assert quantity.parse(one) == quantity.parse(other)


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "1gi"])
def test_rejects_invalid_quantities(text: str) -> None:
    assert quantity.parse(text) is None
