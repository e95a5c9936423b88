"""Who a verifier was given to trust."""

from typing import Any

import pytest

from modelsec.errors import ConfigurationError
from modelsec.signing import PinnedDigest, PrivateKey, TrustedKeys, TrustedRoots, Verifier
from modelsec.signing.parties import trusted_parties, unchecked_by

TRUST = TrustedKeys([PrivateKey.generate().public])


class Silent:
    """Has a method that is not written in Python, and does not say what it takes."""

    authenticate = staticmethod(max)


class Old:
    """Takes the bundle only."""

    def authenticate(self, bundle: object) -> None:
        """Say nothing."""


def test_one_or_several_trusts_are_taken() -> None:
    """In any sequence; what cannot be asked what it takes is believed until it answers."""
    assert trusted_parties(TRUST) == (TRUST,)
    silent = Silent()
    assert trusted_parties([TRUST, silent]) == (TRUST, silent)
    assert unchecked_by(TRUST) == ()


@pytest.mark.parametrize(
    ("trust", "said"),
    [
        *(((), "somebody to trust"), (None, "somebody to trust"), ("key.pem", "somebody to trust")),
        *((TrustedKeys, "is a class"), ([TRUST, TrustedRoots], "is a class")),
        *(
            (Verifier(TRUST), "place of a Verifier"),
            (PinnedDigest("0" * 64), "PinnedDigest judges"),
        ),
        *(([TRUST, 5], "not 5"), (Old(), "Old judges models")),
    ],
)
def test_natural_mistakes_are_told(trust: Any, said: str) -> None:
    """When the verifier is made, not when the first model arrives."""
    with pytest.raises(ConfigurationError, match=said):
        trusted_parties(trust)
