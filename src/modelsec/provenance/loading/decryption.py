"""Files that were signed as ciphertext, and are handed out as plaintext.

The signature is over what is stored: it is verified first, and only ciphertext that was signed is
decrypted. What was encrypted by ``encrypt_file`` or ``encrypt_folder`` is recognised by its first
bytes, which are signed, too; every other file is handed out as it is.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from modelsec.encryption.context import Context, pairs_of
from modelsec.encryption.decrypting import decrypt_to_buffer
from modelsec.encryption.folder_listing import names_digest
from modelsec.encryption.folders import FILE, FILES, SET, own_pairs
from modelsec.encryption.header import MAGIC, MAX_HEADER, Header
from modelsec.encryption.receipts import Decrypted
from modelsec.errors import ConfigurationError, DecryptionError, shown

if TYPE_CHECKING:
    from modelsec.protocols.keys import KeyWrapper

_IN_MEMORY: Final = "memory"


@dataclass(frozen=True, slots=True)
class Decryption:
    """Who unwraps the keys of a model's files, and what they were encrypted as.

    Attributes:
        wrapper: unwraps the data keys.
        context: exactly that of ``encrypt_file`` or ``encrypt_folder``; a function of the signed
            name where every file has its own.
    """

    wrapper: "KeyWrapper"
    context: Context | Callable[[str], Context | None] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.wrapper, type) or not callable(getattr(self.wrapper, "unwrap", None)):
            raise ConfigurationError(
                f"{shown(self.wrapper)} unwraps no keys: give a KeyWrapper, for example "
                "LocalKeyWrapper.load(path)"
            )
        if not callable(self.context):
            pairs_of(self.context)

    def context_of(self, name: str) -> Context | None:
        """Return what a file has to be encrypted as."""
        return self.context(name) if callable(self.context) else self.context


class Decryptor:
    """Decrypts the files of one model, and remembers which. Threads may share it.

    Args:
        decryption: the key and the context.
        names: of all signed files: an encrypted folder is bound to the names of its files.
    """

    def __init__(self, decryption: Decryption, names: tuple[str, ...]) -> None:
        if not isinstance(decryption, Decryption):
            raise ConfigurationError(
                f"decrypt={shown(decryption)}: give Decryption(wrapper, context)"
            )
        self._decryption = decryption
        self._names = names
        self._lock = threading.Lock()
        self._sets: dict[str, str] = {}
        self._done: dict[str, Decrypted] = {}

    @property
    def done(self) -> tuple[Decrypted, ...]:
        """What was decrypted until now, in code-point order of the names."""
        with self._lock:
            return tuple(self._done[name] for name in sorted(self._done))

    def plaintext(self, name: str, content: memoryview) -> memoryview | None:
        """Return the plaintext of a file whose bytes were verified; None if it is not encrypted.

        Raises:
            DecryptionError: the key or the context is another one, the ciphertext was wrong
                already when it was signed, or the file is not at its place in its folder.
            KeyServiceError: the wrapper could not answer.
            ResourceLimitError: there is no memory for the plaintext.
        """
        if bytes(content[: len(MAGIC)]) != MAGIC:
            return None
        header, _ = Header.parse(bytes(content[:MAX_HEADER]))
        claimed = dict(header.context)
        context = self._decryption.context_of(name)
        folder = None
        if SET in claimed:
            folder = self._folder(name, claimed)
            context = own_pairs(context) | {
                FILE: name.removeprefix(folder),
                FILES: self._names_within(folder),
                # The number is a claim until a file is decrypted under it, and then the others'.
                SET: self._sets.get(folder, claimed[SET]),
            }
        plain = decrypt_to_buffer(content, self._decryption.wrapper, context=context)
        self._note(name, header, len(plain), folder, claimed)
        return plain

    def _folder(self, name: str, claimed: Context) -> str:
        """Return where the encrypted folder lies within the model, with a slash behind it."""
        inner = claimed.get(FILE, "")
        folder = name.removesuffix(inner)
        if not inner or folder == name or (folder and not folder.endswith("/")):
            raise DecryptionError(
                f"{shown(name)} was encrypted as {shown(inner)} of a folder: it was renamed"
            )
        return folder

    def _names_within(self, folder: str) -> str:
        within = (name for name in self._names if name.startswith(folder))
        return names_digest(name.removeprefix(folder) for name in within)

    def _note(
        self, name: str, header: Header, size: int, folder: str | None, claimed: Context
    ) -> None:
        with self._lock:
            if folder is not None and self._sets.setdefault(folder, claimed[SET]) != claimed[SET]:
                raise DecryptionError(f"{shown(name)} is of another encryption of its folder")
            self._done[name] = Decrypted(
                source=name,
                target=_IN_MEMORY,
                key_id=header.key_id,
                context=header.context,
                plaintext_size=size,
            )
