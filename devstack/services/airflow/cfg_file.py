"""The user's own airflow.cfg: what is wrong with it, and what the stack needs instead.

Nothing of its values is quoted in messages: a value may be a secret.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping

from devstack.errors import DevstackError, ExitStatus
from devstack.services.airflow.installation import Installation

OWN_SECRET = "airflow-secrets"  # noqa: S105 - the Secret's name
"""The user's Secret in Airflow's namespace; its keys are variables of all components."""

NEEDED = (
    ("core", "auth_manager"),
    ("core", "dags_folder"),
    ("core", "executor"),
    ("logging", "base_log_folder"),
    ("scheduler", "enable_health_check"),
    ("api", "auth_backends"),
    ("api", "maximum_page_limit"),
    ("webserver", "config_file"),
    ("kubernetes_executor", "namespace"),
    ("kubernetes_executor", "pod_template_file"),
)
"""Options with which the stack's manifests, probes and commands work."""

FIXED = {
    ("database", "sql_alchemy_conn"): "the stack's Postgres",
    ("core", "sql_alchemy_conn"): "the stack's Postgres",
    ("webserver", "web_server_port"): "8080",
    ("webserver", "web_server_host"): "0.0.0.0",  # noqa: S104 - in its pod
    ("logging", "worker_log_server_port"): "8793",
    ("scheduler", "scheduler_health_check_server_port"): "8974",
    ("celery", "broker_url"): "the stack's broker",
    ("celery", "result_backend"): "the stack's Postgres",
    ("celery", "worker_concurrency"): "the setting `worker_concurrency`",
}
"""Options that are no part of the file, with what the stack uses."""

WITHOUT_EFFECT = {
    ("core", "executor"): "the setting `executor`",
    **{path: used for path, used in FIXED.items() if path != ("celery", "result_backend")},
}
"""Options that have no effect in the table ``[airflow.config]``, with what the stack uses: other
objects depend on the executor; variables and arguments of the components override the rest."""

_SENSITIVE = {
    ("core", "fernet_key"),
    ("core", "dataset_manager_kwargs"),
    ("core", "internal_api_secret_key"),
    ("core", "sql_alchemy_conn"),
    ("database", "sql_alchemy_conn"),
    ("database", "sql_alchemy_engine_args"),
    ("logging", "remote_task_handler_kwargs"),
    ("secrets", "backend_kwargs"),
    ("webserver", "secret_key"),
    ("smtp", "smtp_password"),
    ("sentry", "sentry_dsn"),
    ("celery", "broker_url"),
    ("celery", "result_backend"),
    ("celery", "flower_basic_auth"),
    ("celery_broker_transport_options", "sentinel_kwargs"),
    ("opensearch", "username"),
    ("opensearch", "password"),
}
"""Options that Airflow 2.11 and its providers list as sensitive."""

_ADDRESSES = {
    ("core", "sql_alchemy_conn"),
    ("database", "sql_alchemy_conn"),
    ("celery", "broker_url"),
    ("celery", "result_backend"),
}
"""Sensitive options that hold an address, which is a secret only with a password."""

_SECRET_NAME = re.compile(r"(^|_)(password|passwd|passphrase|token|secret|api_key|private_key)$")
_PASSWORD_IN_URL = re.compile(r"://[^/\s@]*:[^/\s@]+@")
_PLACEHOLDER = re.compile(r"\{[A-Z_]+\}\Z|< ?hidden ?>\Z|\{\s*\}\Z")
"""What `airflow config list` prints for a secret, and an empty dictionary."""

_REFERENCES = ("_cmd", "_secret")
"""Ends of options that name a command or a secrets backend in place of a secret."""


def parse(text: str, file: str) -> configparser.ConfigParser:
    """Return the parsed file.

    Args:
        text: its text.
        file: its name, for messages.

    Raises:
        DevstackError: ``AIRFLOW_CFG_INVALID`` with line and cause.
    """
    # Percent signs are literal here; Airflow interprets them.
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise DevstackError(
            f"cannot use {file}",
            cause=_syntax_problem(error),
            remedy="correct it; `airflow config list --defaults` prints a complete file",
            code="AIRFLOW_CFG_INVALID",
            exit_status=ExitStatus.USAGE,
        ) from None
    return parser


