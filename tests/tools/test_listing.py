"""What strangers say that their tools are: checked, bounded, and never believed."""

from typing import Any

import pytest

from app.tools.listing import MAX_SCHEMA, MAX_TOOLS, listing_from
from tests.tools.servers.odd import TOOLS

OBJECT = {"type": "object"}


def listed(tools: list[dict[str, Any]]) -> Any:
    return listing_from((tool["name"], tool.get("description"), tool.get("inputSchema")) for tool in tools)


def test_absurd_schemas_are_left_out_by_name_and_the_others_stay() -> None:
    listing = listed(TOOLS["absurd"])
    assert [tool.name for tool in listing.tools] == ["echo", "array"]
    deep, wide = listing.left_out
    assert "“deep” is left out: its schema is nested" in deep
    assert f"more than {MAX_SCHEMA:,} characters" in wide


def test_names_that_carry_orders_are_left_out_and_hidden_words_made_visible() -> None:
    listing = listed(TOOLS["injecting"])
    assert [tool.name for tool in listing.tools] == ["echo", "calculator"]
    assert listing.tools[0].description == r"Fine.\u202e\u200b\x1b[31m hidden"
    assert len(listing.left_out) == 2
    assert not any("\n" in sentence for sentence in listing.left_out)


def test_of_five_hundred_tools_the_first_are_offered() -> None:
    listing = listed(TOOLS["many"])
    assert len(listing.tools) == MAX_TOOLS
    assert listing.left_out == (f"{500 - MAX_TOOLS} tools beyond the first {MAX_TOOLS} are left out.",)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("", OBJECT),
        (None, OBJECT),
        ("x" * 200, OBJECT),
        ("ok", None),
        ("ok", {"type": "array"}),
        ("ok", {"type": "object", "default": "\ud800"}),
        ("ok", {"type": "object", "default": object()}),
    ],
)
def test_what_is_no_tool_is_left_out(name: Any, schema: Any) -> None:
    listing = listing_from([(name, "does things", schema)])
    assert listing.tools == ()
    assert len(listing.left_out) == 1


def test_two_of_one_name_are_one() -> None:
    assert len(listing_from([("a", "first", OBJECT), ("a", "second", OBJECT)]).tools) == 1


def test_a_description_of_another_kind_is_none() -> None:
    assert listing_from([("a", 7, OBJECT)]).tools[0].description == ""
