from __future__ import annotations

from devstack.errors import DevstackError, ExitStatus
from devstack.schema import Error, dump


def test_an_error_states_what_cannot_be_done_and_why() -> None:
    assert str(DevstackError("cannot use port 9000", cause="it is taken")) == (
        "cannot use port 9000: it is taken"
    )
    assert str(DevstackError("there are no logs to show")) == "there are no logs to show"


def test_only_the_tail_of_the_output_is_shown() -> None:
    output = "".join(f"line {number}\n\n" for number in range(40)) + "end   \n"
    tail = DevstackError("cannot", output=output).output_tail
    assert tail == [*(f"line {number}" for number in range(26, 40)), "end"]


def test_json_has_every_part() -> None:
    error = DevstackError("cannot", cause="why", remedy="next", code="CODE", output="a\nb")
    assert dump(Error, error) == {
        "code": "CODE",
        "message": "cannot",
        "cause": "why",
        "remedy": "next",
        "output": ["a", "b"],
    }


def test_exit_statuses_are_stable() -> None:
    assert {status.name: int(status) for status in ExitStatus} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "ENVIRONMENT": 3,
        "TIMEOUT": 4,
        "FLOW_FAILED": 5,
        "INTERRUPTED": 130,
    }
