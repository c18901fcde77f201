"""Published variants with other settings: `tiny(name, config)` builds one with small random weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tokbench.catalog import discover
from tokbench.loading import adapter_module
from tokbench.pretrained import published, with_random_weights


@pytest.fixture(scope="session")
def tiny() -> Any:
    """Build a variant with other settings; other fields of its spec are keywords, `options` are added to its own."""
    catalog = discover()

    def build(name: str, config: dict[str, Any], **changes: Any) -> Any:
        entry = catalog.tokenizer(name)
        adapter = published(adapter_module(entry))
        assert entry.variant is not None
        assert adapter is not None
        spec = entry.variant.spec
        options = {**spec.options, **changes.pop("options", {}), "config": config}
        spec = replace(spec, **{"resolution": 32, "tokens": None, **changes}, options=options)
        return with_random_weights(adapter, spec, device=torch.device("cpu"), dtype=torch.float32)

    return build
