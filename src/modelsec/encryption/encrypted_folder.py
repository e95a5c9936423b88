"""Reading single files of an encrypted folder, without decrypting the others."""

from typing import TYPE_CHECKING

from modelsec.encryption.blocks import Progress
from modelsec.encryption.context import Context
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.decrypting import unseal_to_buffer
from modelsec.encryption.envelope import open_envelope
from modelsec.encryption.folder_listing import Listing
from modelsec.encryption.folders import claimed_set, own_pairs, pairs_in
from modelsec.encryption.partly_verified import PartlyVerifiedFile
from modelsec.encryption.transform import Effort
from modelsec.errors import DecryptionError

if TYPE_CHECKING:
    from pathlib import Path

    from modelsec.protocols.keys import KeyWrapper


class EncryptedFolder:
    """What ``encrypt_folder`` wrote, read file by file; the wrapper is asked once a file.

    What is guaranteed: the names are those that were encrypted, nothing added and nothing missing,
    and every file that is read is of this set, under its own name. What is **not**: that files
    nobody has read are intact, or of this set. ``decrypt_folder`` finds out.

    The folder is listed once. A file that is written to, replaced or becomes a link afterwards is
    refused.

    Args:
        path: the folder.
        wrapper: unwraps the data keys.
        context: exactly the context that the folder was encrypted with.

    Raises:
        DecryptionError: the names are not those that were encrypted, or key or context are others.
        UnsafeTreeError: the folder holds links or what is no file, or nothing.
        ConfigurationError: it cannot be read, or an argument is wrong.
        KeyServiceError: the wrapper could not answer.
    """

    __slots__ = ("_common", "_listing", "_wrapper")

    def __init__(
        self, path: "str | Path", wrapper: "KeyWrapper", *, context: Context | None = None
    ) -> None:
        key_id_of(wrapper)
        given = own_pairs(context)
        self._wrapper = wrapper
        self._listing = Listing(path, DecryptionError)
        self._common = claimed_set(self._listing, given)
        # Every file is bound to the names of all and to the set: one proves both.
        first = self.names[0]
        with self._listing.opened(first) as file:
            open_envelope(file, wrapper, pairs_in(self._common, first))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all files, with ``/``, in code-point order; verified."""
        return self._listing.names

    def buffer(
        self, name: str, *, workers: int | None = None, on_progress: Progress | None = None
    ) -> memoryview:
        """Decrypt one file into a new buffer, all of it verified; see ``decrypt_to_buffer``.

        Raises:
            DecryptionError: the file was changed, or is of another name or set.
            ResourceLimitError: there is not enough memory.
            ConfigurationError: there is no such file, or it cannot be read.
            KeyServiceError: the wrapper could not answer.
        """
        with self._listing.opened(name) as file:
            pairs = pairs_in(self._common, name)
            return unseal_to_buffer(file, self._wrapper, pairs, Effort(workers, on_progress))

    def open(self, name: str) -> PartlyVerifiedFile:
        """Open one file to read parts of it: only what is read is verified, and the file's length.

        Raises:
            DecryptionError: the file was changed, or is of another name or set.
            ConfigurationError: there is no such file, or it cannot be read.
            KeyServiceError: the wrapper could not answer.
        """
        self._listing.identity(name)
        return PartlyVerifiedFile.of(
            self._listing.opened(name), self._wrapper, pairs_in(self._common, name)
        )

    def __repr__(self) -> str:
        """Show where it is, and how many files it holds."""
        return f"EncryptedFolder({str(self._listing.root)!r}, files={len(self.names)})"
