"""Attacks with certificates: valid signatures by keys that nobody was meant to trust."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from modelsec.errors import (
    BundleFormatError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
)

from . import foreign
from .authority import (
    SIGNER,
    TLS_SERVER,
    Certified,
    Request,
    certify,
    issuer,
    material,
    signed_over_sha1,
)
from .foreign import Document
from .probe import NOW, Attacks, Attempt
from .workshop import Workshop, put

attacks = Attacks("certificate")

_LONG_AGO = NOW - timedelta(days=300)
_LATER = NOW + timedelta(days=20)
_TOO_LONG = 9
_NAMESAKES = 14


@dataclass(slots=True)
class Office:
    """A root, an intermediate, and a model that a leaf below them signed."""

    shop: Workshop
    root: Certified
    intermediate: Certified

    @classmethod
    def open(cls, shop: Workshop) -> "Office":
        """Make the two CAs."""
        shop.make()
        root = certify(issuer("root"))
        return cls(shop, root, certify(issuer("intermediate"), root))

    def signed(self, leaf: Certified, *chain: Certified, root: Certified | None = None) -> Attempt:
        """Sign the model as it is with a leaf, and trust a root."""
        return self.delivered(leaf, material(leaf, *(chain or (self.intermediate,))), root=root)

    def delivered(
        self, leaf: Certified, brought: Document, *, root: Certified | None = None
    ) -> Attempt:
        """Sign the model as it is, and bring some material."""
        assert isinstance(leaf.key, ec.EllipticCurvePrivateKey)
        payload = foreign.encoded(self.shop.statement())
        self.shop.write(foreign.bundle(payload, leaf.key, brought))
        path = put(self.shop.folder / "root.pem", (root or self.root).pem)
        return Attempt(self.shop.model, (self.shop.bundle,), roots=(path,), identity=SIGNER)

    def leaf(self, **changes: object) -> Certified:
        """Return a leaf below the intermediate; without changes it is a good one."""
        return certify(replace(Request(), **changes), self.intermediate)

    def honest(self) -> Attempt:
        """Return the control."""
        return self.signed(self.leaf())


def _with_leaf(shop: Workshop, **changes: object) -> Iterator[Attempt]:
    office = Office.open(shop)
    yield office.honest()
    yield office.signed(office.leaf(**changes))


def _with_intermediate(shop: Workshop, **changes: object) -> Iterator[Attempt]:
    office = Office.open(shop)
    yield office.honest()
    office.intermediate = certify(issuer("intermediate", **changes), office.root)
    yield office.signed(office.leaf())


@attacks.refused_as(UntrustedSignerError)
def expired(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a certificate that expired 270 days ago, and whose key was lost since."""
    yield from _with_leaf(shop, not_before=_LONG_AGO, not_after=NOW - timedelta(days=270))


