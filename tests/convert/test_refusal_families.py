"""Every sentence with which the converter refuses stands in refusals.md, with a public model that it hits or a reason.

A new refusal without a row fails here, and so does a row whose sentence is gone: write down whom it hits before it goes in.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import backends.convert

CODE = Path(backends.convert.__file__).parent
TABLE = Path(__file__).with_name("refusals.md")
Place = tuple[str, str]  # module, sentence with {} for what is put in


def sentences() -> set[Place]:
    """What is raised as a Refusal, and what functions that look for faults say, which `read_config` raises."""
    return {(path.relative_to(CODE).as_posix(), text) for path in CODE.rglob("*.py") for text in _said(path)}


def _said(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
            yield _text(node.args[0], constants)
        if isinstance(node, ast.FunctionDef) and ("fault" in node.name or node.name.startswith("_why")):
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
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="format"), args=[inside, *_]) if name in constants:
            return str(constants[name]).replace("{}", _text(inside, constants), 1)
    return "{}"  # whose sentences are listed where they are written


def rows() -> dict[Place, str]:
    found: dict[Place, str] = {}
    module = ""
    for line in TABLE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            module = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| Sentence"):
            sentence, hits = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert (module, sentence) not in found, f"twice: {line}"
            found[module, sentence] = hits
    return found


def listed() -> set[Place]:
    return {place for place in sentences() if place[1] != "{}"}


def test_every_refusal_is_listed_with_whom_it_hits() -> None:
    missing = sorted(listed() - rows().keys())
    assert not missing, "Add to tests/convert/refusals.md:\n" + "\n".join(f"{module}: {text}" for module, text in missing)


def test_no_row_is_left_of_a_refusal_that_is_gone() -> None:
    stale = sorted(rows().keys() - listed())
    assert not stale, "Remove from tests/convert/refusals.md:\n" + "\n".join(f"{module}: {t}" for module, t in stale)


@pytest.mark.parametrize("hits", sorted(set(rows().values())))
def test_a_row_names_a_model_or_says_why_none(hits: str) -> None:
    assert len(hits) > 5
    assert "TODO" not in hits


def test_it_finds_sentences_at_all() -> None:
    texts = {text for _, text in sentences()}
    assert "The activation {}" in texts
    assert "A list of no_rope_layers that is not every fourth layer" in texts
    assert len(texts) > 150
