"""The attack suite of the benchmark, as a gate: every attack is refused, for the right reason."""

import pytest
from benchmarks.signing_attacks.catalogue import probes
from benchmarks.signing_attacks.probe import Attempt, Probe
from benchmarks.signing_attacks.sessions import run
from benchmarks.signing_attacks.verifiers import Outcome, outcome
from benchmarks.signing_attacks.workshop import workshop

STRICT = "modelsec strict"
PROBES = probes()
RACES = [name for name, probe in PROBES.items() if probe.group == "race"]
OTHERS = [name for name, probe in PROBES.items() if probe.group != "race"]


def _verified(attempt: Attempt) -> Outcome:
    assert attempt.race is None, "a race needs the audit hook of the runner's process"
    return outcome(STRICT, attempt)


@pytest.fixture(scope="module")
def races() -> dict[str, dict[str, Outcome]]:
    """What came of the races, each in a process whose hook sets it off."""
    return dict(zip(RACES, run(STRICT, RACES), strict=True))


def _refused(probe: Probe, control: Outcome, result: Outcome) -> None:
    assert control.kind == "accepted", control.message
    assert (result.kind, result.error) == ("refused", probe.expected.__name__), result.message


@pytest.mark.parametrize("name", OTHERS)
def test_an_attack_is_refused(name: str) -> None:
    """The honest model verifies; the manipulated one is refused with the error of its fault."""
    probe = PROBES[name]
    with workshop() as shop:
        stages = probe.stage(shop)
        control = _verified(next(stages))
        result = _verified(next(stages))
    _refused(probe, control, result)


@pytest.mark.parametrize("name", RACES)
def test_a_race_is_lost(name: str, races: dict[str, dict[str, Outcome]]) -> None:
    """What changes while it is verified is refused, whenever the change comes."""
    answer = races[name]
    _refused(PROBES[name], answer["control"], answer["result"])


def test_every_probe_says_what_it_does() -> None:
    """The table shows one sentence for each probe: what the attacker does."""
    assert [name for name, probe in PROBES.items() if not probe.effect.endswith(".")] == []
