"""GET /v1/models for Anthropic's clients, who show which version of its API they speak; others get OpenAI's shape."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from app.errors import UnknownModelError
from app.server.core.directory import ModelFacts, unknown_name
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_MODEL

VERSION = "anthropic-version"  # the header that tells these clients from others
EPOCH = datetime.fromtimestamp(0, UTC)  # as with Anthropic, of a date that is not known
ACTIVE = "active"
MAX_PAGE = 1000

Cursor = Annotated[str | None, Query(max_length=MAX_MODEL)]


class OfAnthropic(APIRoute):
    """Fits the requests alone that say so."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and VERSION not in Headers(scope=scope):
            return Match.NONE, {}
        return super().matches(scope)


def models_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter(route_class=OfAnthropic)

    @router.get("/v1/models", include_in_schema=False)
    async def list_models(
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
        after_id: Cursor = None,
        before_id: Cursor = None,
        lifecycle: Annotated[list[str] | None, Query(alias="lifecycle[]")] = None,
    ) -> dict[str, Any]:
        models = await switchboard.models() if lifecycle is None or ACTIVE in lifecycle else {}
        ids = _between(list(models), after_id, before_id)
        shown = ids[-limit:] if before_id is not None and after_id is None else ids[:limit]
        return {
            "data": [_model(id_, models[id_]) for id_ in shown],
            "has_more": len(shown) < len(ids),
            "first_id": shown[0] if shown else None,
            "last_id": shown[-1] if shown else None,
        }

    @router.get("/v1/models/{name:path}", include_in_schema=False)
    async def retrieve_model(name: str) -> dict[str, Any]:
        models = await switchboard.models()
        id_ = await switchboard.answering(name)
        if id_ is None or id_ not in models:
            raise UnknownModelError(unknown_name(name, list(models), _loaded(models)))
        return _model(id_, models[id_])

    return router


def _between(ids: list[str], after: str | None, before: str | None) -> list[str]:
    """A name that is not there has nothing on either side."""
    if any(end is not None and end not in ids for end in (after, before)):
        return []
    begin = 0 if after is None else ids.index(after) + 1
    return ids[begin : None if before is None else ids.index(before)]


def _loaded(models: Mapping[str, ModelFacts]) -> list[str]:
    return [id_ for id_, facts in models.items() if facts.is_loaded]


def _model(id_: str, facts: ModelFacts) -> dict[str, Any]:
    context = facts.context or facts.context_trained
    return {
        "type": "model",
        "id": id_,
        "display_name": facts.name,
        "created_at": (facts.modified or EPOCH).isoformat().replace("+00:00", "Z"),
        "lifecycle": ACTIVE,
        "max_input_tokens": context,
        "max_tokens": context,
    }
