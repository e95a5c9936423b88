"""One public-key infrastructure that the tests of certificates share."""

from typing import Any

from modelsec.signing.bundles.bundle import Bundle
from modelsec.signing.x509.certificates import TrustedRoots
from tests.support.certificates import NOW, authority, issue, signed

ROOT = authority("CN=root,O=Example")
MIDDLE = authority("CN=middle,O=Example", ROOT)
NAMES = [
    ("email", "alice@example.com"),
    ("dns", "build.example.com"),
    ("uri", "https://ci.example.com/release?ref=main"),
]
LEAF = issue("CN=signer,O=Example,C=GB", MIDDLE, names=NAMES)
BUNDLE = signed(LEAF, MIDDLE)


def identified(wanted: Any, bundle: Bundle = BUNDLE, **options: Any) -> str | None:
    """Return the identity that is found in a bundle."""
    trust = TrustedRoots(ROOT.pem, identity=wanted)
    return trust.authenticate(bundle, now=NOW, **options).identity
