"""What only the model's vocabulary can tell of a request: the tokens of its mixed prompts and of biased texts."""

from collections.abc import Sequence

from fastapi import Request

from app.server.core.reading import read
from app.server.core.switchboard import Switchboard
from app.server.llama_server.biases import Bias
from app.server.llama_server.prompt import Mixed, OnePrompt
from backends.protocol import Generate, Reads


class Resolver:
    """Of one request. Raises what an Exchange raises."""

    def __init__(self, request: Request, switchboard: Switchboard, model: str | None):
        self._request = request
        self._switchboard = switchboard
        self._model = model

    async def prompt(self, prompt: OnePrompt) -> str | tuple[int, ...]:
        """Texts within are read without what begins every prompt, but at its very beginning."""
        if not isinstance(prompt, Mixed):
            return prompt
        tokens: list[int] = []
        for piece in prompt.pieces:
            is_first = not tokens
            tokens += [piece] if isinstance(piece, int) else await self._tokens(piece, is_first)
        return tuple(tokens)

    async def biases(self, biases: Sequence[Bias]) -> tuple[tuple[int, float], ...]:
        """A text's bias is that of each of its tokens."""
        known: list[tuple[int, float]] = []
        for token, bias in biases:
            tokens = [token] if isinstance(token, int) else await self._tokens(token, is_first=False)
            known += [(each, bias) for each in tokens]
        return tuple(known)

    async def _tokens(self, text: str, is_first: bool) -> list[int]:
        if not text:
            return []
        wanted = Generate(text, reads=Reads.PROMPT if is_first else Reads.BARE)
        return list((await read(self._request, self._switchboard, self._model, wanted)).tokens)
