"""Every sentence with which the converter refuses stands in refusals.md, with a model that it hits or a reason.

A new refusal without a row fails here, and so does a row whose sentence is gone.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import backends.convert

CODE = Path(backends.convert.__file__).parents[1]
FILES = (*(CODE / "convert").rglob("*.py"), CODE / "llama" / "verify.py")  # the last one tries the new file out
TABLE = Path(__file__).with_name("refusals.md")


def sentences() -> set[str]:
    """What is raised as a Refusal, and what functions that look for faults say, which `read_config` raises.

    {} stands for what is put in.
    """
    return {text for path in FILES for text in _said(path)} - {"{}"}


def _finds_faults(name: str) -> bool:
    return name.startswith("_why") or ("fault" in name and name != "find_fault")  # that one tells a token of another


def _said(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
            yield _text(node.args[0], constants)
        if isinstance(node, ast.FunctionDef) and _finds_faults(node.name):
            for inner in ast.walk(node):
                if isinstance(inner, (ast.Return, ast.Yield)) and inner.value is not None:
                    yield from _strings(inner.value, constants)


def _strings(value: ast.expr, constants: dict[str, object]) -> Iterator[str]:
    """Sentences alone: neither None nor what another function says."""
    for branch in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
        if isinstance(branch, ast.JoinedStr) or (isinstance(branch, ast.Constant) and isinstance(branch.value, str)):
            yield _text(branch, constants)


def _text(value: ast.expr, constants: dict[str, object]) -> str:
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, constants) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.Name(id=name) if isinstance(constants.get(name), str):
            return str(constants[name])
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="format"), args=[inside, *_]) if (
            name in constants
        ):
            return str(constants[name]).replace("{}", _text(inside, constants), 1)
    return "{}"  # whose sentences are listed where they are written


def rows() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in TABLE.read_text("utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| Sentence"):
            sentence, hits = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert sentence not in found, f"twice: {line}"
            found[sentence] = hits
    return found


def test_every_refusal_is_listed_with_whom_it_hits() -> None:
    missing = sorted(sentences() - rows().keys())
    assert not missing, "Add to tests/convert/refusals.md:\n" + "\n".join(missing)


def test_no_row_is_left_of_a_refusal_that_is_gone() -> None:
    stale = sorted(rows().keys() - sentences())
    assert not stale, "Remove from tests/convert/refusals.md:\n" + "\n".join(stale)


@pytest.mark.parametrize("hits", sorted(set(rows().values())))
def test_a_row_names_a_model_or_says_why_none(hits: str) -> None:
    assert len(hits) > 5
    assert "TODO" not in hits


def test_it_finds_sentences_at_all() -> None:
    found = sentences()
    assert "The activation {}" in found
    assert "A list of no_rope_layers that is not every fourth layer" in found
    assert len(found) > 150
