"""What all tests share: their order, the time each group takes, no hidden skips."""

from __future__ import annotations

pytest_plugins = ["pytester", "tests.golden_option", "tests.groups", "tests.home", "tests.skips"]
