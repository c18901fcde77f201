"""Every golden case: tokens equal and images within 1e-4 of what the authors' own code computed.

`tests/golden` holds a selection; a checkout beside the shared folder runs all of its cases too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tokbench.catalog import Catalog, discover
from tokbench.golden import run_golden
from tokbench.loading import adapter_module
from tokbench.pretrained import published

TESTS = Path(__file__).parents[1]
PLACES = (TESTS / "golden", TESTS.parents[1] / "shared" / "golden")
NOT_A_TOKENIZER = {"pfid"}
CASES = {
    f"{meta.parent.parent.name}/{meta.parent.name}": meta.parent
    for place in reversed(PLACES)
    for meta in sorted(place.glob("*/*/meta.json"))
    if meta.parent.parent.name not in NOT_A_TOKENIZER
}
FAMILIES = {
    "bsq_vit",
    "infinity",
    "ibq",
    "llamagen",
    "maskbit",
    "one_d_piece",
    "open_magvit2",
    "show_o",
    "ta_titok",
    "taming",
    "titok",
    "tokenbridge",
    "unitok",
    "var",
    "wetok",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return discover()


def test_every_family_has_a_case_in_this_repository() -> None:
    assert {path.name for path in (TESTS / "golden").iterdir() if list(path.glob("*/meta.json"))} >= FAMILIES


@pytest.mark.parametrize("case", sorted(CASES))
def test_the_official_code_is_reproduced(catalog: Catalog, case: str) -> None:
    family = case.partition("/")[0]
    adapter = published(adapter_module(catalog.family(family)))
    assert adapter is not None
    report = run_golden(adapter, CASES[case])
    assert report.passed, report
    # Tokens alone are a weak test: what enters the quantiser and what leaves it must fit too.
    recorded = {name for name in report.max_abs_error if not name.startswith("decoded")}
    assert recorded, report
    assert max(report.max_abs_error[name] for name in recorded) <= 2e-4, report
