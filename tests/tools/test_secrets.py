"""The secrets of tool servers: in the keyring, apart from each other, and nowhere else."""

import pytest

from app.errors import ToolError
from app.tools.secrets import ToolSecrets
from tests.keyring import Memory


@pytest.mark.usefixtures("ring")
def test_secrets_are_kept_by_the_keyring_for_one_server() -> None:
    ToolSecrets().keep("files", {"API_KEY": "k", "OTHER": "o"})
    assert ToolSecrets().values("files") == {"API_KEY": "k", "OTHER": "o"}
    assert ToolSecrets().values("web") == {}


def test_none_forgets_them(ring: Memory) -> None:
    secrets = ToolSecrets()
    secrets.keep("files", {"API_KEY": "k"})
    secrets.keep("files", {})
    secrets.keep("files", {})
    assert secrets.values("files") == {}
    assert ring.kept == {}


def test_what_another_program_put_there_is_none(ring: Memory) -> None:
    ring.kept["slipstream", "tools/files"] = "[1"
    assert ToolSecrets().values("files") == {}


@pytest.mark.parametrize("value", ["", "a\nb", "x" * 5000])
def test_a_value_that_no_header_could_carry_is_refused(ring: Memory, value: str) -> None:
    with pytest.raises(ToolError, match="API_KEY"):
        ToolSecrets().keep("files", {"API_KEY": value})
    assert ring.kept == {}


def test_a_machine_without_a_keyring_says_so() -> None:
    with pytest.raises(ToolError, match="no keyring, so the secrets of “files” cannot be kept"):
        ToolSecrets().keep("files", {"API_KEY": "k"})
