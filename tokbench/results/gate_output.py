"""A gate's verdict for machines: JUnit XML, GitHub's annotations and step summary.

Names of images, tokenizers and reasons come from files of strangers: each form escapes what it would obey.
"""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from tokbench.results.table import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokbench.results.gate import Check, Gate

_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️"}
_LONGEST = 200


def junit(gate: Gate, *, strict: bool = False) -> str:
    """Return JUnit XML: one test case a check; inconclusive ones are skipped, or failures when `strict`."""
    failing = {"fail", "inconclusive"} if strict else {"fail"}
    counts = {
        "tests": len(gate.checks),
        "failures": sum(check.verdict in failing for check in gate.checks),
        "errors": 0,
        "skipped": sum(check.verdict == "inconclusive" and not strict for check in gate.checks),
    }
    attributes = {name: str(count) for name, count in counts.items()}
    root = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "tokbench gate", **attributes})
    for check in gate.checks:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {"classname": _xml(check.place.replace(".", "_")), "name": _xml(check.metric), "time": "0"},
        )
        if check.verdict in failing:
            ElementTree.SubElement(
                case, "failure", {"type": check.verdict, "message": _xml(check.reason)}
            ).text = _xml(numbers(check))
        elif check.verdict == "inconclusive":
            ElementTree.SubElement(case, "skipped", {"message": f"inconclusive: {_xml(check.reason)}"})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def workflow_commands(gate: Gate, *, strict: bool = False) -> list[str]:
    """Return GitHub's workflow commands: an error for every failed check, a warning for every inconclusive one."""
    found = []
    for check in gate.checks:
        if check.verdict != "pass":
            kind = "error" if check.verdict == "fail" or strict else "warning"
            title = f"tokbench gate: {check.metric} {check.verdict}"
            found.append(f"::{kind} title={_property(title)}::{_command(f'{check.place}: {check.reason}')}")
    return found


def step_summary(gate: Gate) -> str:
    """Return Markdown for GitHub's step summary: the verdict, then every check, the worst first."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in gate.counts.items())
    lines = [
        f"### {_SIGNS[gate.verdict]} tokbench gate: {gate.verdict}",
        "",
        f"{counts}; p-values are corrected for {gate.tests} metrics together (Holm).",
        "",
        "| | where | metric | baseline | now | change | 95 % interval | reason |",
        "|---|---|---|---:|---:|---:|---|---|",
    ]
    shown = ordered(gate.checks)
    for check in shown[:_LONGEST]:
        cells = (
            _SIGNS[check.verdict],
            check.place,
            check.metric,
            _number(check.baseline),
            _number(check.value),
            _number(check.difference),
            "" if math.isnan(check.ci_low) else f"{number(check.ci_low)} to {number(check.ci_high)}",
            check.reason,
        )
        lines.append(f"| {' | '.join(_markdown(cell) for cell in cells)} |")
    if len(shown) > _LONGEST:
        lines += ["", f"… and {len(shown) - _LONGEST} more."]
    lines += ["", *(f"- {_markdown(note)}" for note in gate.notes)]
    return "\n".join(lines).rstrip() + "\n"


def ordered(checks: Sequence[Check]) -> list[Check]:
    """Return checks, the worst verdicts first, else in their order."""
    from tokbench.results.gate import VERDICTS

    return sorted(checks, key=lambda check: VERDICTS.index(check.verdict))


def numbers(check: Check) -> str:
    """Return the numbers of a check in one line, "" when it has none."""
    if math.isnan(check.value):
        return ""
    unit = f" {check.unit}" if check.unit else ""
    text = f"baseline {number(check.baseline)}{unit}, now {number(check.value)}{unit}"
    if not math.isnan(check.ci_low):
        text += f", change {number(check.difference)} [{number(check.ci_low)}, {number(check.ci_high)}]"
    return text


def _number(value: float) -> str:
    return "" if math.isnan(value) else number(value)


def _xml(text: str) -> str:
    """Replace what XML 1.0 cannot hold even escaped; the rest is escaped by the writer."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _command(text: str) -> str:
    """Escape what would end a command, and control characters, which a terminal would obey."""
    text = "".join(
        letter if letter.isprintable() or letter in "\r\n" else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")


def _markdown(text: str) -> str:
    """Escape what Markdown, HTML or a mention would make of a text, on one line."""
    safe = html.escape(" ".join(text.split()), quote=False)
    for letter in "\\`*_{}[]|#@~":
        safe = safe.replace(letter, f"&#{ord(letter)};" if letter in "|@`\\" else f"\\{letter}")
    return safe
