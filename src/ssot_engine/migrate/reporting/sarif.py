"""Findings as SARIF 2.1.0, for tools that review code."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ssot_engine import __version__
from ssot_engine.migrate.findings import Finding, Problem, Rule
from ssot_engine.migrate.reporting.baseline import from_root, plain

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: The folder that paths are relative to, which a consumer knows for itself.
_BASE = "%SRCROOT%"

_OLD_IMPORT = "run `ssot-engine migrate diff` to see the change, and `ssot-engine migrate apply` to make it"

#: Of each rule, what it finds, and what to do about it.
_RULES = {
    Rule.IMPORT: ("An import of an old module or name", _OLD_IMPORT),
    Rule.USE: ("A use of an old name through its module", _OLD_IMPORT),
    Rule.STRING: ("An old dotted name in a string", _OLD_IMPORT),
    Rule.CONFIG: ("An old dotted name in a configuration file", _OLD_IMPORT),
    Rule.STAR_IMPORT: (
        "A star import of an old module whose names went to several places",
        "import the names that are used one by one",
    ),
    Rule.SCATTERED_MODULE: (
        "An old module whose names went to several places, used as one thing",
        "import each name that is needed from its new module",
    ),
    Rule.UNKNOWN_NAME: (
        "A name of an old module of which the table says nothing",
        "add an entry for it to the table, or replace it by hand",
    ),
    Rule.REMOVED: ("An old name that nothing answers any more", "replace it by what the message says"),
    Rule.BEHAVIOUR_CHANGED: (
        "An old name whose replacement behaves differently",
        "check the use, then take the replacement the message names",
    ),
    Rule.DUPLICATE_BRANCH: (
        "Branches of a try statement that would import the same",
        "keep one of them",
    ),
    Rule.UNBOUND_NAME: (
        "A name that the new module does not bind",
        "patch or import it where it is defined now",
    ),
    Rule.MISSING_ATTRIBUTE: ("An attribute that the new class does not have", "use what the new class offers"),
    Rule.WRONG_ARGUMENTS: ("Arguments that the new signature does not take", "call it as its new signature says"),
    Rule.NOT_AWAITED: ("A call of an async function that nobody awaits", "await it"),
    Rule.ENGINE_OUTSIDE_FACTORY: (
        "An engine that is constructed elsewhere than in the factory",
        "get engines from the factory, which counts, limits and closes them",
    ),
    Rule.DUPLICATE_DEFINITION: (
        "A second definition of a canonical name",
        "delete it, and import the canonical one",
    ),
    Rule.MODULE_SINGLETON: (
        "A module that keeps an engine, bridge, emitter or factory for all users",
        "keep none: what belongs to one request is made for it, and the container has the factory",
    ),
}
_INDEX = {rule: index for index, rule in enumerate(_RULES)}


def sarif(findings: Iterable[Finding], problems: Iterable[Problem], root: Path) -> dict[str, Any]:
    """A SARIF log with one run; paths are relative to `root`.

    What the tool rewrites itself is a note, what a person has to change a warning; a file that could not be examined
    is a notification, and the run no success.
    """
    notifications = [_notification(problem, root) for problem in problems]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver()},
                "invocations": [
                    {"executionSuccessful": not notifications, "toolExecutionNotifications": notifications}
                ],
                # Source: 3.14.14. Without a uri: where the folder is depends on who reads.
                "originalUriBaseIds": {_BASE: {"description": {"text": "The folder that was checked."}}},
                "columnKind": "unicodeCodePoints",
                "results": _results(findings, root),
            }
        ],
    }


def _driver() -> dict[str, Any]:
    return {"name": "ssot-engine", "version": __version__, "rules": [_rule(rule) for rule in _RULES]}


def _rule(rule: Rule) -> dict[str, Any]:
    finds, remedy = _RULES[rule]
    return {
        "id": rule.value,
        "name": rule.value.title().replace("_", ""),
        "shortDescription": {"text": f"{finds}."},
        "fullDescription": {"text": f"{finds}: {remedy}."},
        "help": {"text": f"{remedy[0].upper()}{remedy[1:]}."},
        "defaultConfiguration": {"level": "note" if remedy is _OLD_IMPORT else "warning"},
    }


def _results(findings: Iterable[Finding], root: Path) -> list[dict[str, Any]]:
    seen: Counter[tuple[str, Rule, str]] = Counter()
    results = []
    for finding in sorted(findings, key=lambda one: (one.path, one.line, one.column)):
        key = (from_root(finding.path, root), finding.rule, finding.old)
        results.append(_result(finding, root, _fingerprint(*key, seen[key])))
        seen[key] += 1
    return results


def _result(finding: Finding, root: Path, fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": finding.rule.value,
        "ruleIndex": _INDEX[finding.rule],
        "level": "warning" if finding.by_hand else "note",
        "message": _message(_text(finding)),
        "locations": [_location(finding.path, root, {"startLine": finding.line, "startColumn": finding.column})],
        "partialFingerprints": {"ssotEngineFinding/v1": fingerprint},
    }


def _text(finding: Finding) -> str:
    note = f" ({finding.note})" if finding.note else ""
    if finding.by_hand:
        return f"{finding.old}: {finding.todo}{note}."
    became = f"becomes {finding.new}" if finding.new else "is rewritten"
    return f"{finding.old} {became} with `ssot-engine migrate apply`{note}."


def _fingerprint(path: str, rule: Rule, old: str, nth: int) -> str:
    """The same wherever in its file a finding stands; the n-th of several alike has its own."""
    parts = "\0".join((path, rule.value, old, str(nth)))
    return hashlib.sha256(parts.encode(errors="surrogateescape")).hexdigest()[:32]


def _notification(problem: Problem, root: Path) -> dict[str, Any]:
    region = {"startLine": problem.line} if problem.line else None
    return {
        "level": "error",
        "message": _message(f"{plain(from_root(problem.path, root))} {problem.reason}."),
        "locations": [_location(problem.path, root, region)],
    }


def _message(text: str) -> dict[str, str]:
    # Source: 3.11.5. Braces stand for arguments where they are single.
    return {"text": text.replace("{", "{{").replace("}", "}}")}


def _location(path: str, root: Path, region: dict[str, int] | None) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": _artifact(path, root)}
    if region is not None:
        place["region"] = region
    return {"physicalLocation": place}


def _artifact(path: str, root: Path) -> dict[str, str]:
    """A file by its path below `root`; one that is elsewhere by its whole path."""
    below = from_root(path, root)
    if below.startswith("../"):
        return {"uri": Path(os.path.abspath(path)).as_uri()}
    return {"uri": quote(os.fsencode(below)), "uriBaseId": _BASE}
