"""Finding things without importing them: shipped files, a third-party distribution, a file of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tokbench.catalog import Catalog, discover
from tokbench.errors import BrokenPluginError, UnknownNameError
from tokbench.header import read_header

PLUGIN = Path(__file__).parent / "plugin_dist"


def _with_plugin(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PLUGIN), "TOKBENCH_PLUGINS": "tokbench-example"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_third_party_distribution_is_found_without_importing_it() -> None:
    out = _with_plugin(
        "import json, sys\n"
        "from tokbench.catalog import discover\n"
        "c = discover()\n"
        "print(json.dumps([{n: [e.origin, e.broken] for n, e in c.tokenizers.items()}, sorted(c.tasks),\n"
        "                  'tokbench_example' in sys.modules]))"
    )
    tokenizers, tasks, imported = json.loads(out)
    assert tokenizers["example-negative"] == ["tokbench-example 1.0", ""]
    assert tokenizers["example-explosive"][1] == ""
    assert "no `# /// script` header" in tokenizers["headless"][1]
    assert "tokbench_example.not_there" in tokenizers["lost"][1]
    assert {"psnr-only", "broken-task", "reconstruction"} <= set(tasks)
    assert not imported


def test_a_third_party_tokenizer_and_task_run(images: Path, tmp_path: Path) -> None:
    out = _with_plugin(
        "import json\n"
        "from tokbench import evaluate\n"
        f"r = evaluate('example-negative', {str(images)!r}, 'psnr-only', limit=3, out={str(tmp_path / 'out')!r})\n"
        "print(json.dumps([[row.metric, row.value, row.n, row.protocol] for row in r.rows]))"
    )
    assert json.loads(out) == [["psnr", float("inf"), 3, "native"]]


def test_a_third_party_image_set_and_evaluator_run(tmp_path: Path) -> None:
    out = _with_plugin(
        "import json\n"
        "from tokbench import evaluate\n"
        f"r = evaluate('example-negative', 'example-photos', 'colour', out={str(tmp_path / 'out')!r})\n"
        "print(json.dumps([[row.dataset, row.metric, row.value, row.n] for row in r.rows]))"
    )
    assert json.loads(out) == [["example-photos", "fd_mean", 0.0, 2]]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (
            "build_tokenizer(c.tokenizer('example-explosive'), device=d, dtype=torch.float32, overrides={})",
            "nobody asked",
        ),
        ("c.tokenizer('headless')", "no `# /// script` header"),
        ("c.task('broken-task')", "nobody asked"),
    ],
)
def test_a_broken_plugin_fails_only_when_asked_for(call: str, reason: str) -> None:
    out = _with_plugin(
        "import torch\n"
        "from tokbench.catalog import discover\n"
        "from tokbench.errors import TokbenchError\n"
        "from tokbench.loading import build_tokenizer\n"
        "c, d = discover(), torch.device('cpu')\n"
        f"try:\n    {call}\nexcept TokbenchError as error:\n    print(error.message)"
    )
    assert reason in out


def test_unknown_names_get_a_suggestion() -> None:
    catalog = discover()
    with pytest.raises(UnknownNameError, match="did you mean `jpeg-q50`"):
        catalog.tokenizer("jpg-q50")
    with pytest.raises(UnknownNameError, match="`photos-mini`"):
        catalog.image_set("photo-mini")
    with pytest.raises(UnknownNameError, match="`reconstruction`"):
        catalog.task("reconstuction")


def test_everything_shipped_is_sound() -> None:
    catalog = discover()
    assert not {name: entry.broken for name, entry in catalog.tokenizers.items() if entry.broken}
    for name in catalog.image_sets:
        card, _ = catalog.image_set(name)
        assert card.name == name
    for name in catalog.tasks:
        assert catalog.task(name).name == name
    for name in catalog.evaluators:
        assert catalog.evaluator(name).name == name


def test_two_places_that_claim_one_name_are_both_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tokbench.catalog

    header = '# /// script\n# [[tool.tokbench.tokenizers]]\n# name = "twin"\n# kind = "codec"\n# ///\n'
    (tmp_path / "adapters").mkdir()
    (tmp_path / "datasets").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "adapters" / name).write_text(header)
    monkeypatch.setattr(tokbench.catalog, "shipped", lambda folder: tmp_path / folder)
    with pytest.raises(BrokenPluginError, match=r"adapters/a\.py and adapters/b\.py"):
        discover().tokenizer("twin")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    entry = '# [[tool.tokbench.tokenizers]]\n# name = "{}"\n# kind = "codec"\n'
    path.write_text(
        f"# /// script\n{entry.format('one')}{entry.format('two')}# ///\nraise SystemExit('executed')\n"
    )
    catalog = Catalog()
    assert catalog.tokenizer(f"{path}:two").name == "two"
    with pytest.raises(UnknownNameError, match="tokenizer in") as caught:
        catalog.tokenizer(str(path))
    assert "mine.py:one" in str(caught.value.hint)
    with pytest.raises(UnknownNameError, match="did you mean `one`"):
        catalog.tokenizer(f"{path}:ones")
    with pytest.raises(UnknownNameError, match="adapter file"):
        catalog.tokenizer(str(tmp_path / "absent.py"))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('name = "x"\n# kind = "discrete"', "needs `vocab`"),
        ('name = "x"\n# kind = "magic"', "`kind` is 'magic'"),
        ('name = "x"\n# kind = "discrete"\n# vocab = 4\n# quantizer = "rvq"', "`quantizer` is 'rvq'"),
        ('kind = "codec"', "key `name` is missing"),
        ('name = "x"\n# kind = "codec"\n# colour = 1', "unknown key `colour`"),
        ('name = "x"\n# kind = "codec"\n# stride = "8"', "`stride` is '8'"),
        ('name = "x"\n# kind = "codec"\n# stride = 0', "at least 1"),
        ('name = "../x"\n# kind = "codec"', "letters, digits"),
        ('name = "x"\n# kind = "codec"\n# weights = [{ source = "shipped:w" }]', "needs `name` and `source`"),
        ('name = "x"\n# kind = ', "header is not TOML"),
    ],
)
def test_a_bad_header_is_explained(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(f"# /// script\n# [[tool.tokbench.tokenizers]]\n# {line}\n# ///\n")
    with pytest.raises(BrokenPluginError) as caught:
        read_header(path)
    assert complaint in caught.value.message
    assert "bad.py" in caught.value.message
