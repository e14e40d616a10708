"""Findings as SARIF: what the format demands, and what keeps an alert the same from one run to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import msgspec
import pytest

from ssot_engine import __version__
from ssot_engine.migrate.findings import Finding, Problem, Rule
from ssot_engine.migrate.reporting.sarif import sarif

ROOT = Path("/host")

# The rules of the standard's own schema for the parts that are used, each closed as it is there.
_TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": False,
}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_FROM_ONE = {"type": "integer", "minimum": 1}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


_ARTIFACT = _closed(
    [], uri={"type": "string", "format": "uri-reference"}, uriBaseId={"type": "string"}, description=_TEXT
)
_LOCATION = _closed(
    [],
    physicalLocation=_closed(
        ["artifactLocation"],
        artifactLocation=_ARTIFACT,
        region=_closed([], startLine=_FROM_ONE, startColumn=_FROM_ONE),
    ),
)
_LOCATIONS = {"type": "array", "items": _LOCATION}
_DESCRIPTOR = _closed(
    ["id"],
    id={"type": "string"},
    name={"type": "string"},
    shortDescription=_TEXT,
    fullDescription=_TEXT,
    help=_TEXT,
    defaultConfiguration=_closed([], level=_LEVEL),
)
_RESULT = _closed(
    ["message"],
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": -1},
    level=_LEVEL,
    message=_TEXT,
    locations=_LOCATIONS,
    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
)
_NOTIFICATION = _closed(["message"], level=_LEVEL, message=_TEXT, locations=_LOCATIONS)
_RUN = _closed(
    ["tool"],
    tool=_closed(
        ["driver"],
        driver=_closed(
            ["name"],
            name={"type": "string"},
            version={"type": "string"},
            rules={"type": "array", "uniqueItems": True, "items": _DESCRIPTOR},
        ),
    ),
    invocations={
        "type": "array",
        "items": _closed(
            ["executionSuccessful"],
            executionSuccessful={"type": "boolean"},
            toolExecutionNotifications={"type": "array", "items": _NOTIFICATION},
        ),
    },
    originalUriBaseIds={"type": "object", "additionalProperties": _ARTIFACT},
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results={"type": "array", "items": _RESULT},
)
_LOG = _closed(
    ["version", "runs"],
    **{"$schema": {"type": "string", "format": "uri"}},
    version={"enum": ["2.1.0"]},
    runs={"type": "array", "items": _RUN},
)


def finding(path: str = "/host/a.py", line: int = 3, **more: Any) -> Finding:
    """A pending import, unless it is said otherwise."""
    values: dict[str, Any] = {"column": 5, "rule": Rule.IMPORT, "old": "old.A", "new": "new.A", **more}
    return Finding(path=path, line=line, **values)


def run_of(*findings: Finding, problems: tuple[Problem, ...] = (), root: Path = ROOT) -> dict[str, Any]:
    """The only run of the log, as it is read from JSON."""
    log = json.loads(msgspec.json.encode(sarif(findings, problems, root)))
    jsonschema_rs.validator_for(_LOG, validate_formats=True).validate(log)
    (run,) = log["runs"]
    return dict(run)


def result_of(one: Finding, root: Path = ROOT) -> dict[str, Any]:
    """The only result."""
    (result,) = run_of(one, root=root)["results"]
    return dict(result)


def test_every_kind_of_finding_fits_the_format() -> None:
    """Each rule, by hand or not, gives a log of the standard's form, and names a rule that is described."""
    every = [finding(rule=rule, todo=todo, note="a note") for rule in Rule for todo in ("", "do it")]
    run = run_of(*every, problems=(Problem(path="/host/b.py", reason="cannot be parsed"),))
    described = run["tool"]["driver"]["rules"]
    assert [rule.value for rule in Rule] == [one["id"] for one in described]
    named = [(one.rule.value, one.rule.value) for one in every]
    assert named == [(one["ruleId"], described[one["ruleIndex"]]["id"]) for one in run["results"]]


def test_the_tool_is_named() -> None:
    """A log says which tool of which version wrote it, in which version of the format."""
    log = sarif([], [], ROOT)
    assert ("2.1.0", True) == (log["version"], log["$schema"].endswith("sarif-schema-2.1.0.json"))
    driver = log["runs"][0]["tool"]["driver"]
    assert ("ssot-engine", __version__) == (driver["name"], driver["version"])


def test_nothing_found_is_a_run_with_no_results() -> None:
    """An empty list of results says that the tool ran; a missing one would say that it did not."""
    run = run_of()
    assert ([], [{"executionSuccessful": True, "toolExecutionNotifications": []}]) == (
        run["results"],
        run["invocations"],
    )


def test_every_rule_is_explained() -> None:
    """Each has a name of one word, a sentence that says what it finds, and one that says what to do."""
    rules = run_of()["tool"]["driver"]["rules"]
    assert "EngineOutsideFactory" in [one["name"] for one in rules]
    for rule in rules:
        texts = [rule[key]["text"] for key in ("shortDescription", "fullDescription", "help")]
        assert rule["name"].isalpha()
        assert [] == [text for text in texts if not text.endswith(".") or ".." in text or not text[0].isupper()]


def test_what_the_tool_rewrites_is_a_note() -> None:
    """A pending rewrite is a note with the command that makes it; what a person has to do is a warning."""
    pending, by_hand = result_of(finding(note="b stays")), result_of(finding(todo="use B", note="since 1.0"))
    assert ("note", "old.A becomes new.A with `ssot-engine migrate apply` (b stays).") == (
        pending["level"], pending["message"]["text"],
    )  # fmt: skip
    assert ("warning", "old.A: use B (since 1.0).") == (by_hand["level"], by_hand["message"]["text"])
    assert "old.A is rewritten with" in result_of(finding(new=None))["message"]["text"]


