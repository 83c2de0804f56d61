"""What a name on the command line stands for: "publisher/repo", "publisher/repo:Q4_K_M", "publisher/repo/file.gguf"."""

from dataclasses import dataclass

from app.errors import InstallError, UsageError
from app.hub.repository import Repository, Variant, VariantKind
from app.jobs.install_request import QUANTIZATIONS, InstallRequest
from app.library.own_models import GUIDE, SMOLLM2

PREFERRED = "Q4_K_M"
OWN = f" Only “{GUIDE.word}” and “{SMOLLM2.word}” need no publisher."
MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class Name:
    """label: a quantization or what the Hub's page calls a variant. path: of a file in the repository."""

    repository_id: str
    label: str | None = None
    path: str | None = None


def parse_name(text: str) -> Name:
    """Raises UsageError."""
    names, _, label = text.partition(":")
    parts = names.split("/")
    if len(parts) < 2 or not all(parts) or (":" in text and not label) or (label and len(parts) > 2):
        raise UsageError(
            f"“{text}” names nothing on the Hub. "
            f"Write publisher/repo, publisher/repo:Q4_K_M or publisher/repo/file.gguf.{'' if '/' in text else OWN}"
        )
    return Name("/".join(parts[:2]), label or None, "/".join(parts[2:]) or None)


def choose(repository: Repository, name: Name, *, converts: bool) -> InstallRequest:
    """The request that the name stands for. converts: whether a checkpoint is to become a model.

    Raises InstallError, which names what there is.
    """
    models = [variant for variant in repository.variants if variant.kind is VariantKind.GGUF]
    checkpoint = next((variant for variant in repository.variants if variant.kind is VariantKind.CHECKPOINT), None)
    found = _named(models, name) if name.label or name.path else _preferred(models)
    if found is not None:
        return InstallRequest.of(repository, found)
    if checkpoint is not None and name.path is None:
        if not converts and name.label is None:
            return InstallRequest.of(repository, checkpoint, None)
        quantization = (name.label or PREFERRED).upper()
        if converts and quantization in QUANTIZATIONS:
            return InstallRequest.of(repository, checkpoint, quantization)
    raise InstallError(_nothing(repository, name, models, checkpoint, converts))


def _named(models: list[Variant], name: Name) -> Variant | None:
    for variant in models:
        texts = [variant.label, variant.quantization or ""]
        is_label = name.label is not None and name.label.casefold() in [text.casefold() for text in texts]
        if is_label or name.path in [file.path for file in variant.files]:
            return variant
    return None


def _preferred(models: list[Variant]) -> Variant | None:
    """What most people want; any other must be named where there are several."""
    best = [variant for variant in models if variant.quantization == PREFERRED]
    return (best or models)[0] if best or len(models) == 1 else None


def _nothing(
    repository: Repository, name: Name, models: list[Variant], checkpoint: Variant | None, converts: bool
) -> str:
    known = [variant.label for variant in models]
    if checkpoint is not None and converts:
        known += [label for label in QUANTIZATIONS if label not in known]
    if not known:
        if checkpoint is not None:
            advice = "“slipstream install” makes one of it, “slipstream pull” without a variant keeps it as it is"
            return f"{repository.id} has only a checkpoint, which has no variants: {advice}."
        return f"{repository.id} has no model that Slipstream can use. Choose another repository."
    what = f"has no “{name.label or name.path}”" if name.label or name.path else "has several variants"
    shown = ", ".join(known[:MAX_NAMED]) + (", …" if len(known) > MAX_NAMED else "")
    return f"{repository.id} {what}. Name one of these after a colon: {shown}."
