"""All pages of the leaderboard as bytes: the same input gives the same bytes, so that a stale page can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokbench.errors import IntegrityError, StorageError, UsageError, as_utf8
from tokbench.leaderboard import latex, markdown, site, tidy
from tokbench.leaderboard.boards import boards
from tokbench.leaderboard.reported import groups
from tokbench.leaderboard.submission import CHECKSUMS
from tokbench.leaderboard.validate import validate
from tokbench.results.results import Results

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokbench.catalog import Catalog
    from tokbench.published import Figure

MEASURED = "measured"
_OWNED = ("csv", "site", "tex")


def load_runs(folders: Sequence[Path], catalog: Catalog) -> dict[str, Results]:
    """Read results folders by name; one with checksums is a submission and is validated first.

    Raises:
        UsageError: two folders have one name, or there is none.
        IntegrityError: a folder holds no finished run, or a submission is not sound; names the file and the field.
    """
    runs: dict[str, Results] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in runs:
            raise UsageError(
                f"two results folders are called `{name}`", hint="rename one: pages name runs by it"
            )
        if (folder / CHECKSUMS).is_file():
            problems = validate(folder, catalog)
            if problems:
                raise IntegrityError(
                    f"submission `{name}`: {problems[0]}",
                    hint=f"`tokbench leaderboard validate {folder}` lists all {len(problems)} problems",
                )
        runs[name] = Results.load(folder)
    if not runs:
        raise UsageError("no results to build from", hint="name results folders with --results")
    return runs


def build(runs: Mapping[str, Results], figures: Sequence[Figure], catalog: Catalog) -> dict[str, bytes]:
    """Return every page as ``{path below the leaderboard's folder: bytes}``.

    Raises:
        IntegrityError: the runs do not fit together (`tokbench.leaderboard.boards.boards`).
    """
    tables = boards(runs, catalog)
    names = [board.name for board in tables]
    for name in names:
        if names.count(name) > 1:
            raise IntegrityError(
                f"two boards would both be written to site/{name}.html", hint="rename an image set"
            )
    reported = groups(figures)
    pages = {
        "README.md": markdown.measured_page(tables, runs),
        "reported.md": markdown.reported_page(reported),
        "csv/measured.csv": tidy.measured_file(tables),
        "csv/reported.csv": tidy.reported_file(figures),
        "tex/measured.tex": latex.measured_file(tables),
        "tex/reported.tex": latex.reported_file(reported),
        "site/index.html": site.index_page(tables, runs),
        "site/reported.html": site.reported_page(reported),
        **{f"site/{board.name}.html": site.board_page(board) for board in tables},
    }
    # Lone surrogates stand in JSON as escapes, and in no page.
    return {name: as_utf8(text).encode() for name, text in pages.items()}


def stale(pages: Mapping[str, bytes], out: Path) -> list[str]:
    """Compare the folder with what it should hold: one line a page that is missing, differs, or is left over."""
    found = []
    for name, data in sorted(pages.items()):
        path = out / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.read_bytes() != data:
            found.append(f"{name} differs")
    return found + [f"{name} is left over" for name in _left_over(pages, out)]


def write(pages: Mapping[str, bytes], out: Path) -> None:
    """Write the pages, and remove those of an earlier build that are no longer made.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        for name, data in pages.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for name in _left_over(pages, out):
            (out / name).unlink()
    except OSError as error:
        raise StorageError(
            f"`{out}` cannot be written: {error}", hint="name another folder with --out"
        ) from error


def _left_over(pages: Mapping[str, bytes], out: Path) -> list[str]:
    """Name the files in the folders that a build owns and did not make."""
    files = [path for folder in _OWNED for path in sorted((out / folder).glob("*")) if path.is_file()]
    return [name for path in files if (name := path.relative_to(out).as_posix()) not in pages]
