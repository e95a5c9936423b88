"""Keyed, one-way images of text: what may be stored in place of the text."""

from hashlib import blake2b

from modelsec.text.minhash import KEY_BYTES, MinHash


class KeyedFingerprints:
    """Fingerprints and sketches under one key.

    Args:
        key: 32 secret bytes; the same key everywhere that shares a store.
    """

    __slots__ = ("_key", "_minhash")

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key=key, person=b"fingerprint", digest_size=32).digest()
        minhash_key = blake2b(key=key, person=b"minhash", digest_size=KEY_BYTES).digest()
        self._minhash = MinHash(minhash_key)

    def fingerprint(self, text: str) -> int:
        """Return a 64-bit BLAKE2b MAC of ``text``."""
        data = text.encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(data, key=self._key, digest_size=8).digest(), "little")

    def sketch(self, text: str) -> int:
        """Return the 32-bit similarity sketch of a canonical ``text``."""
        return self._minhash.sketch(text)

    def __repr__(self) -> str:
        """Show no key."""
        return "KeyedFingerprints(...)"

    def __reduce__(self) -> str:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("KeyedFingerprints cannot be pickled; make them from the secret again")
