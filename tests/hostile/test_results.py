"""Results folders of strangers: damaged ones are refused in words, hostile text is shown and never obeyed."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from tokbench.catalog import Catalog, discover
from tokbench.cli.output import print_line, print_note
from tokbench.cli.render import show_failures, show_results
from tokbench.documents import DEEPEST, LARGEST, parse_json, parse_toml
from tokbench.errors import IntegrityError, TokbenchError
from tokbench.leaderboard.pages import build
from tokbench.report.build import build_report
from tokbench.results.merge import merge_folders
from tokbench.results.results import Results
from tokbench.results.schema import to_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = {
    "html": "</script></title><img src=x onerror=alert(1)>\"'><svg/onload=alert(2)>",
    "terminal": "\x1b[31mred\x1b]8;;http://x\x07\x9b2J\r\x08\u202e",
    "markup": "[bold red]x[/bold red][link=http://x]y[/link][/]",
    "formula": "=cmd|'/c calc'!A1",
    "plus": "+1+1",
    "minus": "-2+3",
    "at": "@SUM(A1)",
    "tab": "\t=1",
    "latex": "}\\input{/etc/passwd}%&#$_^~",
    "markdown": "](javascript:alert(1)) | `x` <marquee>",
    "path": "../../../outside",
    "surrogate": "not\udcffutf8",
    "infinity": "@@infinity@@",
}


@pytest.fixture(scope="module")
def sound(fuzz_module: Callable[[str], Any]) -> Any:
    return fuzz_module("fuzz_sound")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return discover()


@pytest.fixture
def folder(sound: Any, tmp_path: Path) -> Callable[..., Path]:
    """Write a results folder; a change is made to its documents first."""

    def write(
        change: Callable[[dict[str, Any], dict[str, Any]], object] = lambda manifest, summary: None,
    ) -> Path:
        manifest, summary = copy.deepcopy(sound.MANIFEST), copy.deepcopy(sound.SUMMARY)
        change(manifest, summary)
        out = tmp_path / "results"
        out.mkdir(exist_ok=True)
        (out / "manifest.json").write_text(json.dumps(manifest))
        (out / "summary.json").write_text(json.dumps(summary))
        return out

    return write


def poison(text: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Put a text wherever a text may stand."""

    def change(manifest: dict[str, Any], summary: dict[str, Any]) -> None:
        (job,) = manifest["jobs"]
        (identity,) = manifest["identity"].values()
        job["tokenizer"] = job["spec"]["name"] = job["dataset"] = job["protocol"] = text
        job["spec"] |= {
            "description": text,
            "source": f"javascript:{text}",
            "license": text,
            "trained_on": [text],
        }
        job["dataset_version"] = job["dataset_license"] = text
        manifest["identity"] = {f"{text} on {text} by {text}": identity}
        manifest["command"], manifest["created"], manifest["tokbench"] = [text], text, text
        manifest["environment"] = {"python": text, "machine": text, "packages": {"torch": text}}
        summary["failures"], summary["unreadable"] = {text: text}, {text: {text: text}}
        for row in summary["rows"]:
            row |= {"tokenizer": text, "dataset": text, "protocol": text, "reason": text, "unit": text}
        summary["rows"] += [summary["rows"][0] | {"metric": text, "view": text, "task": text}]

    return change


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.acting: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.acting += [name for name, _ in attrs if name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]


