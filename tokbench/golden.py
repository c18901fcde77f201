"""Golden cases: what the authors' own code computed with small random weights, and what an adapter makes of the same.

A case is a folder ``<family>/<case>/`` with ``config.json`` (the authors' settings), ``weights.safetensors`` (their
names), ``io.safetensors`` (inputs and outputs) and ``meta.json`` (how it was made). The adapter whose header lists the
family builds the architecture from the settings, and its ``golden(spec, network, inputs)`` returns tensors under the
names of the recorded outputs: ``tokens``, ``quantized``, ``decoded``, ``pre_quant`` and what else the case has.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tokbench.errors import DataError, SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from tokbench.pretrained import Published
    from tokbench.tokenizer import TokenSpec

INPUTS = ("images", "text_guidance")
"""Names of recorded tensors that are given to the adapter; all others are outputs."""

TIE = "token_gap"
"""Name of the recorded distance between the best and the second-best level of each token."""

SMALLEST_GAP = 1e-5
"""Tokens nearer to a tie than float32 can tell are not compared."""

DECODED_TOLERANCE = 1e-4
"""Largest absolute error of decoded images: float32 against float64 differs by up to 1e-5 in the recorded cases."""


@dataclass(frozen=True)
class GoldenReport:
    """One case.

    Attributes:
        family: folder above the case.
        case: folder of the case.
        tokens_equal: whether every token is equal; None when the case records none.
        token_agreement: share of tokens that are equal; None when the case records none.
        quantized_max_abs_error: largest error of quantised latents; None when not recorded.
        decoded_max_abs_error: largest error of decoded images; None when not recorded.
        max_abs_error: the same for every floating output that was recorded and computed.
        not_computed: recorded outputs that the adapter does not compute.
    """

    family: str
    case: str
    tokens_equal: bool | None
    token_agreement: float | None
    quantized_max_abs_error: float | None
    decoded_max_abs_error: float | None
    max_abs_error: dict[str, float]
    not_computed: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether tokens are equal and every decoded image is within `DECODED_TOLERANCE`."""
        errors = [error for name, error in self.max_abs_error.items() if name.startswith("decoded")]
        within = [error <= DECODED_TOLERANCE for error in errors]  # NaN is not within
        return self.tokens_equal is not False and bool(within) and all(within)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, `passed` included."""
        return {**asdict(self), "not_computed": list(self.not_computed), "passed": self.passed}


def golden_spec(folder: Path) -> TokenSpec:
    """Return the spec of a case: its ``options`` hold ``family``, ``config`` and the recorded ``monkeypatch``.

    Raises:
        DataError: a file of the case is absent or no JSON.
    """
    from tokbench.tokenizer import TokenSpec

    family = folder.resolve().parent.name
    options = {
        "family": family.replace("-", "_"),
        "config": _read(folder / "config.json"),
        "monkeypatch": _read(folder / "meta.json").get("monkeypatch"),
    }
    return TokenSpec(f"{family}/{folder.resolve().name}", "discrete", options=options)


def run_golden(adapter: Published, folder: Path) -> GoldenReport:
    """Run one case through an adapter.

    Args:
        adapter: the adapter module of the case's family.
        folder: the case.

    Raises:
        DataError: the case is not complete.
        SetupError: its weights do not fit the architecture, or the adapter has no ``golden``.
    """
    import torch

    from tokbench.pretrained import converted, fill
    from tokbench.weights import load_state_dict

    compute = getattr(adapter, "golden", None)
    if compute is None:
        raise SetupError(
            f"the adapter of family `{folder.resolve().parent.name}` has no golden()",
            hint="tokbench.golden says what it returns",
        )
    spec = golden_spec(folder)
    for name in ("weights.safetensors", "io.safetensors"):
        if not (folder / name).is_file():
            raise DataError(
                f"golden case {folder} has no {name}", hint="tokbench.golden describes the layout"
            )
    recorded = load_state_dict(folder / "io.safetensors")
    network = adapter.architecture(spec)
    fill(network, converted(adapter, load_state_dict(folder / "weights.safetensors"), spec), spec)
    with torch.inference_mode():
        got = compute(spec, network.eval(), {name: recorded[name] for name in INPUTS if name in recorded})
    return _report(folder, recorded, got)


def _report(folder: Path, recorded: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> GoldenReport:
    import torch

    equal = total = 0
    errors: dict[str, float] = {}
    for name, wanted in recorded.items():
        if name not in got:
            continue
        value = _alike(name, got[name], wanted, folder)
        if wanted.is_floating_point():
            errors[name] = float((value.double() - wanted.double()).abs().max())
        else:
            clear = (
                recorded[TIE] >= SMALLEST_GAP
                if TIE in recorded
                else torch.ones_like(wanted, dtype=torch.bool)
            )
            equal += int((value.long() == wanted.long())[clear].sum())
            total += int(clear.sum())
    return GoldenReport(
        family=folder.resolve().parent.name,
        case=folder.resolve().name,
        tokens_equal=equal == total if total else None,
        token_agreement=equal / total if total else None,
        quantized_max_abs_error=errors.get("quantized"),
        decoded_max_abs_error=errors.get("decoded"),
        max_abs_error=errors,
        not_computed=tuple(sorted(recorded.keys() - got.keys() - {*INPUTS, TIE})),
    )


def _alike(name: str, value: Tensor, wanted: Tensor, folder: Path) -> Tensor:
    """Tokens may be recorded flat or as a grid; nothing else may differ in shape."""
    if value.shape != wanted.shape and (wanted.is_floating_point() or value.numel() != wanted.numel()):
        raise SetupError(
            f"golden case {folder}: `{name}` has shape {list(value.shape)}, recorded {list(wanted.shape)}",
            hint="the architecture or its golden() does not follow the recorded settings",
        )
    return value.reshape(wanted.shape)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"golden case: {path} cannot be read: {error}", hint="tokbench.golden describes the layout"
        ) from error
