from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.flows.cleanup import delete_active_jobs
from tests.fakes.api import FakeApi
from tests.fakes.runner import FakeClock
from tests.support.task_objects import NAMESPACE, RUN, job, jobset, task_pod


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def end(api: FakeApi) -> list[str]:
    return delete_active_jobs(api.client(), NAMESPACE, RUN, FakeClock())


def test_what_still_runs_is_deleted_jobsets_first(api: FakeApi) -> None:
    api.add(job("t-1"), jobset("js-1"))
    assert end(api) == ["JobSet js-1", "Job t-1"]


def test_what_has_ended_stays_with_its_logs(api: FakeApi) -> None:
    api.add(job("t-1", ended="Complete"), job("t-2", ended="Failed"))
    api.add(jobset("js-1", ended="Completed"))
    assert end(api) == []
    assert not api.writes


def test_other_runs_are_left_alone(api: FakeApi) -> None:
    api.add(job("t-1", run_id="17"))
    assert end(api) == []


def test_a_pod_that_does_not_go_is_named(api: FakeApi) -> None:
    api.add(job("t-1"), task_pod("t-1-abcde"))
    with pytest.raises(DevstackError) as caught:
        end(api)
    assert caught.value.code == "WAIT_TIMEOUT"
    assert "t-1-abcde" in caught.value.cause