@attacks.refused_as(UntrustedSignerError)
def not_yet_valid(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a certificate that is not valid yet."""
    yield from _with_leaf(shop, not_before=_LATER)


@attacks.refused_as(UntrustedSignerError)
def expired_intermediate(shop: Workshop) -> Iterator[Attempt]:
    """Sign below an intermediate that has expired."""
    yield from _with_intermediate(shop, not_after=NOW - timedelta(days=1))


@attacks.refused_as(UntrustedSignerError)
def expired_root(shop: Workshop) -> Iterator[Attempt]:
    """Sign below a root that has expired."""
    office = Office.open(shop)
    yield office.honest()
    office.root = certify(issuer("root", not_after=NOW - timedelta(days=1)))
    office.intermediate = certify(issuer("intermediate"), office.root)
    yield office.signed(office.leaf())


@attacks.refused_as(UntrustedSignerError)
def of_a_web_server(shop: Workshop) -> Iterator[Attempt]:
    """Sign with the certificate of a TLS server, which anybody with a domain has."""
    yield from _with_leaf(shop, purposes=TLS_SERVER)


@attacks.refused_as(UntrustedSignerError, asked="the signer's identity")
def of_somebody_else(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a certificate that the same CA gave to another person."""
    yield from _with_leaf(shop, name="intern", emails=("intern@example.com",))


@attacks.refused_as(UntrustedSignerError, asked="the signer's identity")
def identity_as_common_name(shop: Workshop) -> Iterator[Attempt]:
    """Have the wanted e-mail address as the common name, which nobody checks."""
    yield from _with_leaf(shop, name=SIGNER, emails=("intern@example.com",))


@attacks.refused_as(UntrustedSignerError, asked="the signer's identity")
def identity_with_a_tail(shop: Workshop) -> Iterator[Attempt]:
    """Have an e-mail address that begins like the wanted one."""
    yield from _with_leaf(shop, emails=(f"{SIGNER}.attacker.example",))


@attacks.refused_as(UntrustedSignerError)
def another_authority(shop: Workshop) -> Iterator[Attempt]:
    """Sign below another root, with the same names everywhere."""
    office = Office.open(shop)
    yield office.honest()
    trusted = office.root
    office.root = certify(issuer("root"))
    office.intermediate = certify(issuer("intermediate"), office.root)
    yield office.signed(office.leaf(), root=trusted)


@attacks.refused_as(UntrustedSignerError)
def root_in_the_bundle(shop: Workshop) -> Iterator[Attempt]:
    """Bring the other root along in the bundle."""
    office = Office.open(shop)
    yield office.honest()
    trusted = office.root
    office.root = certify(issuer("root"))
    office.intermediate = certify(issuer("intermediate"), office.root)
    yield office.signed(office.leaf(), office.intermediate, office.root, root=trusted)


@attacks.refused_as(UntrustedSignerError)
def signed_by_itself(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a certificate that is its own issuer, under the root's name."""
    office = Office.open(shop)
    yield office.honest()
    leaf = certify(replace(Request(), name="root"))
    yield office.signed(leaf, office.root)


@attacks.refused_as(UntrustedSignerError)
def leaf_as_authority(shop: Workshop) -> Iterator[Attempt]:
    """Issue a certificate with the key of a leaf, which is no CA."""
    office = Office.open(shop)
    yield office.honest()
    between = office.leaf(name="intern", emails=("intern@example.com",))
    yield office.signed(certify(Request(), between), between, office.intermediate)


@attacks.refused_as(UntrustedSignerError)
def too_far_below(shop: Workshop) -> Iterator[Attempt]:
    """Issue through a second CA where the first one may have none below it."""
    office = Office.open(shop)
    yield office.honest()
    first = certify(issuer("intermediate", path_length=0), office.root)
    second = certify(issuer("below"), first)
    yield office.signed(certify(Request(), second), second, first)


@attacks.refused_as(UntrustedSignerError)
def issuer_that_may_not_sign(shop: Workshop) -> Iterator[Attempt]:
    """Sign below a CA whose key may only sign revocation lists."""
    yield from _with_intermediate(shop, usage=("crl_sign",))


@attacks.refused_as(UntrustedSignerError)
def issuer_without_constraints(shop: Workshop) -> Iterator[Attempt]:
    """Sign below a certificate that does not say that it is a CA."""
    yield from _with_intermediate(shop, ca=None)


@attacks.refused_as(UntrustedSignerError)
def issuer_for_web_servers(shop: Workshop) -> Iterator[Attempt]:
    """Sign below a CA that may only issue for TLS servers."""
    yield from _with_intermediate(shop, purposes=TLS_SERVER)


@attacks.refused_as(UntrustedSignerError)
def key_for_encryption(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a key that the CA certified for encryption, not for signatures."""
    yield from _with_leaf(shop, usage=("key_encipherment",))


@attacks.refused_as(UntrustedSignerError)
def key_for_nothing(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a certificate that says nothing about its use."""
    yield from _with_leaf(shop, usage=None, purposes=())


@attacks.refused_as(UntrustedSignerError)
def critical_extension(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a certificate that has a critical condition which the verifier does not know."""
    condition = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\0")
    yield from _with_leaf(shop, extra=((condition, True),))


@attacks.refused_as(UntrustedSignerError)
def outside_the_permitted_names(shop: Workshop) -> Iterator[Attempt]:
    """Sign below a CA that may only name the addresses of another company."""
    permitted = x509.NameConstraints([x509.RFC822Name("other.example")], None)
    yield from _with_intermediate(shop, extra=((permitted, True),))


@attacks.refused_as(UntrustedSignerError)
def short_key_above(shop: Workshop) -> Iterator[Attempt]:
    """Sign below a CA with an RSA key of 1,024 bits."""
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    yield from _with_intermediate(shop, key=weak)


@attacks.refused_as(UntrustedSignerError)
def broken_hash(shop: Workshop) -> Iterator[Attempt]:
    """Sign below a CA whose own certificate was signed over SHA-1."""
    office = Office.open(shop)
    yield office.honest()
    office.root = certify(issuer("root", key=rsa.generate_private_key(65537, 2048)))
    good = certify(issuer("intermediate"), office.root)
    office.intermediate = signed_over_sha1(good, office.root)
    yield office.signed(office.leaf())


@attacks.refused_as(UnsupportedBundleError)
def curve_outside_the_registry(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a key on a curve of the right size that is not in the registry of OMS."""
    yield from _with_leaf(shop, key=ec.generate_private_key(ec.SECP256K1()))


@attacks.refused_as(UnsupportedBundleError)
def rsa_leaf(shop: Workshop) -> Iterator[Attempt]:
    """Bring a certificate of an RSA key, of which OMS knows no signatures."""
    office = Office.open(shop)
    yield office.honest()
    key = rsa.generate_private_key(65537, 2048)
    signer = office.leaf()
    yield office.delivered(signer, material(office.leaf(key=key), office.intermediate))


@attacks.refused_as(SignatureMismatchError)
def leaf_of_another_key(shop: Workshop) -> Iterator[Attempt]:
    """Bring the honest signer's certificate with a signature by another key."""
    office = Office.open(shop)
    yield office.honest()
    stolen = material(office.leaf(), office.intermediate)
    put(shop.model / "modeling.py")
    other = certify(Request())
    yield office.delivered(other, stolen)


@attacks.refused_as(BundleFormatError)
def no_certificate(shop: Workshop) -> Iterator[Attempt]:
    """Bring a chain without certificates."""
    office = Office.open(shop)
    yield office.honest()
    yield office.delivered(office.leaf(), material())


@attacks.refused_as(BundleFormatError)
def certificate_of_junk(shop: Workshop) -> Iterator[Attempt]:
    """Bring bytes that are no certificate."""
    office = Office.open(shop)
    yield office.honest()
    brought = material(office.leaf(), office.intermediate)
    brought["x509CertificateChain"]["certificates"][0] = {"rawBytes": foreign.b64(b"0\x82junk")}
    yield office.delivered(office.leaf(), brought)


@attacks.refused_as(BundleFormatError)
def certificate_cut_off(shop: Workshop) -> Iterator[Attempt]:
    """Bring an intermediate of which the end is missing."""
    office = Office.open(shop)
    yield office.honest()
    brought = material(leaf := office.leaf(), office.intermediate)
    whole = brought["x509CertificateChain"]["certificates"][1]["rawBytes"]
    brought["x509CertificateChain"]["certificates"][1] = {"rawBytes": whole[:200]}
    yield office.delivered(leaf, brought)


@attacks.refused_as(UntrustedSignerError)
def chain_without_end(shop: Workshop) -> Iterator[Attempt]:
    """Put nine CAs between the leaf and the root."""
    office = Office.open(shop)
    yield office.honest()
    chain = [office.root]
    for number in range(_TOO_LONG):
        chain.append(certify(issuer(f"intermediate {number}"), chain[-1]))
    leaf = certify(Request(), chain[-1])
    yield office.signed(leaf, *reversed(chain[1:]))


@attacks.refused_as(UntrustedSignerError)
def many_namesakes(shop: Workshop) -> Iterator[Attempt]:
    """Bring CAs that all have one name and one key, so that a search for a path takes for ever."""
    office = Office.open(shop)
    yield office.honest()
    key = ec.generate_private_key(ec.SECP256R1())
    first = certify(issuer("loop", key=key))
    loop = [first, *(certify(issuer("loop", key=key), first) for _ in range(_NAMESAKES))]
    leaf = certify(Request(), first)
    yield office.signed(leaf, *loop)


@attacks.refused_as(UnsupportedBundleError)
def key_for_a_certificate(shop: Workshop) -> Iterator[Attempt]:
    """Bring a bare key to a verifier who trusts certificates."""
    office = Office.open(shop)
    yield office.honest()
    brought = {"publicKey": {"hint": foreign.hint(shop.key)}, "tlogEntries": []}
    yield office.delivered(office.leaf(), brought)
