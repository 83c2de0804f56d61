"""What only the model's vocabulary can tell of a request: the tokens of texts within its prompts, and beside them."""

from collections.abc import Callable

from fastapi import Request

from app.server.core.prompts import Mixed, OnePrompt
from app.server.core.reading import read
from app.server.core.switchboard import Switchboard
from backends.protocol import Generate, Reads


class Resolver:
    """Of one request. Raises what an Exchange raises."""

    def __init__(
        self, request: Request, switchboard: Switchboard, model: str | None, name_of: Callable[[str], str | None]
    ):
        """name_of: what the program calls a part of its request."""
        self._request = request
        self._switchboard = switchboard
        self._model = model
        self._name_of = name_of

    async def prompt(self, prompt: OnePrompt) -> str | tuple[int, ...]:
        """Texts within are read without what begins every prompt, but at its very beginning."""
        if not isinstance(prompt, Mixed):
            return prompt
        tokens: list[int] = []
        for piece in prompt.pieces:
            is_first = not tokens
            tokens += [piece] if isinstance(piece, int) else await self.tokens_of(piece, is_first)
        return tuple(tokens)

    async def tokens_of(self, text: str, is_first: bool) -> list[int]:
        """is_first: with those that begin every prompt."""
        if not text:
            return []
        wanted = Generate(text, reads=Reads.PROMPT if is_first else Reads.BARE)
        return list((await read(self._request, self._switchboard, self._model, wanted, self._name_of)).tokens)
