"""Cron expressions: those that users write, and those that an engine evaluates the same way.

Metaflow documents the notation of AWS for ``@schedule(cron=...)``: six fields with a
year, in which Sunday is day 1. Engines have five fields in which Sunday is day 0.

Argo reads five fields with ``robfig/cron`` (``ParseStandard``): Sunday is 0 only, ranges run
forwards, and there are no ``L``, ``W`` and ``#``. Imported in the user's Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
SPECIAL_WEEKDAY = re.compile(r"(\w+)#[1-5]|L([0-7])", re.IGNORECASE)
"""Airflow's notation of a month's third Friday, and of its last: ``FRI#3``, ``L5``."""

_EXAMPLE = 'write five fields, such as "0 9 * * MON-FRI" for 9:00 on weekdays, in UTC'


class ScheduleError(ValueError):
    """A schedule that an engine would not accept, or would evaluate as another one.

    Args:
        reason: why.
        instead: what to write.
    """

    def __init__(self, reason: str, instead: str = _EXAMPLE) -> None:
        super().__init__(reason)
        self.instead = instead


@dataclass(frozen=True)
class _Field:
    """A field of a cron expression.

    Attributes:
        name: its name in messages.
        low: its smallest number.
        high: its largest number.
        names: names of its numbers, from ``low``.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Return a number or name as a number."""
        if text.lower() in self.names:
            return self.low + self.names.index(text.lower())
        if not re.fullmatch(r"[0-9]{1,4}", text) or not self.low <= int(text) <= self.high:
            allowed = f"{self.low} to {self.high}" + (
                f" and {self.names[0].upper()} to {self.names[-1].upper()}" if self.names else ""
            )
            raise ScheduleError(f"{text!r} is no {self.name}: {allowed} are possible")
        return int(text)


_DAY = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_AWS_WEEKDAY = _Field("day of the week", 1, 7, _DAYS)
_MINUTE, _HOUR = _Field("minute", 0, 59), _Field("hour", 0, 23)


@dataclass(frozen=True)
class Notation:
    """The cron expressions of an engine.

    Attributes:
        engine: its name in messages.
        of_six: what it would do with a sixth field.
        last_weekday: the largest number of a day of the week: 7 if it is Sunday, too.
        special: True if it knows ``L`` and ``#``, and weekdays from Friday to Monday.
    """

    engine: str
    of_six: str
    last_weekday: int
    special: bool

    def convert(self, words: Sequence[str]) -> list[str]:
        """Return the five fields of a cron expression as the engine evaluates it.

        Args:
            words: five fields, or six in the notation of AWS, whose year is ``*``.

        Raises:
            ScheduleError: they are neither.
        """
        fields = self._from_aws(list(words)) if len(words) == 6 else list(words)
        if len(fields) != 5:
            raise ScheduleError(f"it has {len(fields)} fields; a cron expression has five")
        fields[2], fields[4] = (("*" if each == "?" else each) for each in (fields[2], fields[4]))
        weekday = _Field("day of the week", 0, self.last_weekday, _DAYS)
        for word, field in zip(fields, (_MINUTE, _HOUR, _DAY, _MONTH, weekday), strict=True):
            self._check(word, field)
        _check_date(fields)
        return fields

    def _from_aws(self, words: list[str]) -> list[str]:
        """Return five fields for the six of AWS (EventBridge, "Cron expressions")."""
        *fields, year = words
        if (fields[2] == "?") == (fields[4] == "?"):
            raise ScheduleError(
                "it has six fields, but not those of AWS, in which the day of the month or the day"
                f" of the week is `?` and the last is the year; {self.engine} {self.of_six}"
            )
        if year != "*":
            raise ScheduleError(
                f"its last field, the year, is {year!r}; {self.engine}'s schedules have no years"
            )
        if "W" in fields[2].upper():
            raise ScheduleError(f"{self.engine} has no nearest weekday: {fields[2]!r}")
        if not self.special and re.search(r"#|\wL", fields[4], re.IGNORECASE):
            raise ScheduleError(
                f"{self.engine} has no last or numbered weekday of a month: {fields[4]!r}"
            )
        return [*fields[:4], ",".join(_from_aws_weekday(item) for item in fields[4].split(","))]

    def _check(self, word: str, field: _Field) -> None:
        for item in word.split(","):
            span, slash, step = item.partition("/")
            if slash and not (re.fullmatch(r"[0-9]{1,4}", step) and int(step) > 0):
                raise ScheduleError(f"{item!r} has no step such as */5 in the {field.name}")
            if span == "*":
                continue
            if self.special and field is _DAY and span.upper() == "L" and not slash:
                continue
            is_weekday = field.names == _DAYS
            special = SPECIAL_WEEKDAY.fullmatch(span) if self.special and is_weekday else None
            if special and not slash:
                span = special[1] or special[2]
            ends = [field.number(end) for end in span.split("-")]
            if len(ends) > 2:
                raise ScheduleError(f"{item!r} is no range of the {field.name}")
            if len(ends) == 2 and ends[0] > ends[1] and not (self.special and is_weekday):
                raise ScheduleError(
                    f"{item!r} runs backwards in the {field.name}",
                    f"write {ends[0]}-{field.high},{field.low}-{ends[1]}",
                )


