from __future__ import annotations

from pathlib import Path

import pytest

from devstack.config import StackSpec, load
from devstack.errors import DevstackError, ExitStatus


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVSTACK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "devstack.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refused(text: str = "", **chosen: object) -> DevstackError:
    write(text)
    with pytest.raises(DevstackError) as caught:
        load(**chosen)  # type: ignore[arg-type]
    assert caught.value.code == "CONFIG_INVALID"
    assert caught.value.exit_status == ExitStatus.USAGE
    return caught.value


def test_no_file_means_the_defaults() -> None:
    assert load() == StackSpec()


def test_the_file_of_this_folder_is_read() -> None:
    write('name = "ci"\nnodes = 3\ntimeout = 60\n[ports]\nminio = 9100\n')
    assert load() == StackSpec(name="ci", nodes=3, timeout=60, ports={"minio": 9100})


def test_the_users_own_file_is_read_if_the_folder_has_none(home: Path) -> None:
    write('namespace = "mine"', "home/config/config.toml")
    assert load().namespace == "mine"
    write('namespace = "theirs"')
    assert load().namespace == "theirs"


def test_a_file_named_by_the_user_is_read_instead() -> None:
    write('namespace = "here"')
    assert load(write('namespace = "there"', "other.toml")).namespace == "there"


def test_the_command_line_overrides_the_file() -> None:
    write('name = "file"\nnodes = 3\n[ports]\nminio = 9100\nconsole = 9101\n')
    spec = load(name="line", nodes=None, ports={"minio": 9200})
    assert spec.name == "line"
    assert spec.nodes == 3
    assert spec.ports == {"minio": 9200, "console": 9101}


def test_mirrors_of_the_file_are_completed_and_removed_by_the_command_line() -> None:
    write(
        '[images]\nsource = "pull"\n[images.mirror]\n'
        '"docker.io" = "registry.corp:5000/hub"\n"quay.io" = "registry.corp:5000/quay"\n'
    )
    spec = load(mirror={"quay.io": "", "*": "harbor.corp/all"})
    assert spec.images == "pull"
    assert spec.mirror == {
        "docker.io": "registry.corp:5000/hub",
        "quay.io": "",
        "*": "harbor.corp/all",
    }
    assert "mirror" in spec.given


def test_mirrors_of_the_command_line_only_are_additions_to_those_of_a_stack() -> None:
    spec = load(mirror={"docker.io": "registry.corp:5000"})
    assert "mirror" not in spec.given


@pytest.mark.parametrize(
    "place",
    [
        "registry.corp:5000",
        "registry.corp:5000/hub",
        "localhost:5000",
        "10.0.0.5:5000/hub",
        "mirror:5000",
        "corp.jfrog.io/docker-virtual",
        "artifactory.corp/artifactory/api/docker/docker-remote",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/docker-hub",
        "europe-docker.pkg.dev/project/docker_hub",
        "gitlab.corp/group/dependency_proxy/containers",
        "harbor.corp/docker.io",
    ],
)
def test_every_form_of_mirror_is_accepted(place: str) -> None:
    assert load(mirror={"docker.io": place}).mirror == {"docker.io": place}


def test_every_mistake_in_mirrors_is_reported() -> None:
    error = refused(
        "[images]\nsorce = 'pull'\n[images.mirror]\n"
        '"docker" = "registry.corp"\n'
        '"quay.io" = "https://registry.corp"\n'
        '"ghcr.io" = "registry.corp/"\n'
        '"index.docker.io" = "registry.corp/hub"\n'
        '"docker.io/team" = "hub"\n'
        '"registry.k8s.io" = "registry.corp/Kubernetes"\n'
        '"nvcr.io" = 5\n'
    )
    whole = 'a mirror is for a whole registry, or "*" for all others'
    form = "is not HOST[:PORT][/PATH], such as registry.corp:5000/hub"
    assert error.cause.partition(": ")[2].split("; images.mirror: ") == [
        "unknown setting 'images.sorce' (did you mean 'source'?)",
        f"'docker' is not HOST[:PORT], such as docker.io; {whole}",
        "the mirror 'https://registry.corp' of 'quay.io' has a scheme: write HOST[:PORT][/PATH]",
        "the mirror 'registry.corp/' of 'ghcr.io' ends with a slash",
        "'index.docker.io' is Docker Hub, which images call docker.io",
        f"'docker.io/team' is not HOST[:PORT], such as docker.io; {whole}",
        f"the mirror 'hub' of 'docker.io/team' {form}",
        "the mirror 'registry.corp/Kubernetes' of 'registry.k8s.io' has upper-case letters in its "
        "path, which names of images cannot have",
        f"the mirror 5 of 'nvcr.io' {form}",
    ]
    assert error.cause.startswith("9 mistakes: ")