def harmless(page: str) -> None:
    found = Elements(page)
    assert found.acting == []
    assert not {"img", "iframe", "object", "marquee"} & set(found.tags)
    assert not [link for link in found.links if link.lower().startswith(("javascript:", "data:"))]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_on_every_page(
    folder: Callable[..., Path], catalog: Catalog, name: str, tmp_path: Path
) -> None:
    text = HOSTILE[name]
    results = Results.load(folder(poison(text)))
    harmless(results._repr_html_())
    page, data = build_report([results], catalog, title=text, images=0)
    harmless(page)
    assert page.encode()
    assert text not in page or name in {"path", "infinity", "at", "plus", "minus"} or "<" not in text
    assert data["tokenizers"][0]["name"] == text
    pages = build({re.sub(r"[(<]", "", text): results}, [], catalog)
    for path, content in pages.items():
        assert ".." not in path.split("/")
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", path)
        if path.endswith(".html"):
            harmless(content.decode())
    for path in ("csv/measured.csv", "csv/reported.csv"):
        for line in csv.reader(io.StringIO(pages[path].decode())):
            for cell in line:
                assert cell[:1] not in {"=", "+", "@", "\t", "\r"}
                assert not cell.startswith("-") or re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell)
                assert cell.isprintable()
    body = pages["tex/measured.tex"].decode()
    assert "\\input" not in body
    assert not re.search(r"(?<!\\)\]\(javascript|(?<!\\)<marquee", pages["README.md"].decode())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_in_the_terminal(
    folder: Callable[..., Path],
    name: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = HOSTILE[name]
    results = Results.load(folder(poison(text)))
    show_results(results, {})
    show_failures(results)
    print_line(text)
    print_note(text)
    shown = capsys.readouterr()
    styles = re.compile(r"\x1b\[[0-9;]*m")  # rich's own: weight and colour
    for stream in (shown.out, shown.err):
        plain = styles.sub("", stream)
        assert not [letter for letter in plain if not letter.isprintable() and letter not in "\n\t"]
        assert "\x1b]8" not in stream
    if name == "markup":
        assert "[bold red]" in styles.sub("", shown.err)
        assert "\x1b[1;31m" not in shown.out


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_in_json(folder: Callable[..., Path], name: str) -> None:
    results = Results.load(folder(poison(HOSTILE[name])))
    written = to_json(results.summary(), indent=1)
    assert not [letter for letter in written if not letter.isprintable() and letter != "\n"]
    assert json.loads(written.encode())["rows"][0]["tokenizer"] == HOSTILE[name]


def set_in(path: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Set ``manifest.jobs.0.id`` and the like."""

    def change(manifest: dict[str, Any], summary: dict[str, Any]) -> None:
        start, *way, last = path.split(".")
        at: Any = {"manifest": manifest, "summary": summary}[start]
        for key in way:
            at = at[int(key)] if isinstance(at, list) else at[key]
        at[int(last) if isinstance(at, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("manifest.jobs.0.id", "../../outside", "`jobs[0].id` must be a name"),
        ("manifest.jobs.0.id", "..", "`jobs[0].id` must be a name"),
        ("manifest.jobs.0.id", "a/b", "`jobs[0].id` must be a name"),
        ("manifest.jobs.0.images", 10**18, "`jobs[0].images` must be from 1"),
        ("manifest.jobs.0.images", True, "`jobs[0].images` must be of type int"),
        ("manifest.jobs.0.shards", 18, "`jobs[0].shards` must be from 1"),
        ("manifest.jobs.0.tasks", [["psnr"]], "`jobs[0].tasks` must hold text"),
        ("manifest.jobs.0.spec", None, "`jobs[0].spec` must be of type dict"),
        ("manifest.jobs.0", "job", "`jobs[0]` must be an object"),
        ("manifest.jobs", {}, "`jobs` must be of type list"),
        ("manifest.key", 5, "`key` must be of type str"),
        ("manifest.identity", {"a": []}, "`identity.a` must be an object"),
        ("manifest.settings", {"seed": "0"}, "`settings.seed` must be an integer"),
        ("summary.rows", {}, "`rows` must be of type list"),
        ("summary.rows.0", 5, "not a row of schema"),
        ("summary.rows.0.value", "30", "`value` is of type str"),
        ("summary.rows.0.n", 1.5, "`n` is of type float"),
        ("summary.rows.0.extra", 1, "its fields must be"),
        ("summary.rows.0.tokenizer", None, "`tokenizer` is of type NoneType"),
        ("summary.failures", {"a": 1}, "`failures.a` must be text"),
        ("summary.unreadable", {"a": "b"}, "`unreadable.a` must be an object"),
        ("summary.complete", 1, "`complete` must be of type bool"),
        ("summary.schema", 99, "another version"),
    ],
)
def test_documents_of_the_wrong_form_are_refused(
    folder: Callable[..., Path], path: str, value: Any, said: str
) -> None:
    with pytest.raises(IntegrityError, match=re.escape(said)) as caught:
        Results.load(folder(set_in(path, value)))
    assert caught.value.exit_code == 8


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xff",
        b"",
        b"null",
        b'{"a": ' * 200 + b"1" + b"}" * 200,
    ],
)
def test_documents_that_are_no_documents_are_refused(folder: Callable[..., Path], text: bytes) -> None:
    out = folder()
    (out / "manifest.json").write_bytes(text)
    with pytest.raises(IntegrityError) as caught:
        Results.load(out)
    assert caught.value.exit_code == 8


def test_a_job_cannot_lead_a_merge_out_of_its_folder(
    folder: Callable[..., Path], catalog: Catalog, tmp_path: Path
) -> None:
    out = folder(set_in("manifest.jobs.0.id", "../../../outside"))
    with pytest.raises(IntegrityError, match="must be a name"):
        merge_folders([out], tmp_path / "whole", catalog)
    assert not (tmp_path / "whole").exists()


def test_two_boards_that_would_share_a_file_are_refused(
    folder: Callable[..., Path], catalog: Catalog
) -> None:
    first = Results.load(folder(poison("a b")))
    second = Results.load(folder(poison("a/b")))
    with pytest.raises(IntegrityError, match="two boards"):
        build({"one": first, "two": second}, [], catalog)


def test_a_value_with_an_odd_interval_is_shown(folder: Callable[..., Path]) -> None:
    nan, inf = float("nan"), float("inf")
    for low, high in ((31.0, 30.0), (0.0, 1e-323), (-1e308, 1e308), (nan, 5.0), (inf, -inf)):
        results = Results.load(folder())
        (row, *_) = results.rows
        shown = replace(results, rows=(replace(row, ci_low=low, ci_high=high),))
        assert "30.5" in shown._repr_html_() or "±" in shown._repr_html_()


def test_documents_are_bounded() -> None:
    deepest = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(deepest)
    assert parse_toml(f"a = {'[' * (DEEPEST - 1)}{']' * (DEEPEST - 1)}")
    assert parse_json(f"[{LARGEST}, {-LARGEST}, 1e999, true]") == [LARGEST, -LARGEST, float("inf"), True]
    for text in (
        f"[{deepest}]",
        "[" * 10**6,
        f"[{LARGEST + 1}]",
        "9" * 5000,
        '{"a": {"b": -99999999999999999999}}',
    ):
        with pytest.raises(ValueError, match=r"deeper|64 bits"):
            parse_json(text)
    for text in (
        f"a = [{deepest}]",
        f"a = {'[' * 5000}",
        f"a = {LARGEST + 1}",
        "a = 9" + "9" * 5000,
        f"a = 0x{'f' * 99}",
    ):
        with pytest.raises(ValueError, match=r"deeper|64 bits|digits"):
            parse_toml(text)


def test_errors_are_typed_for_every_reader(folder: Callable[..., Path], tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent", folder() / "manifest.json"):
        with pytest.raises(TokbenchError) as caught:
            Results.load(place)
        assert caught.value.exit_code in {7, 8}
