"""/openapi.json: FastAPI's description of the routes, with its bounds under the names that JSON Schema has for them."""

from typing import Any

from fastapi import FastAPI

NAMES = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
NAMES_OF_OBJECTS = {"minLength": "minProperties", "maxLength": "maxProperties"}


class DescribedApplication(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = _renamed(super().openapi())
        return self.openapi_schema


def _renamed(described: Any) -> Any:
    """Where a validator stands before a bound, pydantic writes the bound down under a name that is its own."""
    if isinstance(described, list):
        return [_renamed(each) for each in described]
    if not isinstance(described, dict):
        return described
    names = NAMES | NAMES_OF_OBJECTS if described.get("type") == "object" else NAMES
    # a property may be called so as well, but what it is then is no number
    return {
        names.get(key, key) if isinstance(value, int | float) else key: _renamed(value)
        for key, value in described.items()
    }
