"""Legitimate variants: what other signers write, and what users ask for, has to be accepted."""

import json
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from modelsec.signing import Release, sign
from modelsec.signing.keys import PrivateKey

from . import foreign
from .authority import Request, certify, issuer, material
from .certificate import Office
from .edits import as_the_reference
from .foreign import Document
from .identity import NAME, mirrored, released
from .probe import Attempt, Variants
from .workshop import HONEST, Workshop, put

legitimate = Variants()

_SHARD = 1024
_OMS = "modelsec oms"


@legitimate.accepted_by()
def plain(shop: Workshop) -> Attempt:
    """Nothing special."""
    return shop.signed()


@legitimate.accepted_by()
def names_of_all_scripts(shop: Workshop) -> Attempt:
    """Names with spaces, parentheses, accents, Cyrillic, kanji and an emoji."""
    names = (
        "weights (final) v2.bin",
        "caf\u00e9.txt",
        "\u043c\u043e\u0434\u0435\u043b\u044c/\u0432\u0435\u0441\u0430.bin",
        "\u30e2\u30c7\u30eb/\u91cd\u307f.bin",
        "\U0001f917.md",
    )
    shop.make({**HONEST, **{name: name.encode() for name in names}})
    return shop.signed()


@legitimate.accepted_by()
def hidden_files(shop: Workshop) -> Attempt:
    """Dotfiles and folders that OMS does not leave out."""
    shop.make({**HONEST, ".config/settings.json": b"{}", "tokenizer/.gitignore": b"*.tmp\n"})
    return shop.signed()


@legitimate.accepted_by()
def shards(shop: Workshop) -> Attempt:
    """Shards as the text of OMS has them."""
    shop.make()
    return shop.signed(shop.statement(shard_size=_SHARD), shard_size=_SHARD)


@legitimate.accepted_by()
def colons_and_shards(shop: Workshop) -> Attempt:
    """Names with colons and numbers, in shards."""
    shop.make({**HONEST, "epoch:12:34": b"x" * 3000, "a:b.bin": b"y"})
    return shop.signed(as_the_reference(shop.statement(shard_size=_SHARD)), shard_size=_SHARD)


@legitimate.accepted_by()
def shards_of_the_reference(shop: Workshop) -> Attempt:
    """Shards as the reference writes them: size as a float, algorithm with the size in it."""
    shop.make()
    document = as_the_reference(shop.statement(shard_size=_SHARD))
    document["predicate"]["serialization"]["shard_size"] = float(_SHARD)
    return shop.signed(document, shard_size=_SHARD)


@legitimate.accepted_by()
def order_of_the_reference(shop: Workshop) -> Attempt:
    """Files in the order of their path's components, not of their code points."""
    shop.make({"unet/w.bin": b"1", "unet-x/w.bin": b"2", "unet.bin": b"3", "unet x": b"4"})
    document = shop.statement()
    document["predicate"]["resources"].sort(key=lambda each: each["name"].split("/"))
    return shop.signed(foreign.summed(document))


@legitimate.accepted_by()
def blake2(shop: Workshop) -> Attempt:
    """BLAKE2b digests."""
    shop.make()
    return shop.signed(shop.statement(algorithm="blake2b"))


@legitimate.accepted_by()
def blake3(shop: Workshop) -> Attempt:
    """BLAKE3 digests."""
    shop.make()
    return shop.signed(shop.statement(algorithm="blake3"))


@legitimate.accepted_by()
def empty_files(shop: Workshop) -> Attempt:
    """Files without bytes."""
    shop.make({**HONEST, "tokenizer/__init__.py": b""})
    return shop.signed()


@legitimate.accepted_by()
def empty_files_and_shards(shop: Workshop) -> Attempt:
    """Files without bytes in shards, which our signer names in its annotation."""
    shop.make({**HONEST, "tokenizer/__init__.py": b""})
    key = PrivateKey.generate("ecdsa-p256")
    sign(shop.model, key, signature=shop.bundle, shard_size=_SHARD)
    return shop.signed_as_it_is(key.public.pem, shard_size=_SHARD)


@legitimate.accepted_by()
def single_file_of_the_reference(shop: Workshop) -> Attempt:
    """A model that is one file, which the reference calls by a dot."""
    shop.model = put(shop.folder / "weights.bin", HONEST["weights.bin"])
    return shop.signed()


