"""The token: from HF_TOKEN or the keyring, in no file and no text; a keyring that fails is a sentence."""

import pytest
from keyring.errors import KeyringLocked, NoKeyringError

from app.hub.tokens import TokenError, TokenStore
from tests.keyring import Memory

TOKEN = "hf_abcdefghijkl"


def test_a_token_is_kept_by_the_keyring_and_found_by_the_next_start(ring: Memory) -> None:
    assert TokenStore().token() is None
    assert TokenStore().save(f" {TOKEN}\n") is None
    assert TokenStore().token() == TOKEN
    assert list(ring.kept.values()) == [TOKEN]


def test_the_keyring_is_asked_once(ring: Memory) -> None:
    store = TokenStore()
    for _ in range(3):
        store.token()
    assert ring.num_reads == 1


def test_the_environment_comes_first_and_is_not_kept(ring: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    ring.kept["slipstream", "huggingface"] = TOKEN
    monkeypatch.setenv("HF_TOKEN", "hf_from_environment")
    assert TokenStore().token() == "hf_from_environment"
    monkeypatch.setenv("HF_TOKEN", "broken\ntoken")
    assert TokenStore().token() == TOKEN


@pytest.mark.parametrize("token", ["", "short", "hf_with space", "hf_line\nbreak_x", "hf_ü_is_not_ascii", "x" * 600])
def test_what_cannot_be_a_token_is_refused(ring: Memory, token: str) -> None:
    with pytest.raises(TokenError, match="not an access token"):
        TokenStore().save(token)
    assert not ring.kept


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NoKeyringError("x"), "This system has no keyring"),
        (KeyringLocked("x"), "The system's keyring is locked"),
        (RuntimeError(TOKEN), "did not answer"),
    ],
)
def test_a_keyring_that_fails_is_a_sentence_and_the_token_holds_for_now(
    ring: Memory, fault: Exception, words: str
) -> None:
    ring.fault = fault
    store = TokenStore()
    assert store.token() is None
    assert words in (store.problem or "")
    note = store.save(TOKEN)
    assert words in (note or "")
    assert TOKEN not in (note or "")
    assert store.token() == TOKEN
    with pytest.raises(TokenError, match=words):
        store.forget()
    assert store.token() is None


def test_a_keyring_that_is_unlocked_later_is_read_then(ring: Memory) -> None:
    ring.kept["slipstream", "huggingface"] = TOKEN
    ring.fault = KeyringLocked()
    store = TokenStore()
    assert store.token() is None
    ring.fault = None
    assert store.token() == TOKEN
    assert store.problem is None


def test_forgetting_removes_it_also_when_there_is_none(ring: Memory) -> None:
    store = TokenStore()
    store.save(TOKEN)
    store.forget()
    store.forget()
    assert not ring.kept
    assert store.token() is None
    assert TOKEN not in repr(store)
