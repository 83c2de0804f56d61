"""What the model thought of a token, and of those that could have come instead.

Of the model's own distribution, before temperature, penalties, filters and grammar, as llama-server gives it by
default (llama.cpp pull request 10783): the filtered one can be computed from it, but not the other way round. That one
is given where it is asked for (llama-server's post_sampling_probs).
"""

from collections.abc import Callable

import numpy as np

from backends.llama.candidates import Row, best
from backends.llama.sampling import Left
from backends.protocol import Chance, TokenLogprob

MAX_ALTERNATIVES = 20
LEAST = -700.0  # of e: less is no probability for a float


def logprob(row: Row, token: int, num_alternatives: int, piece: Callable[[int], bytes]) -> TokenLogprob:
    """`row` holds the model's logits as they came. One pass in numpy: some 0.4 ms for 128k tokens."""
    greatest = row.max()
    total = greatest + np.log(np.exp(row - greatest).sum())
    alternatives: tuple[Chance, ...] = ()
    if num_alternatives:
        ids, values = best(row, num_alternatives)
        pairs = zip(ids.tolist(), (values - total).tolist(), strict=True)
        alternatives = tuple(Chance(piece(other), value, other) for other, value in pairs)
    return TokenLogprob(piece(token), float(row[token] - total), alternatives, token)


def logprob_among(left: Left | None, token: int, num_alternatives: int, piece: Callable[[int], bytes]) -> TokenLogprob:
    """Of a token that was drawn from these. None: there was no choice."""
    if left is None:
        only = Chance(piece(token), 0.0, token)
        return TokenLogprob(only.piece, 0.0, (only,) if num_alternatives else (), token)
    order = np.argsort(-left.values, kind="stable")
    ids, values = left.ids[order], left.values[order].astype(np.float64)
    logprobs = values - values[0] - np.log(np.exp(values - values[0]).sum())
    pairs = zip(ids.tolist(), logprobs.tolist(), strict=True)
    # what has no chance was not left
    chances = [Chance(piece(other), value, other) for other, value in pairs if value > LEAST or other == token]
    own = next(each for each in chances if each.token == token)
    return TokenLogprob(own.piece, own.logprob, tuple(chances[:num_alternatives]), token)
