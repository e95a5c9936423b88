import json
import tomllib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError
from modelsec.scanning import Coverage, Finding, TreeReport, Verdict
from modelsec.scanning.baseline import (
    Acceptance,
    Baseline,
    apply,
    apply_to_tree,
    toml_string,
    write,
)
from tests.scanning.support.reports import (
    DANGER,
    DIGEST,
    GAP,
    NOTE,
    PERMITTED,
    UNKNOWN,
    report,
)

TODAY = date(2026, 11, 23)

CALL = UNKNOWN.at(7, "calls it", operation="call", subject="ours:Net")
INNER = replace(CALL, path=("archive", "data.pkl"))


def accepting(
    id_: str = UNKNOWN.id,
    *,
    sha256: str = DIGEST,
    member: str | None = None,
    subject: str | None = None,
    expires: date | None = None,
) -> Baseline:
    return Baseline.of([Acceptance(sha256, id_, "reviewed", member, subject, expires)])


def test_an_accepted_finding_no_longer_counts() -> None:
    """It is set aside; the verdict is that of the others, and never better than allow_listed."""
    note = NOTE.at(None, "a note")
    judged = apply(report(CALL, note), accepting(), TODAY)
    assert judged.safe
    assert judged.verdict is Verdict.ALLOW_LISTED
    assert judged.findings == (note,)
    assert judged.accepted == (CALL,)


def test_what_is_left_decides() -> None:
    """A dangerous finding stays dangerous whatever else is accepted."""
    danger = DANGER.at(0, "runs code")
    judged = apply(report(danger, CALL), accepting(), TODAY)
    assert judged.verdict is Verdict.DANGEROUS
    assert judged.findings == (danger,)


def test_a_gap_is_accepted_by_its_own_id_only() -> None:
    """Accepting a call does not make an incomplete file complete; accepting the gap does."""
    gap = GAP.at(0, "encrypted")
    half = apply(report(CALL, gap), accepting(), TODAY)
    assert half.coverage is Coverage.INCOMPLETE
    whole = apply(report(gap), accepting(GAP.id), TODAY)
    assert whole.safe
    assert whole.verdict is Verdict.ALLOW_LISTED
    assert whole.accepted == (gap,)


def test_another_content_has_nothing_accepted() -> None:
    """The pin is the digest: the report comes back as it went in."""
    changed = report(CALL, sha256="cd" * 32)
    assert apply(changed, accepting(), TODAY) is changed


@pytest.mark.parametrize(
    ("baseline", "accepted"),
    [
        (accepting(member="archive!/data.pkl"), True),
        (accepting(member="archive"), False),
        (accepting(member=""), False),
        (accepting(subject="ours:Net"), True),
        (accepting(subject="ours:Other"), False),
        (accepting(subject=""), False),
        (accepting("MS-TST-00"), False),
    ],
)
def test_member_and_subject_narrow_an_entry(baseline: Baseline, accepted: bool) -> None:  # noqa: FBT001
    """What an entry names must be equal; what it leaves out may be anything."""
    assert apply(report(INNER), baseline, TODAY).safe is accepted


def test_an_expired_entry_counts_again() -> None:
    """It holds through its last day; afterwards the finding is back, with a note."""
    baseline = accepting(expires=TODAY)
    assert apply(report(CALL), baseline, TODAY).safe
    late = apply(report(CALL), baseline, TODAY + timedelta(days=1))
    assert late.verdict is Verdict.UNKNOWN
    assert [finding.id for finding in late.findings] == [UNKNOWN.id, "MS-BAS-001"]
    assert "ended on 2026-11-23: reviewed" in late.findings[1].message


def test_a_renewed_entry_beside_an_expired_one_holds() -> None:
    """One entry in force is enough, and nothing is said of the old one."""
    old, new = (
        Acceptance(DIGEST, UNKNOWN.id, "reviewed", expires=TODAY + timedelta(days=days))
        for days in (-1, 1)
    )
    judged = apply(report(CALL), Baseline.of([old, new]), TODAY)
    assert judged.safe
    assert judged.findings == ()


def test_without_a_digest_nothing_is_accepted() -> None:
    """And the report says so, if there was something to accept."""
    judged = apply(report(CALL, sha256=None), accepting(), TODAY)
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.findings[-1].id == "MS-BAS-002"
    safe = report(sha256=None)
    assert apply(safe, accepting(), TODAY) is safe


def test_findings_that_nobody_listed_are_not_accepted() -> None:
    """Beyond the limit of findings, nobody has seen what would be accepted."""
    judged = apply(report(CALL, unlisted=3), accepting(), TODAY)
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.accepted == ()
    assert judged.findings[-1].id == "MS-BAS-002"


def test_a_verdict_that_findings_do_not_explain_stays() -> None:
    """Accepting what is listed cannot lower what came from elsewhere."""
    odd = replace(report(CALL), verdict=Verdict.DANGEROUS, coverage=Coverage.INCOMPLETE)
    judged = apply(odd, accepting(), TODAY)
    assert judged.verdict is Verdict.DANGEROUS
    assert judged.coverage is Coverage.INCOMPLETE


def test_an_accepted_note_changes_nothing_else() -> None:
    """A file of data stays a file of data, a permitted one a permitted one."""
    note = NOTE.at(None, "a note")
    assert apply(report(note), accepting(NOTE.id), TODAY).verdict is Verdict.DATA_ONLY
    permitted = apply(report(note, permitted=(PERMITTED,)), accepting(NOTE.id), TODAY)
    assert permitted.verdict is Verdict.ALLOW_LISTED


