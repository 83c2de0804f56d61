"""The fields of the native API's requests."""

from dataclasses import fields
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from app.server.core.fields import Fields, Refused, Whole, text
from app.server.core.text_fields import MAX_MODEL
from backends.kv_layout import MAX_BATCH, MIN_BATCH
from backends.protocol import DraftMode, EngineOptions, FlashAttention, KVLayout, KVType

MAX_CONTEXT, MAX_PARALLEL, MAX_THREADS, MAX_LAYERS, MAX_DRAFT = 1 << 22, 256, 1024, 10_000, 64
MAX_SIZE = 1 << 50  # bytes
MAX_IDLE, MAX_INTERVAL = 365 * 24 * 3600.0, 60.0  # seconds

Name = Annotated[str, AfterValidator(text), Field(min_length=1, max_length=MAX_MODEL)]
Bytes = Annotated[Whole, Field(ge=0, le=MAX_SIZE)]


class Options(Fields):
    """EngineOptions by their names. What is left out is as in the settings."""

    refused = {  # noqa: RUF012
        "adapters": Refused("a program cannot name files; give --lora to `slipstream serve`", ([], ())),
        "extra_buffer_types": Refused("the self-test finds it out"),
        "flash_cost": Refused("the self-test measures it"),
        "from_disk": Refused(
            "only a person at the machine may have it so slow; give --from-disk to `slipstream serve`"
        ),
        "placement": Refused("the planner finds it; “gpu_layers” gives a number of layers"),
        "prompt_cache_folder": Refused("a program cannot name folders"),
    }

    context: Whole | None = Field(None, ge=1, le=MAX_CONTEXT)
    parallel: Whole | None = Field(None, ge=1, le=MAX_PARALLEL)
    gpu_layers: Whole | None = Field(None, ge=0, le=MAX_LAYERS)
    threads: Whole | None = Field(None, ge=1, le=MAX_THREADS)
    kv_type_k: KVType | None = Field(None, strict=False)
    kv_type_v: KVType | None = Field(None, strict=False)
    kv_layout: KVLayout | None = Field(None, strict=False)
    kv_grow: bool | None = None
    kv_idle_seconds: float | None = Field(None, gt=0, le=MAX_IDLE)
    flash_attention: FlashAttention | None = Field(None, strict=False)
    batch: Whole | None = Field(None, ge=MIN_BATCH, le=MAX_BATCH)
    micro_batch: Whole | None = Field(None, ge=MIN_BATCH, le=MAX_BATCH)
    draft: DraftMode | None = Field(None, strict=False)
    draft_model: Name | None = Field(None, description="a model's id")
    draft_length: Whole | None = Field(None, ge=0, le=MAX_DRAFT)
    max_interval: float | None = Field(None, ge=0, le=MAX_INTERVAL)
    prompt_cache_ram: Bytes | None = None
    prompt_cache_disk: Bytes | None = None

    def given(self) -> dict[str, Any]:
        """Those that are, by the names of EngineOptions."""
        return {name: value for name in self.model_fields_set if (value := getattr(self, name, None)) is not None}


assert set(Options.model_fields) | set(Options.refused) == {each.name for each in fields(EngineOptions)}


class LoadRequest(Fields):
    model: Name
    options: Options | None = None


class ModelRequest(Fields):
    model: Name


class PinRequest(ModelRequest):
    is_pinned: bool = True


class InstallRequest(Fields):
    name: Name = Field(description="as of `slipstream install`: publisher/repo:Q4_K_M, guide, smollm2 …")
    revision: Name | None = Field(None, description="a branch, tag or commit")


class IdRequest(Fields):
    id: Whole = Field(ge=0, le=2**53)
