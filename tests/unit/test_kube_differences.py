from __future__ import annotations

from typing import Any

import pytest

from devstack.kube.differences import differs

WANTED: dict[str, Any] = {
    "metadata": {"name": "minio", "labels": {"app": "minio"}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "minio",
                        "args": ["server", "/data"],
                        "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}},
                    }
                ]
            }
        },
    },
}


def live(**container: Any) -> dict[str, Any]:
    """WANTED as the API returns it, with defaults."""
    main = {
        "name": "minio",
        "args": ["server", "/data"],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
        "terminationMessagePath": "/dev/termination-log",
        **container,
    }
    return {
        "metadata": {"name": "minio", "uid": "u", "labels": {"app": "minio", "other": "x"}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [main]}}},
        "status": {"replicas": 1},
    }


def test_defaults_and_fields_of_other_managers_are_no_difference() -> None:
    assert differs(WANTED, live()) == ""


def test_an_injected_container_is_no_difference() -> None:
    has = live()
    has["spec"]["template"]["spec"]["containers"].append({"name": "sidecar"})
    assert differs(WANTED, has) == ""


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"args": ["server"]}, "spec.template.spec.containers[minio].args"),
        ({"args": ["server", "/x"]}, "spec.template.spec.containers[minio].args[1]"),
        (
            {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
            "spec.template.spec.containers[minio].resources.requests.cpu",
        ),
        ({"name": "renamed"}, "spec.template.spec.containers[minio]"),
    ],
)
def test_an_edited_field_is_named(edit: dict[str, Any], field: str) -> None:
    assert differs(WANTED, live(**edit)) == field


def test_a_deleted_field_is_named() -> None:
    has = live()
    del has["metadata"]["labels"]["app"]
    assert differs(WANTED, has) == "metadata.labels.app"


def test_a_rule_added_to_a_role_is_a_difference() -> None:
    wanted = {"rules": [{"verbs": ["get"]}]}
    has = {"rules": [{"verbs": ["get"]}, {"verbs": ["*"]}]}
    assert differs(wanted, has) == "rules"


def test_a_field_of_another_type_is_a_difference() -> None:
    assert differs({"spec": {"a": 1}}, {"spec": []}) == "spec"
    assert differs({"spec": [1]}, {"spec": {}}) == "spec"


def test_a_field_set_to_null_is_ignored() -> None:
    assert differs({"spec": {"a": None}}, {"spec": {}}) == ""


def test_limit_ranges_are_compared_by_amount() -> None:
    limit: dict[str, Any] = {
        "type": "Container",
        "default": {"cpu": 0.5, "memory": "1024Mi"},
        "max": {"cpu": 1},
        "maxLimitRequestRatio": {"cpu": 2},
    }
    has = {
        "type": "Container",
        "default": {"cpu": "500m", "memory": "1Gi"},
        "max": {"cpu": "1"},
        "maxLimitRequestRatio": {"cpu": "2"},
    }
    assert differs({"spec": {"limits": [limit]}}, {"spec": {"limits": [has]}}) == ""
    other = {**has, "max": {"cpu": "2"}}
    found = differs({"spec": {"limits": [limit]}}, {"spec": {"limits": [other]}})
    assert found == "spec.limits[0].max.cpu"
    # A schema's default is no quantity.
    assert differs({"default": {"a": "b"}}, {"default": {"a": "c"}}) == "default.a"
    assert differs({"default": {"a": {"b": 1}}}, {"default": {"a": {"b": 1}}}) == ""
