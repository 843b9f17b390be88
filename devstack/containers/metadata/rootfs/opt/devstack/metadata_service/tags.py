"""Tags of a run, with the rules of Metaflow's own providers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from database_service.errors import ServiceError
from database_service.json_bodies import JsonResponse, acquire_connection, read_object
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metadata_service.reading import path_to
from metadata_service.records import RUN, path_names

MAX_TAGS = 50
MAX_TAG_LENGTH = 500

# The row lock serializes concurrent changes, so that none is lost.
_READ = """
    SELECT r.id, r.tags, r.system_tags FROM flows f JOIN runs r ON r.flow = f.id
    WHERE f.flow_id = $1 AND r.run_id = $2 FOR UPDATE OF r"""


def tag_routes() -> Iterator[Route]:
    """Return the route that changes tags."""
    yield Route(path_to(RUN) + "/tag/mutate", mutate_tags, methods=["PATCH"])


async def mutate_tags(request: Request) -> Response:
    """Remove and add tags atomically; a tag in both lists is present afterwards."""
    body = await read_object(request)
    remove, add = _tags(body, "tags_to_remove"), _tags(body, "tags_to_add")
    path = path_names(request)
    async with acquire_connection(request) as connection, connection.transaction():
        run = await connection.fetchrow(_READ, *path)
        if run is None:
            raise ServiceError(404, f"there is no run {'/'.join(path)}")
        tags = change_tags(set(run["tags"]), set(run["system_tags"]), remove=remove, add=add)
        await connection.execute("UPDATE runs SET tags = $2 WHERE id = $1", run["id"], sorted(tags))
    return JsonResponse({"flow_id": path[0], "run_number": path[1], "tags": sorted(tags)})


def change_tags(
    tags: set[str], system_tags: set[str], *, remove: set[str], add: set[str]
) -> set[str]:
    """Return the tags after the change.

    Args:
        tags: the user's, so far.
        system_tags: Metaflow's, which cannot be removed.
        remove: tags to remove.
        add: tags to add; system tags among them are ignored.

    Raises:
        ServiceError: 422 if the rules forbid it.
    """
    if fixed := remove & system_tags:
        raise ServiceError(422, f"cannot remove system tags: {', '.join(sorted(fixed))}")
    changed = (tags - remove) | (add - system_tags)
    if len(changed) > max(MAX_TAGS, len(tags)):
        raise ServiceError(422, f"a run can have {MAX_TAGS} tags, this would make {len(changed)}")
    for tag in changed - tags:
        if not 0 < len(tag) <= MAX_TAG_LENGTH:
            raise ServiceError(422, f"a tag has 1 to {MAX_TAG_LENGTH} characters, not {len(tag)}")
    return changed


def _tags(body: dict[str, Any], field: str) -> set[str]:
    value = body.get(field) or []
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ServiceError(400, f"{field} must be a list of strings")
    return set(value)
