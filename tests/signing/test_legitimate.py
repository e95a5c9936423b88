"""Legitimate variants of the attack suite: a verifier that refuses them would be switched off."""

import pytest
from benchmarks.signing_attacks.catalogue import variants
from benchmarks.signing_attacks.verifiers import outcome
from benchmarks.signing_attacks.workshop import workshop

VARIANTS = variants()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_legitimate_variant_is_accepted(name: str) -> None:
    """What other signers write and users ask for verifies, under the profile that is for it."""
    variant = VARIANTS[name]
    with workshop() as shop:
        found = outcome(variant.verifier, variant.stage(shop))
    assert found.kind == "accepted", f"{found.error}: {found.message}"


STRICT_ONLY = ("legitimate: git files", "legitimate: links permitted")


@pytest.mark.parametrize("name", STRICT_ONLY)
def test_what_only_oms_accepts_is_refused_by_strict(name: str) -> None:
    """The strict profile refuses what OMS leaves out or follows, in so many words."""
    with workshop() as shop:
        found = outcome("modelsec strict", VARIANTS[name].stage(shop))
    assert found.kind == "refused", found
