"""Uploaded files with compiled pipelines."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP

import yaml
from database_service.errors import ServiceError
from database_service.json_bodies import read_bytes
from starlette.requests import Request

from kubeflow_pipelines.records import refused
from kubeflow_pipelines.translation.pipeline import Pipeline, read_pipeline
from kubeflow_pipelines.translation.unsupported import UnsupportedError
from kubeflow_pipelines.translation.workflows import check_pipeline

MAX_BYTES = 32 << 20
_PART = "uploadfile"
_ARCHIVES = {b"PK": "zip", b"\x1f\x8b": "gzip"}

# libyaml is ten times as fast, but not part of every installation.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


async def read_upload(request: Request) -> Pipeline:
    """Return the pipeline of an upload, which this service can run.

    Raises:
        ServiceError: 400 with the name of what is not supported, or 413.
    """
    body = await read_bytes(request, MAX_BYTES, "the file")
    content = _part(request.headers.get("content-type", ""), body)
    try:
        pipeline = read_pipeline(_documents(content))
        check_pipeline(pipeline)
    except UnsupportedError as error:
        raise refused(error) from error
    return pipeline


def _part(content_type: str, body: bytes) -> bytes:
    """Return the file of a form."""
    if not content_type.startswith("multipart/form-data"):
        raise ServiceError(400, "an upload is a form (multipart/form-data)")
    header = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    form = BytesParser(policy=HTTP).parsebytes(header + body)
    for part in form.iter_parts():
        if part.get_param("name", header="content-disposition") == _PART:
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    raise ServiceError(400, f"the form has no part {_PART}")


def _documents(content: bytes) -> list[object]:
    for start, kind in _ARCHIVES.items():
        if content.startswith(start):
            raise ServiceError(400, f"a {kind} archive is not supported; upload the YAML file")
    try:
        return list(yaml.load_all(content, _Loader))
    except yaml.YAMLError as error:
        raise ServiceError(400, f"the file is not YAML: {error}") from error
