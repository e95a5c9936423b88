"""Several signatures: how many signers, and of one mind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import SignatureMismatchError
from modelsec.signing import Layout, Manifest, Release, Resource, Signatory
from modelsec.signing.bundles.bundle import OMS_PREDICATE
from modelsec.signing.bundles.statement import Statement
from modelsec.signing.quorum import Authentic, agree, agreed, signers

MANIFEST = Manifest((Resource("a", b"1" * 32), Resource("b", b"2" * 32)))
STATEMENT = Statement(MANIFEST, "m", Release("m", serial=1), OMS_PREDICATE)


def signed(key: str, identity: str | None = None, issuer: str = "CN=root") -> Authentic:
    method: Any = "key" if identity is None else "certificate"
    who = Signatory(method, key, "a", identity, None if identity is None else issuer)
    return Authentic(Path("m.sig"), who, STATEMENT, ())


@pytest.mark.parametrize(
    ("bundles", "count"),
    [
        ([signed("k1"), signed("k2")], 2),
        ([signed("k1"), signed("k1")], 1),
        ([signed("k1", "alice"), signed("k2", "alice")], 1),
        ([signed("k1", "alice"), signed("k2", "bob")], 2),
        ([signed("k1", "alice"), signed("k2", "alice", "CN=other")], 2),
        ([signed("k1", "alice"), signed("k1")], 1),
        ([signed("k1"), signed("k2", "alice"), signed("k1", "alice")], 1),
        ([signed("k1"), signed("k2", "alice"), signed("k3"), signed("k1", "alice")], 2),
    ],
)
def test_a_key_or_an_identity_is_one_signer(bundles: list[Authentic], count: int) -> None:
    """Whatever is joined by a key or by an issuer's identity is one signer, in any order."""
    assert len(signers(bundles)) == count
    assert len(signers(bundles[::-1])) == count


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(STATEMENT, release=None), "not given in the other"),
        (replace(STATEMENT, release=Release("m", serial=2)), "'serial': 2"),
        (
            replace(STATEMENT, manifest=replace(MANIFEST, layout=Layout("blake3"))),
            "algorithm is sha256 in one, blake3 in the other",
        ),
        (
            replace(STATEMENT, manifest=replace(MANIFEST, layout=Layout(shard_size=5))),
            "shard size is None in one, 5 in the other",
        ),
        (
            replace(STATEMENT, manifest=Manifest((Resource("a", b"1" * 32),))),
            "only one of them lists 'b'",
        ),
        (
            replace(
                STATEMENT,
                manifest=Manifest((Resource("a", b"1" * 32), Resource("b", b"3" * 32))),
            ),
            "give 'b' different digests",
        ),
    ],
)
def test_signers_who_disagree_are_told_about_what(other: Statement, said: str) -> None:
    """The release, the algorithm, the shards, the names, or the bytes."""
    with pytest.raises(SignatureMismatchError, match=said):
        agree([signed("k1"), replace(signed("k2"), statement=other)])


def test_permissions_are_those_of_all() -> None:
    """A path is left out, and links are followed, only if every signer said so."""
    loose = Layout(ignore_paths=("x", "y"), allow_symlinks=True)
    bundles = [
        replace(
            signed("k1"), statement=replace(STATEMENT, manifest=replace(MANIFEST, layout=loose))
        ),
        replace(
            signed("k2"),
            statement=replace(
                STATEMENT, manifest=replace(MANIFEST, layout=Layout(ignore_paths=("y",)))
            ),
        ),
    ]
    agree(bundles)
    assert agreed(bundles).layout == Layout(ignore_paths=("y",))
    assert agreed(bundles[:1]).layout == loose
