import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.conversation_tree import Tree

#  1 ── 2 ── 3 ── 4
#  │    └─── 5
#  └─── 6 ── 7
#  8
LINKS = [(1, None), (2, 1), (3, 2), (4, 3), (5, 2), (6, 1), (7, 6), (8, None)]


def test_the_newest_is_shown_where_nothing_was_chosen() -> None:
    assert Tree(LINKS, {}).path() == (8,)
    assert Tree(LINKS, {None: 1}).path() == (1, 6, 7)


def test_the_way_back_to_a_branch_ends_where_it_was_left() -> None:
    chosen = {None: 1, 1: 6, 2: 3}
    assert Tree(LINKS, chosen).path_through(2) == (1, 2, 3, 4)
    assert Tree(LINKS, chosen | {2: 5}).path_through(2) == (1, 2, 5)
    assert Tree(LINKS, chosen).path_to(5) == (1, 2, 5)


def test_siblings_follow_the_same_turn() -> None:
    tree = Tree(LINKS, {})
    assert [tree.siblings(turn) for turn in (1, 2, 4, 5)] == [(1, 8), (2, 6), (4,), (3, 5)]
    assert tree.beneath(2) == (2, 3, 5, 4)
    with pytest.raises(KeyError):
        tree.siblings(9)
    with pytest.raises(KeyError):
        tree.beneath(9)


def test_a_choice_of_what_is_no_child_is_none() -> None:
    tree = Tree(LINKS, {None: 2, 1: 7, 2: 3, 3: 99})
    assert tree.path() == (8,)
    assert tree.choices() == {2: 3}


def test_a_turn_whose_parent_is_gone_follows_the_one_before_it() -> None:
    tree = Tree([(1, None), (2, 1), (4, 3), (5, 4)], {})
    assert tree.path() == (1, 2, 4, 5)
    assert Tree([(4, 3), (5, 0)], {}).path() == (4, 5)


@given(
    some.dictionaries(some.integers(-5, 40), some.none() | some.integers(-5, 40), max_size=40),
    some.dictionaries(some.none() | some.integers(-5, 40), some.integers(-5, 40), max_size=40),
)
def test_whatever_a_file_says_each_turn_can_be_reached_and_no_path_goes_round(
    links: dict[int, int | None], chosen: dict[int | None, int]
) -> None:
    tree = Tree(links.items(), chosen)
    path = tree.path()
    assert len(set(path)) == len(path)
    assert bool(path) == bool(links)
    for turn in links:
        way = tree.path_to(turn)
        assert (way[-1], tree.parent(way[0])) == (turn, None)
        assert turn in tree.siblings(turn)
        assert set(tree.path_through(turn)) <= set(tree)
    assert {turn for first in tree.children(None) for turn in tree.beneath(first)} == set(links)
