"""Schedules: which reach Airflow, in which form, and which are refused."""

from __future__ import annotations

import re

import pytest

from devstack.cron import ScheduleError
from devstack.deployers.airflow.schedule import AIRFLOW_PRESETS, airflow_schedule


@pytest.mark.parametrize(
    ("written", "schedule"),
    [
        ("hourly", "@hourly"),
        ("none", None),
        ("0 9 * * MON-FRI", "0 9 * * MON-FRI"),
        ("  0 9\t* * 1-5 ", "0 9 * * 1-5"),
        ("0 9 ? * 1-5", "0 9 * * 1-5"),
        ("*/5 8-18/2 1,15 JAN-MAR *", "*/5 8-18/2 1,15 JAN-MAR *"),
        ("0 9 L * *", "0 9 L * *"),
        ("0 9 * * fri#2", "0 9 * * fri#2"),
        ("0 9 * * L5", "0 9 * * L5"),
        ("0 9 * * MON#1,FRI#3", "0 9 * * MON#1,FRI#3"),
        ("0 9 31 */3 *", "0 9 31 */3 *"),
        ("0 9 * * 7", "0 9 * * 7"),
        ("0 9 * * FRI-MON", "0 9 * * FRI-MON"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        *((preset, preset) for preset in AIRFLOW_PRESETS),
    ],
)
def test_a_schedule_is_passed_on(written: str, schedule: str | None) -> None:
    assert airflow_schedule(written) == schedule


@pytest.mark.parametrize(
    ("aws", "schedule"),
    [
        ("0 9 ? * MON-FRI *", "0 9 * * MON-FRI"),
        ("*/5 * * * ? *", "*/5 * * * *"),
        ("0 9 ? * 2-6 *", "0 9 * * MON-FRI"),
        ("0 9 ? * 1,7 *", "0 9 * * SUN,SAT"),
        ("0 9 ? * 6L *", "0 9 * * L5"),
        ("0 9 ? * L *", "0 9 * * SAT"),
        ("0 9 ? * 6#3 *", "0 9 * * FRI#3"),
        ("0 9 ? * 2/2 *", "0 9 * * MON-SAT/2"),
        ("0 9 L * ? *", "0 9 L * *"),
    ],
)
def test_the_notation_of_aws_loses_its_year_and_its_numbers_of_days(
    aws: str, schedule: str
) -> None:
    assert airflow_schedule(aws) == schedule


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("every tuesday", "2 fields"),
        ("0 9 * * FRI#2,MON", "cannot combine 'FRI#2' with other days"),
        ("0 9 ? * 6#2,2 *", "cannot combine 'FRI#2' with other days"),
        ("0 9 1 * FRI#2", "cannot combine 'FRI#2' with other days"),
        ("0 9 L * L5", "cannot combine 'L5' with other days"),
        ("0 9 30 2 MON", "no day 30 in the month 2"),
        ("0 9 31 4/5 *", "no day 31 in the month 4/5"),
        ("0 0 9 * * *", "Airflow would take the last for seconds"),
        ("0 0 9 ? * MON-FRI", "Airflow would take the last for seconds"),
        ("0 9 ? * MON-FRI 2027", "no years"),
        ("0 0 9 ? * MON *", "7 fields"),
        ("0 9 15W * ? *", "nearest weekday"),
        ("99 * * * *", "'99' is no minute"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 9 * * 8", "'8' is no day of the week"),
        ("0 9 ? * 8 *", "'8' is no day of the week"),
        ("0 9 * FOO *", "'FOO' is no month"),
        ("*/0 * * * *", "no step"),
        ("5-1 * * * *", "runs backwards"),
        ("1-2-3 * * * *", "no range"),
        ("0 9 31 4,6 *", "no day 31"),
        ("0 9 30 2 *", "no day 30"),
        ("? * * * *", "'?' is no minute"),
        ("@continuous", "no such preset"),
        ("@every 5m", "2 fields"),
        ("", "0 fields"),
    ],
)
def test_another_schedule_is_refused_with_an_alternative(written: str, reason: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(reason)) as refused:
        airflow_schedule(written)
    assert refused.value.instead