def _from_aws_weekday(item: str) -> str:
    """Return one item of AWS's day of the week with names, since its numbers differ."""
    if item in ("*", "?"):
        return item
    if item.upper() == "L":
        return "SAT"
    if match := re.fullmatch(r"(\w+)L", item, re.IGNORECASE):
        return f"L{_AWS_WEEKDAY.number(match[1]) - 1}"
    span, slash, step = item.partition("/")
    ends, hash_sign, week = span.partition("#")
    days = "-".join(
        end if end == "*" else _DAYS[_AWS_WEEKDAY.number(end) - 1].upper()
        for end in ends.split("-")
    )
    # AWS counts from this day to Saturday.
    days += "-SAT" if slash and "-" not in days and days != "*" else ""
    return f"{days}{hash_sign}{week}{slash}{step}"


def _check_date(words: list[str]) -> None:
    """Reject a date that does not exist: there would be no next run."""
    days, months = words[2:4]
    if re.search(r"[*L]", days, re.IGNORECASE):
        return
    lengths = [_MONTH_LENGTHS[number - 1] for number in _numbers(months, _MONTH)]
    if min(_numbers(days, _DAY)) > max(lengths):
        raise ScheduleError(f"there is no day {days} in the month {months}")


def _numbers(word: str, field: _Field) -> list[int]:
    """Return the numbers that a field stands for."""
    found: list[int] = []
    for item in word.split(","):
        span, slash, step = item.partition("/")
        ends = [
            field.number(end) for end in span.replace("*", f"{field.low}-{field.high}").split("-")
        ]
        last = field.high if slash and len(ends) == 1 else ends[-1]
        found += range(ends[0], last + 1, int(step or 1))
    return found


ARGO_PRESETS = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 0"}
"""As Metaflow's @schedule, without the seconds and the year of AWS."""

ARGO_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
"""Schedules that Argo knows by name."""

_ARGO = Notation("Argo", "refuses it", last_weekday=6, special=False)


def argo_schedule(schedule: str) -> str:
    """Return a schedule as Argo evaluates it; empty for ``none``.

    Args:
        schedule: ``none``, one of :data:`ARGO_PRESETS` or :data:`ARGO_DESCRIPTORS`, or a cron
            expression of five fields, or of six in the notation of AWS, whose year is ``*``.

    Raises:
        ScheduleError: it is none of these.
    """
    if schedule in ("", "none"):
        return ""
    if schedule in ARGO_DESCRIPTORS:
        return schedule
    return " ".join(_ARGO.convert(ARGO_PRESETS.get(schedule, schedule).split()))
