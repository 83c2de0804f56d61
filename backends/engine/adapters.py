"""Which LoRA adapters an answer is made with: the scale of each one that was loaded, in the order of loading."""

from math import isfinite

from backends.engine.runner import PromptError
from backends.protocol import Adapter, FailureKind


def scales(wanted: tuple[tuple[int, float], ...] | None, loaded: tuple[Adapter, ...]) -> tuple[float, ...]:
    """Those of the load, or the wanted ones, where an adapter that is not named has none. Raises PromptError."""
    if wanted is None:
        return tuple(adapter.scale for adapter in loaded)
    chosen = [0.0] * len(loaded)
    for number, scale in wanted:
        if not 0 <= number < len(loaded):
            raise PromptError(FailureKind.BAD_REQUEST, _unknown(number, len(loaded)), "adapters")
        if not isfinite(scale):
            raise PromptError(
                FailureKind.BAD_REQUEST, "The scale of a LoRA adapter must be a finite number.", "adapters"
            )
        chosen[number] = scale
    return tuple(chosen)


def _unknown(number: int, num_loaded: int) -> str:
    if not num_loaded:
        return "This model was loaded without LoRA adapters. Load it with --lora FILE to use one."
    return f"There is no LoRA adapter {number}: this model was loaded with {num_loaded}, which are counted from 0."