RULES = st.sampled_from([NOTE, UNKNOWN, DANGER, GAP])
FINDINGS = st.lists(RULES.map(lambda rule: rule.at(0, "found")), max_size=6)


@given(FINDINGS, st.lists(RULES.map(lambda rule: rule.id), max_size=4), st.integers(0, 1))
def test_nothing_but_what_was_accepted_is_lost(
    findings: list[Finding], ids: list[str], unlisted: int
) -> None:
    """Findings and accepted ones together are what was found; applying twice is applying once."""
    before = report(*findings, unlisted=unlisted)
    baseline = Baseline.of(Acceptance(DIGEST, id_, "reviewed") for id_ in ids)
    after = apply(before, baseline, TODAY)
    kept = [finding for finding in after.findings if not finding.id.startswith("MS-BAS")]
    assert sorted(f.id for f in [*kept, *after.accepted]) == sorted(f.id for f in findings)
    assert after.safe >= before.safe
    if any(f.id not in ids and f.verdict is Verdict.DANGEROUS for f in findings):
        assert after.verdict is Verdict.DANGEROUS
    if any(f.id not in ids and f.incomplete for f in findings):
        assert after.coverage is Coverage.INCOMPLETE
    again = apply(after, baseline, TODAY)
    assert (again.verdict, again.coverage, again.accepted) == (
        after.verdict,
        after.coverage,
        after.accepted,
    )


def test_a_folder_is_judged_file_by_file() -> None:
    """Findings about the folder itself have no digest, and stay."""
    about = DANGER.at(None, "a link leaves the folder")
    tree = TreeReport("models", (report(CALL), report(CALL, sha256="cd" * 32)), (about,))
    judged = apply_to_tree(tree, accepting(), TODAY)
    assert [file.safe for file in judged.files] == [True, False]
    assert judged.findings == (about,)


# The file


@pytest.mark.parametrize("name", ["base.toml", "base.json"])
def test_a_written_baseline_waits_for_its_reasons(tmp_path: Path, name: str) -> None:
    """Refused as it is written; once every reason is filled in, it accepts what was found."""
    path = tmp_path / name
    gap = replace(GAP.at(0, "odd"), path=('a "quoted"\x7f\n\u202e member \U0001f600', "\ud800"))
    found = report(CALL, INNER, CALL, gap, NOTE.at(0, "a note"), name="\ud800\x1b.pt")
    assert write(path, [found, report(CALL, sha256=None)]) == 3
    with pytest.raises(ConfigurationError, match=r"number 1 \(MS-TST-002\) has no reason"):
        Baseline.load(path)
    text = path.read_text("utf-8")
    path.write_text(text.replace('reason = ""', 'reason = "ours"').replace(
        '"reason": ""', '"reason": "ours"'), "utf-8")  # fmt: skip
    baseline = Baseline.load(path)
    judged = apply(found, baseline, TODAY)
    assert judged.safe
    assert baseline.reason(found, CALL) == "ours"
    assert baseline.reason(found, DANGER.at(0, "x")) == ""


@given(st.text())
def test_toml_strings_come_back(text: str) -> None:
    """Any text that a file can hold."""
    text = text.encode("utf-8", "backslashreplace").decode()
    assert tomllib.loads(f"x = {toml_string(text)}") == {"x": text}


def test_expiry_is_a_day(tmp_path: Path) -> None:
    """As TOML has days, and as text in both formats."""
    entry = f'version = 1\n[[accept]]\nsha256 = "{DIGEST}"\nid = "X"\nreason = "r"\nexpires = '
    path = tmp_path / "b.toml"
    for written in ("2026-11-23", '"2026-11-23"'):
        path.write_text(entry + written)
        assert Baseline.load(path).entries[DIGEST][0].expires == TODAY
    for wrong in ("2026-11-23T10:00:00", '"soon"', "7", "true"):
        path.write_text(entry + wrong)
        with pytest.raises(ConfigurationError, match="expires must be a day"):
            Baseline.load(path)


GOOD = {"sha256": DIGEST, "id": "X", "reason": "r"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "needs: version = 1"),
        ({}, "needs: version = 1"),
        ({"version": 2}, "needs: version = 1"),
        ({"version": 1, "accepts": []}, "nothing else"),
        ({"version": 1, "accept": {}}, "nothing else"),
        ({"version": 1, "accept": [1]}, "must be a table"),
        ({"version": 1, "accept": [GOOD | {"why": "x"}]}, "unknown keys: why"),
        ({"version": 1, "accept": [GOOD | {"member": 1}]}, "member must be a string, not 1"),
        ({"version": 1, "accept": [GOOD | {"sha256": DIGEST.upper()}]}, "64 lower-case hex"),
        ({"version": 1, "accept": [GOOD | {"sha256": "*"}]}, "64 lower-case hex"),
        ({"version": 1, "accept": [GOOD | {"id": ""}]}, "needs the id"),
        ({"version": 1, "accept": [GOOD | {"reason": " \n"}]}, "has no reason"),
        ({"version": 1, "accept": [GOOD, {"sha256": DIGEST, "id": "X"}]}, "number 2 .*no reason"),
    ],
)
def test_a_baseline_of_another_form_is_refused(
    tmp_path: Path, document: object, message: str
) -> None:
    """With the number of the entry and what is wrong with it."""
    path = tmp_path / "b.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match=message):
        Baseline.load(path)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b""])
def test_a_broken_baseline_is_refused(tmp_path: Path, content: bytes) -> None:
    """Not valid is not empty."""
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not valid"):
        Baseline.load(path)
    with pytest.raises(ConfigurationError, match="cannot read baseline"):
        Baseline.load(tmp_path / "none.toml")