def test_a_place_is_a_line_and_a_column_in_characters() -> None:
    """Lines and columns are as they were found, and the log says that columns count characters."""
    (location,) = result_of(finding(line=7, column=12))["locations"]
    assert {"startLine": 7, "startColumn": 12} == location["physicalLocation"]["region"]
    assert "unicodeCodePoints" == run_of()["columnKind"]


PATHS = {
    "/host/app/a.py": "app/a.py",
    "/host/a b/ü#1.py": "a%20b/%C3%BC%231.py",
    "/host/50%.py": "50%25.py",
    "/host/c:d.py": "c%3Ad.py",
    "/host/x?y.py": "x%3Fy.py",
    "/host/b\udcff.py": "b%FF.py",
    "/host/./app/../a.py": "a.py",
}


@pytest.mark.parametrize(("path", "uri"), PATHS.items(), ids=PATHS.values())
def test_paths_are_relative_references(path: str, uri: str) -> None:
    """A path is written from the root, in a URI's characters, and names the base it is relative to."""
    (location,) = result_of(finding(path))["locations"]
    assert {"uri": uri, "uriBaseId": "%SRCROOT%"} == location["physicalLocation"]["artifactLocation"]


def test_the_base_is_named_without_a_place(tmp_path: Path) -> None:
    """The log tells nothing of the machine it was written on: whoever reads it knows where the root is."""
    run = run_of(finding(str(tmp_path / "a.py")), root=tmp_path)
    assert ["description"] == list(run["originalUriBaseIds"]["%SRCROOT%"])
    assert str(tmp_path) not in json.dumps(run)


def test_a_file_outside_has_its_whole_path() -> None:
    """A file that is not below the root is named by a URI of its own, without the base."""
    (location,) = result_of(finding("/elsewhere/a b.py"))["locations"]
    assert {"uri": "file:///elsewhere/a%20b.py"} == location["physicalLocation"]["artifactLocation"]


def test_paths_are_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is written from the root, wherever the command runs and however the path was given."""
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path / "app")
    whole = result_of(finding(str(tmp_path / "app" / "x.py")), tmp_path)
    assert whole == result_of(finding("x.py"), tmp_path) == result_of(finding("x.py"), Path(".."))


def fingerprints(*findings: Finding) -> list[str]:
    """The fingerprints of the results, in the order of the file."""
    return [one["partialFingerprints"]["ssotEngineFinding/v1"] for one in run_of(*findings)["results"]]


def test_a_finding_that_moves_stays_the_same() -> None:
    """A fingerprint does not depend on the line; so an alert is not closed and opened when code above it changes."""
    assert fingerprints(finding(line=3), finding(line=9)) == fingerprints(finding(line=30), finding(line=90))


def test_different_findings_have_different_fingerprints() -> None:
    """Path, rule, name and number among its like tell findings apart."""
    every = [
        finding(), finding(line=4), finding(old="old.B"), finding(rule=Rule.USE), finding("/host/b.py"),
        finding("/host/b/a.py"),
    ]  # fmt: skip
    assert len(every) == len(set(fingerprints(*every)))


def test_results_are_in_the_order_of_files_and_lines() -> None:
    """The same findings give the same log, in whatever order they come."""
    every = [finding("/host/b.py", 1), finding(line=9), finding(line=2), finding(line=2, column=1)]
    run = run_of(*every)
    places = [one["locations"][0]["physicalLocation"] for one in run["results"]]
    assert [("a.py", 2, 1), ("a.py", 2, 5), ("a.py", 9, 5), ("b.py", 1, 5)] == [
        (unquote(one["artifactLocation"]["uri"]), one["region"]["startLine"], one["region"]["startColumn"])
        for one in places
    ]
    assert run == run_of(*reversed(every))


def test_a_file_that_was_not_examined_is_told() -> None:
    """A problem is an error of the run, with its file and, if it is known, its line; the run is no success."""
    problems = (
        Problem(path="/host/a.py", reason="cannot be parsed: invalid syntax", line=4),
        Problem(path="/host/b\udcff.py", reason="cannot be read"),
    )
    (invocation,) = run_of(finding(), problems=problems)["invocations"]
    assert invocation["executionSuccessful"] is False
    first, second = invocation["toolExecutionNotifications"]
    assert ("error", "a.py cannot be parsed: invalid syntax.") == (first["level"], first["message"]["text"])
    assert {"startLine": 4} == first["locations"][0]["physicalLocation"]["region"]
    assert "b\\xff.py cannot be read." == second["message"]["text"]
    assert ["artifactLocation"] == list(second["locations"][0]["physicalLocation"])


def test_braces_are_doubled() -> None:
    """Single ones would stand for arguments of the message."""
    assert "old.A: write {{x}}." == result_of(finding(todo="write {x}"))["message"]["text"]


def test_the_form_is_checked() -> None:
    """The rules of the format that these tests apply refuse what the standard refuses."""
    validator = jsonschema_rs.validator_for(_LOG, validate_formats=True)
    log = sarif([finding()], [], ROOT)
    assert validator.is_valid(log)
    for key, value in {"level": "info", "line": 3, "message": "text", "ruleIndex": "0"}.items():
        assert not validator.is_valid(
            {**log, "runs": [{**log["runs"][0], "results": [{"message": {"text": ""}, key: value}]}]}
        )
    assert not validator.is_valid({**log, "version": "2.2"})
