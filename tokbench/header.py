"""The TOML header of an adapter file, read without running a line of it.

The header is the inline-metadata block of PEP 723 (``# /// script`` … ``# ///``) with a ``[tool.tokbench]`` table:
family-wide defaults, then one ``[[tool.tokbench.tokenizers]]`` per tokenizer. `docs/adapters.md` describes it.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, get_args

from tokbench.documents import parse_toml
from tokbench.environment import Environment, read_environment
from tokbench.errors import BrokenPluginError
from tokbench.tokenizer import CAPABILITIES, QUANTIZERS, VERIFIED, Kind, TokenSpec
from tokbench.weights import WeightFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MAX_BYTES = 4 << 20
_OF_THE_FILE = {"tokenizers", "family", "families", "environment"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Variant:
    """One tokenizer that an adapter file offers.

    Attributes:
        spec: what is known before it is built.
        weights: the files it needs.
        environment: where its code comes from and what it runs in; None for tokbench's own process.
    """

    spec: TokenSpec
    weights: tuple[WeightFile, ...]
    environment: Environment | None = None


@dataclass(frozen=True)
class Header:
    """What an adapter file says of itself.

    Attributes:
        dependencies: the packages it needs, as requirement strings.
        variants: the tokenizers it offers.
        families: names under which golden cases of its architecture are filed (`tokbench.golden`).
    """

    dependencies: tuple[str, ...]
    variants: tuple[Variant, ...]
    families: tuple[str, ...] = ()


def read_header(path: Path) -> Header:
    """Read the header of an adapter file; nothing is imported or executed.

    Raises:
        BrokenPluginError: the file cannot be read, has no header, or the header is not valid; names the key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenPluginError(f"adapter `{path.name}` cannot be read: {error}") from error
    body = _block(text)
    if body is None:
        raise BrokenPluginError(
            f"adapter `{path.name}` has no `# /// script` header",
            hint="docs/adapters.md shows one; a header makes a tokenizer listable without running its code",
        )
    try:
        toml = parse_toml(body)
    except ValueError as error:
        raise BrokenPluginError(f"adapter `{path.name}`: header is not TOML: {error}") from error
    return _header(toml, path.name)


def _block(text: str) -> str | None:
    """Return what the first block of PEP 723 says, without the comment signs; None when there is none.

    Read line by line: an expression over the whole text takes hours for a file of nothing but first lines.
    """
    body: list[str] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        if body is not None and body and line.rstrip(" \t") == "# ///":
            return "".join(body)
        if body is not None and (line == "#" or line.startswith("# ")):
            body.append(f"{line[2:]}\n")
        else:
            body = [] if line.rstrip(" \t") == "# /// script" else None
    return None


def _header(toml: dict[str, Any], origin: str) -> Header:
    tool = toml.get("tool")
    table = tool.get("tokbench") if isinstance(tool, dict) else None
    if (
        not isinstance(table, dict)
        or not isinstance(table.get("tokenizers"), list)
        or not table["tokenizers"]
    ):
        raise BrokenPluginError(
            f"adapter `{origin}`: header lists no tokenizer", hint="add a [[tool.tokbench.tokenizers]] table"
        )
    defaults = {key: value for key, value in table.items() if key not in _OF_THE_FILE}
    dependencies = toml.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise BrokenPluginError(f"adapter `{origin}`: `dependencies` must be a list of strings")
    environment = read_environment(toml, origin)
    variants = []
    for entry in table["tokenizers"]:
        if not isinstance(entry, dict):
            raise BrokenPluginError(f"adapter `{origin}`: `tokenizers` must hold tables, got {entry!r}")
        variants.append(_variant(defaults | entry, origin, environment))
    names = [variant.spec.name for variant in variants]
    if len(set(names)) != len(names):
        raise BrokenPluginError(f"adapter `{origin}`: a tokenizer name appears twice in its header")
    families = table.get("families", [table["family"]] if "family" in table else [])
    if not _fits(families, "tuple[str, ...]"):
        raise BrokenPluginError(f"adapter `{origin}`: `families` must be a list of strings")
    return Header(tuple(dependencies), tuple(variants), tuple(families))