def require_no_secrets(
    parser: configparser.ConfigParser, file: str, installation: Installation
) -> None:
    """Refuse secrets: a ConfigMap, and the stack's state, are no places for them.

    Args:
        parser: the parsed file.
        file: its name, for messages.
        installation: whose file it is.

    Raises:
        DevstackError: ``AIRFLOW_CFG_SECRET`` with every such option.
    """
    found = list(_secrets(parser))
    if not found:
        return
    section, option = found[0]
    variable = f"AIRFLOW__{section}__{option}".upper()
    namespace = installation.namespace
    raise DevstackError(
        f"{file} has secrets",
        cause=", ".join(f"[{section}] {option}" for section, option in found)
        + " would be readable in a ConfigMap",
        remedy=f"remove them; for what the stack does not set itself, create the Secret"
        f" {OWN_SECRET} with variables as keys: devstack kubectl --admin -n {namespace}"
        f" create secret generic {OWN_SECRET} --from-file={variable}=FILE",
        code="AIRFLOW_CFG_SECRET",
        exit_status=ExitStatus.USAGE,
    )


def replaced(parser: configparser.ConfigParser, needed: Mapping[tuple[str, str], str]) -> list[str]:
    """Return a sentence for each option of the file that the stack replaces.

    Args:
        parser: the parsed file.
        needed: the values of :data:`NEEDED` on this stack.
    """
    found = []
    for (section, option), value in {**needed, **FIXED}.items():
        if not parser.has_option(section, option):
            continue
        written = parser.get(section, option)
        if written.strip() not in ("", value) and not _PLACEHOLDER.match(written):
            advice = "; choose it by the setting `executor`" if option == "executor" else ""
            found.append(f"[{section}] {option} is replaced by {value}{advice}")
    return found


def without_effect(table: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return a sentence for each option that overrides nothing.

    Args:
        table: the table ``[airflow.config]`` of devstack.toml.
    """
    given = {(section, option) for section, options in table.items() for option in options}
    return [
        f"[{section}] {option} has no effect; the stack uses {WITHOUT_EFFECT[section, option]}"
        for section, option in sorted(given & WITHOUT_EFFECT.keys())
    ]


def usable_options(
    parser: configparser.ConfigParser, needed: Mapping[tuple[str, str], str]
) -> Iterator[tuple[str, str, str]]:
    """Yield section, name and value of the file's options that the stack does not replace."""
    for section in parser.sections():
        for option, value in parser.items(section):
            fixed = (section, option) in needed or (section, option) in FIXED
            if not fixed and not _PLACEHOLDER.match(value):
                yield section, option, value


def _secrets(parser: configparser.ConfigParser) -> Iterator[tuple[str, str]]:
    for section in [parser.default_section, *parser.sections()]:
        for option, value in parser.items(section):
            if _is_secret(section, option, value.strip()):
                yield section, option


def _is_secret(section: str, option: str, value: str) -> bool:
    if not value or _PLACEHOLDER.match(value):
        return False
    if _PASSWORD_IN_URL.search(value):
        return True
    if any(
        option.endswith(end) and (section, option.removesuffix(end)) in _SENSITIVE
        for end in _REFERENCES
    ):
        return False
    if (section, option) in _SENSITIVE:
        return (section, option) not in _ADDRESSES
    return bool(_SECRET_NAME.search(option))


def _syntax_problem(error: configparser.Error) -> str:
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno}: an option before the first [section]"
    if isinstance(error, configparser.ParsingError):
        lines = ", ".join(str(number) for number, _text in error.errors)
        return f"line {lines}: neither a [section], nor `option = value`, nor a comment"
    if isinstance(error, configparser.DuplicateSectionError):
        return f"line {error.lineno}: the section [{error.section}] exists already"
    if isinstance(error, configparser.DuplicateOptionError):
        return f"line {error.lineno}: [{error.section}] has {error.option} already"
    return type(error).__name__
