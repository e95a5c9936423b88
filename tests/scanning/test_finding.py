"""Verdicts, rules and findings."""

import importlib
import pkgutil
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modelsec.scanning
from modelsec.errors import printable
from modelsec.scanning import Rule, Verdict


def all_rules() -> list[tuple[str, Rule]]:
    """Return every rule constant of the package, by the module that defines it."""
    found: dict[int, tuple[str, Rule]] = {}
    path, prefix = modelsec.scanning.__path__, "modelsec.scanning."
    for module in pkgutil.walk_packages(path, prefix):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Rule):
                found[id(value)] = (module.name, value)
    return list(found.values())


def test_the_id_of_each_rule_is_its_own() -> None:
    """Suppressions and reports refer to it."""
    ids = [rule.id for _, rule in all_rules()]
    assert len(ids) > 100
    assert sorted(ids) == sorted(set(ids))


def test_each_rule_is_well_formed() -> None:
    """``MS-<FORMAT>-<number>``, a title without a full stop, a capability if dangerous."""
    for where, rule in all_rules():
        assert re.fullmatch(r"MS-[A-Z0-9]{2,4}-[0-9]{3}", rule.id), where
        assert rule.title, rule.id
        assert not rule.title.endswith("."), rule.id
        if rule.verdict is Verdict.DANGEROUS:
            assert rule.capability, rule.id
        if rule.verdict is not Verdict.DATA_ONLY or rule.incomplete:
            assert rule.remedy, rule.id


def test_verdicts_have_an_order() -> None:
    """From best to worst."""
    assert [verdict.rank for verdict in Verdict] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("verdict", "incomplete", "severity"),
    [
        (Verdict.DANGEROUS, False, "error"),
        (Verdict.UNKNOWN, False, "warning"),
        (Verdict.DATA_ONLY, True, "warning"),
        (Verdict.DATA_ONLY, False, "note"),
    ],
)
def test_severity_follows_from_the_rule(verdict: Verdict, incomplete: bool, severity: str) -> None:  # noqa: FBT001
    """As in SARIF."""
    finding = Rule("MS-TST-001", "a rule", verdict, incomplete).at(3, "found")
    assert finding.severity == severity
    assert finding.to_dict()["severity"] == severity
    assert finding.member == ""


@given(st.text() | st.binary(), st.integers(4, 60))
def test_printable_is_printable(text: str | bytes, limit: int) -> None:
    """ASCII without control characters, never longer than asked; surrogates included."""
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert all(" " <= character <= "~" for character in shown)


@given(st.text(st.characters(categories=["Cs", "Cc", "Cf"])))
def test_surrogates_and_controls_are_escaped(text: str) -> None:
    """No bidi tricks in a terminal."""
    assert printable(text).isascii()