def _variant(entry: dict[str, Any], origin: str, environment: Environment | None) -> Variant:
    where = f"adapter `{origin}`, tokenizer `{entry.get('name', '?')}`"
    listed = entry.pop("weights", [])
    if not isinstance(listed, list):
        raise BrokenPluginError(f"{where}: `weights` must hold tables, got {listed!r}")
    weights = tuple(_weight_file(item, where) for item in listed)
    known = {field.name: field for field in fields(TokenSpec)}
    for key, value in entry.items():
        if key not in known:
            raise BrokenPluginError(
                f"{where}: unknown key `{key}`", hint=f"known keys: {', '.join(known)}, weights"
            )
        if not _fits(value, str(known[key].type)):
            raise BrokenPluginError(f"{where}: `{key}` is {value!r}, expected {known[key].type}")
    for name, field in known.items():
        if name not in entry and field.default is MISSING and field.default_factory is MISSING:
            raise BrokenPluginError(f"{where}: key `{name}` is missing")
    _check_values(entry, where)
    for key in ("trained_on", "capabilities", "verified"):
        entry[key] = tuple(entry.get(key, ()))
    _refuse_unknown(entry, "capabilities", CAPABILITIES, where)
    _refuse_unknown(entry, "verified", VERIFIED, where)
    return Variant(TokenSpec(**entry), weights, environment)


def _check_values(entry: dict[str, Any], where: str) -> None:
    """Check what the types of keys do not say."""
    if not _NAME.fullmatch(entry["name"]):
        raise BrokenPluginError(f"{where}: a name uses letters, digits and . _ + - only")
    if entry["kind"] not in get_args(Kind):
        raise BrokenPluginError(f"{where}: `kind` is {entry['kind']!r}, expected one of {get_args(Kind)}")
    if entry["kind"] == "discrete" and not entry.get("vocab"):
        raise BrokenPluginError(f"{where}: a discrete tokenizer needs `vocab`")
    if entry.get("quantizer", "") not in {"", *QUANTIZERS}:
        raise BrokenPluginError(
            f"{where}: `quantizer` is {entry['quantizer']!r}, expected one of {QUANTIZERS}"
        )
    for key in ("stride", "codebooks", "vocab", "tokens", "resolution", "channels"):
        if entry.get(key, 1) < 1:
            raise BrokenPluginError(f"{where}: `{key}` must be at least 1, got {entry[key]}")


def _refuse_unknown(entry: dict[str, Any], key: str, known: Iterable[str], where: str) -> None:
    if unknown := set(entry[key]) - set(known):
        raise BrokenPluginError(
            f"{where}: `{key}` has unknown {sorted(unknown)}", hint=f"known: {', '.join(known)}"
        )


def _fits(value: object, wanted: str) -> bool:
    """Say whether a TOML value can stand for a field annotated like that."""
    if isinstance(value, bool):
        return wanted == "bool"
    if wanted in {"str", "Kind"}:
        return isinstance(value, str)
    if wanted in {"int", "int | None"}:
        return isinstance(value, int)
    if wanted == "tuple[str, ...]":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return wanted.startswith("Mapping") and isinstance(value, dict)


def _weight_file(item: object, where: str) -> WeightFile:
    if not isinstance(item, dict) or not {"name", "source"} <= item.keys():
        raise BrokenPluginError(f"{where}: each of `weights` needs `name` and `source`, got {item!r}")
    types = {field.name: str(field.type) for field in fields(WeightFile)}
    for key, value in item.items():
        if not _fits(value, types.get(key, "")):
            raise BrokenPluginError(f"{where}: `weights` has an unusable `{key}` = {value!r}")
    file = WeightFile(**item)
    # Both become parts of a path in the cache.
    if not _NAME.fullmatch(file.name) or file.basename in {"", ".."}:
        raise BrokenPluginError(f"{where}: `weights` cannot be stored as {file.name!r} from {file.source!r}")
    return file
