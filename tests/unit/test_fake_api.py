"""The fake API rejects what a server rejects; tests/e2e runs the same cases on a real one."""

from __future__ import annotations

import pytest

from devstack.kube.api_errors import ApiError
from tests.fakes.api import FakeApi, namespace
from tests.support.api_cases import ACCEPTED, REJECTED, Case, Rejected


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi()
    made.add(namespace("here"))
    return made


@pytest.mark.parametrize("case", REJECTED.values(), ids=REJECTED)
def test_the_fake_rejects(api: FakeApi, case: Rejected) -> None:
    with pytest.raises(ApiError) as caught:
        case.request(api.client(), "here")
    assert (caught.value.status, caught.value.reason) == (case.status, case.reason)
    assert case.says in caught.value.detail


@pytest.mark.parametrize("case", ACCEPTED.values(), ids=ACCEPTED)
def test_the_fake_stores_objects_as_a_server_does(api: FakeApi, case: Case) -> None:
    case(api.client(), "here")