def test_mistakes_in_mirrors_of_the_command_line_are_reported() -> None:
    assert "--mirror: '' is not HOST[:PORT]" in refused(mirror={"": "registry.corp"}).cause
    assert "is not a table" in refused("[images]\nmirror = 'registry.corp'").cause
    assert "unknown setting 'mirror'" in refused("[mirror]\n'docker.io' = 'registry.corp'").cause


@pytest.mark.parametrize(("provider", "used"), [(None, "context"), ("minikube", "minikube")])
def test_naming_a_context_selects_its_provider(provider: str | None, used: str) -> None:
    assert load(context="staging", provider=provider).provider == used


def test_three_mistakes_in_one_file_are_all_reported() -> None:
    error = refused('provder = "kind"\nnodes = 0\nnamespace = "metaflow-of-the-team"\n')
    assert "devstack.toml" in error.message
    assert error.cause.startswith("3 mistakes: ")
    assert "unknown setting 'provder' (did you mean 'provider'?)" in error.cause
    assert "nodes: 0 is not a number from 1 to 10" in error.cause
    assert "namespace: 'metaflow-of-the-team' is longer than 14 characters" in error.cause


def test_every_mistake_within_a_table_is_reported() -> None:
    error = refused(
        "[ports]\nminio = 0\nconsole = 65536\n[airflow]\nexecuter = 1\nexecutor = 'Celery'\n"
        "[airflow.config.core]\nparallelism = [8]\ndag_dir_list_interval = 5\n"
    )
    assert error.cause.split("; ") == [
        "5 mistakes: ports.minio: 0 is not a port from 1 to 65535",
        "ports.console: 65536 is not a port from 1 to 65535",
        "unknown setting 'airflow.executer' (did you mean 'executor'?)",
        "airflow.executor: 'Celery' is none of LocalExecutor, KubernetesExecutor, "
        "CeleryExecutor, CeleryKubernetesExecutor (did you mean 'CeleryExecutor'?)",
        "airflow.config.core.parallelism: [8] is neither text, a number, true nor false",
    ]


def test_a_misspelt_choice_suggests_the_closest_match() -> None:
    assert "images: 'biuld' is none of auto, pull, build (did you mean 'build'?)" in (
        refused('images = "biuld"').cause
    )


def test_a_setting_without_a_close_match_lists_the_known_ones() -> None:
    cause = refused("zzz = 1").cause
    assert "known: airflow, cluster, context, images, manifests, name, namespace" in cause


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('name = "Team A"', "name"),
        ('name = "-ci"', "name"),
        (f'name = "{"x" * 31}"', "name"),
        ("name = 3", "name"),
        ("provider = []", "provider"),
        ('namespace = "a.b"', "namespace"),
        ("namespace = 14", "namespace"),
        ("nodes = 1.5", "nodes"),
        ("nodes = true", "nodes"),
        ('nodes = "3"', "nodes"),
        ("timeout = 0", "timeout"),
        ("timeout = nan", "timeout"),
        ("timeout = inf", "timeout"),
        ('offline = "yes"', "offline"),
        ("context = 1", "context"),
        ("ports = 9000", "ports"),
        ("[ports]\nminio = 0", "ports.minio: 0 is not a port from 1 to 65535"),
        ('[ports]\nminio = "9000"', "ports.minio: '9000' is not a port"),
    ],
)
def test_an_invalid_value_is_named(text: str, word: str) -> None:
    assert word in refused(text).cause


def test_a_namespace_of_14_characters_is_the_longest() -> None:
    assert load(namespace="x" * 14).namespace == "x" * 14
    assert "longer than 14 characters" in refused(namespace="x" * 15).cause


def test_mistakes_on_the_command_line_are_reported_as_such() -> None:
    error = refused(nodes=99, timeout=-1.0)
    assert "the command line" in error.message
    assert error.cause.startswith("2 mistakes: ")


def test_a_file_that_is_not_toml_is_reported_with_the_position() -> None:
    assert "line 1" in refused("nodes = = 3").cause


def test_a_file_that_is_not_text_is_reported() -> None:
    Path("devstack.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DevstackError, match="utf-8"):
        load()


def test_a_named_file_that_does_not_exist_is_reported() -> None:
    with pytest.raises(DevstackError, match="there is no such file"):
        load(Path("nowhere.toml"))


def test_the_version_of_kubernetes_is_a_setting_of_the_cluster() -> None:
    write('[cluster]\nkubernetes = "1.35"\n')
    spec = load()
    assert spec.kubernetes == "1.35"
    assert "kubernetes" in spec.given
    assert load(kubernetes="1.34").kubernetes == "1.34"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[cluster]\nkubernetes = 1.36", "cluster.kubernetes: 1.36 is not a minor version"),
        ('kubernetes = "1.36"', "unknown setting 'kubernetes'"),
        ("[cluster]\nkubernets = '1.36'", "did you mean 'kubernetes'?"),
    ],
)
def test_a_mistake_in_the_table_of_the_cluster_is_named(text: str, why: str) -> None:
    assert why in refused(text).cause