@legitimate.accepted_by()
def single_file(shop: Workshop) -> Attempt:
    """A model that is one file, under its name, as the text of OMS has it."""
    shop.model = put(shop.folder / "weights.bin", HONEST["weights.bin"])
    return shop.signed(shop.statement(single_file_name="weights.bin"))


@legitimate.accepted_by()
def key_id_of_null(shop: Workshop) -> Attempt:
    """A keyid of null, as before OMS 1.1.0."""
    return _signature_entry(shop, {"keyid": None})


@legitimate.accepted_by()
def no_key_id(shop: Workshop) -> Attempt:
    """No keyid."""
    return _signature_entry(shop, {})


@legitimate.accepted_by()
def no_log_entries(shop: Workshop) -> Attempt:
    """No tlogEntries."""
    return _with_material(shop, {"publicKey": {"hint": foreign.hint(shop.key)}})


@legitimate.accepted_by()
def key_within_the_bundle(shop: Workshop) -> Attempt:
    """The public key itself instead of a hint, as before OMS 1.1.0."""
    key = foreign.b64(foreign.public_pem(shop.key))
    return _with_material(
        shop, {"publicKey": {"rawBytes": key, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
    )


@legitimate.accepted_by()
def no_hint(shop: Workshop) -> Attempt:
    """Nothing about the key."""
    return _with_material(shop, {"publicKey": {}, "tlogEntries": []})


@legitimate.accepted_by()
def older_media_type(shop: Workshop) -> Attempt:
    """A bundle of version 0.2."""
    attempt = shop.signed()
    shop.write({**shop.read(), "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"})
    return attempt


@legitimate.accepted_by()
def indented(shop: Workshop) -> Attempt:
    """Bundle and payload with line breaks, indented."""
    shop.make()
    attempt = shop.signed(json.dumps(shop.statement(), indent=2).encode())
    shop.bundle.write_text(json.dumps(shop.read(), indent=2) + "\n", "utf-8")
    return attempt


@legitimate.accepted_by()
def resources_say_more(shop: Workshop) -> Attempt:
    """Members of resources and of the subject that OMS leaves to others."""
    shop.make()
    document = shop.statement()
    document["subject"][0]["annotations"] = {"example.com": {"reviewed": True}}
    for each in document["predicate"]["resources"]:
        each["annotations"] = {"license": "Apache-2.0"}
    return shop.signed(document)


@legitimate.accepted_by()
def nothing_ignored(shop: Workshop) -> Attempt:
    """A statement without ignore_paths, as before OMS 1.1.0."""
    shop.make()
    document = shop.statement()
    del document["predicate"]["serialization"]["ignore_paths"]
    return shop.signed(document)


@legitimate.accepted_by()
def unsigned_files(shop: Workshop) -> Attempt:
    """Files that nobody signed, which the caller permits."""
    attempt = shop.signed(ignore_unsigned=True)
    put(shop.model / "notes.txt")
    return attempt


@legitimate.accepted_by()
def unsigned_files_and_shards(shop: Workshop) -> Attempt:
    """Files that nobody signed, which the caller permits, in a model in shards."""
    shop.make()
    document = as_the_reference(shop.statement(shard_size=_SHARD))
    attempt = shop.signed(document, ignore_unsigned=True, shard_size=_SHARD)
    put(shop.model / "notes.txt")
    return attempt


@legitimate.accepted_by()
def bundle_within_the_model(shop: Workshop) -> Attempt:
    """The bundle inside the directory that it signs."""
    shop.make()
    document = shop.statement()
    document["predicate"]["serialization"]["ignore_paths"].append("model.sig")
    return shop.signed(document, to=shop.model / "model.sig")


@legitimate.accepted_by()
def model_elsewhere(shop: Workshop) -> Attempt:
    """A model whose directory was renamed."""
    attempt = shop.signed()
    return replace(attempt, model=shop.model.rename(shop.folder / "production"))


@legitimate.accepted_by()
def curve_p384(shop: Workshop) -> Attempt:
    """A key on P-384, with SHA-384."""
    shop.key = ec.generate_private_key(ec.SECP384R1())
    return shop.signed()


@legitimate.accepted_by()
def curve_p521(shop: Workshop) -> Attempt:
    """A key on P-521, with SHA-512."""
    shop.key = ec.generate_private_key(ec.SECP521R1())
    return shop.signed()


@legitimate.accepted_by()
def mirrored_signature(shop: Workshop) -> Attempt:
    """The other signature (r, n - s): ECDSA has two, so that no signature is an identity."""
    attempt = shop.signed()
    return replace(attempt, bundles=(mirrored(shop),))


@legitimate.accepted_by()
def certificates(shop: Workshop) -> Attempt:
    """A leaf below an intermediate below the root."""
    return Office.open(shop).honest()


@legitimate.accepted_by()
def leaf_below_the_root(shop: Workshop) -> Attempt:
    """A leaf that the root itself issued, with nothing else in the chain."""
    office = Office.open(shop)
    leaf = certify(Request(), office.root)
    return office.delivered(leaf, material(leaf))


@legitimate.accepted_by()
def root_brought_along(shop: Workshop) -> Attempt:
    """The root at the end of the chain in the bundle."""
    office = Office.open(shop)
    return office.signed(office.leaf(), office.intermediate, office.root)


@legitimate.accepted_by()
def authorities_with_rsa(shop: Workshop) -> Attempt:
    """CAs with RSA keys above a leaf with an EC key."""
    office = Office.open(shop)
    office.root = certify(issuer("root", key=_rsa()))
    office.intermediate = certify(issuer("intermediate", key=_rsa()), office.root)
    return office.signed(office.leaf())


@legitimate.accepted_by()
def leaf_of_its_issuers_name(shop: Workshop) -> Attempt:
    """A leaf with its issuer's name, that calls itself a CA, as in the reference's own fixtures."""
    office = Office.open(shop)
    return office.signed(office.leaf(name="intermediate", ca=True))


@legitimate.accepted_by()
def certificate_as_root(shop: Workshop) -> Attempt:
    """A certificate that is its own issuer, and is the one that is trusted."""
    office = Office.open(shop)
    leaf = certify(Request())
    return office.delivered(leaf, material(leaf), root=leaf)


@legitimate.accepted_by(asked="the model's name")
def release_named(shop: Workshop) -> Attempt:
    """The model and the version that are meant."""
    shop.make()
    release = Release(NAME, version="2.0", serial=7)
    return released(shop, release, name=NAME, version="2.0")


@legitimate.accepted_by(asked="several signers")
def two_signers(shop: Workshop) -> Attempt:
    """Two signers of one model, and both are asked for."""
    second = shop.folder / "second.sig"
    keys = (shop.trusted(), shop.trusted(shop.attacker, "second"))
    shop.signed(key=shop.attacker, to=second)
    attempt = shop.signed(keys=keys, threshold=2)
    return replace(attempt, bundles=(shop.bundle, second))


@legitimate.accepted_by(asked="a key set")
def new_key(shop: Workshop) -> Attempt:
    """A bundle by the newer of two trusted keys."""
    keys = (shop.trusted(shop.attacker, "old"), shop.trusted())
    return shop.signed(keys=keys)


@legitimate.accepted_by(asked="single files")
def one_file_of_many(shop: Workshop) -> Attempt:
    """Only one file is asked for, and another one changed."""
    attempt = shop.signed(only=("weights.bin",))
    put(shop.model / "modeling.py")
    return attempt


@legitimate.accepted_by(_OMS)
def git_files(shop: Workshop) -> Attempt:
    """A checkout with its .git, which OMS leaves out."""
    attempt = shop.signed()
    put(shop.model / ".git/config", b"[core]\n")
    return attempt


@legitimate.accepted_by(_OMS)
def links_permitted(shop: Workshop) -> Attempt:
    """A link to a file within the model, which its signer permitted and followed."""
    shop.make()
    (shop.model / "latest.bin").symlink_to("weights.bin")
    document = shop.statement()
    document["predicate"]["serialization"]["allow_symlinks"] = True
    return shop.signed(document, links=True)


def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _signature_entry(shop: Workshop, more: Document) -> Attempt:
    attempt = shop.signed()
    document = shop.read()
    signature = document["dsseEnvelope"]["signatures"][0]["sig"]
    document["dsseEnvelope"]["signatures"] = [{"sig": signature, **more}]
    shop.write(document)
    return attempt


def _with_material(shop: Workshop, given: Document) -> Attempt:
    attempt = shop.signed()
    shop.write({**shop.read(), "verificationMaterial": given})
    return attempt
