from __future__ import annotations

import pytest

from devstack.errors import DevstackError
from devstack.flows.cleanup import delete_active_jobs
from tests.fakes.api import FakeApi, path_of
from tests.fakes.runner import FakeClock
from tests.support.task_objects import NAMESPACE, RUN, job, jobset, task_pod


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def end(api: FakeApi) -> list[str]:
    return delete_active_jobs(api.client(), NAMESPACE, RUN, FakeClock())


def test_active_jobs_are_deleted_jobsets_first(api: FakeApi) -> None:
    api.add(job("t-1"), jobset("js-1"))
    assert end(api) == ["JobSet js-1", "Job t-1"]


def test_ended_jobs_are_kept_with_their_logs(api: FakeApi) -> None:
    api.add(job("t-1", ended="Complete"), job("t-2", ended="Failed"))
    api.add(jobset("js-1", ended="Completed"))
    assert end(api) == []
    assert not api.writes


def test_other_runs_are_not_changed(api: FakeApi) -> None:
    api.add(job("t-1", run_id="17"))
    assert end(api) == []


def test_a_pod_that_does_not_end_is_named(api: FakeApi) -> None:
    pod = task_pod("t-1-abcde")
    pod["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    api.add(job("t-1"), pod)
    with pytest.raises(DevstackError) as caught:
        end(api)
    assert caught.value.code == "WAIT_TIMEOUT"
    assert "t-1-abcde" in caught.value.cause


def test_pods_are_deleted_without_waiting_for_the_garbage_collector(api: FakeApi) -> None:
    api.add(job("t-1"), task_pod("t-1-abcde"), task_pod("t-0-abcde", phase="Failed"))
    assert end(api) == ["Job t-1"]
    deleted = [path.rpartition("/")[2] for method, path in api.writes if method == "DELETE"]
    assert deleted == ["t-1", "t-1-abcde"]


def test_pods_whose_jobs_metaflow_has_deleted_are_deleted(api: FakeApi) -> None:
    api.add(task_pod("t-1-abcde"))
    assert end(api) == []
    assert [path.rpartition("/")[2] for _method, path in api.writes] == ["t-1-abcde"]


def test_a_job_that_appears_while_others_end_is_deleted(api: FakeApi) -> None:
    pod = task_pod("t-1-abcde")
    pod["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    api.add(job("t-1"), pod)

    class Clock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            api.add(job("t-2"))
            api.objects.pop(path_of(pod), None)

    deleted = delete_active_jobs(api.client(), NAMESPACE, RUN, Clock())
    assert deleted == ["Job t-1", "Job t-2"]
