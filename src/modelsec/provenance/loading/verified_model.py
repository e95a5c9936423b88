"""An open model of which nothing but signed and safe bytes can be read."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from modelsec.errors import ArtifactError, ConfigurationError, MalformedArtifactError, shown
from modelsec.provenance.loading.coverage import Coverage
from modelsec.provenance.loading.holdings import Holdings
from modelsec.provenance.loading.inspection import Inspection
from modelsec.provenance.loading.memory_file import MemoryFile
from modelsec.provenance.loading.read_only import read_only
from modelsec.provenance.loading.safetensors_arrays import Arrays, read_arrays
from modelsec.provenance.loading.sealed import (
    SealedFile,
    can_seal,
    private_folder,
    private_memory,
    write_copy,
)
from modelsec.provenance.loading.verified_files import Match, SignedFile, in_order, is_hollow
from modelsec.scanning import ScanReport
from modelsec.signing.claim import Claim
from modelsec.signing.differences import mismatch
from modelsec.signing.receipt import Verification
from modelsec.signing.trees.tree import Tree

if TYPE_CHECKING:
    from modelsec.encryption.receipts import Decrypted
    from modelsec.provenance.loading.decryption import Decryptor

OnProgress = Callable[[int, int], None]
"""Told the bytes that were hashed so far, and those of all signed files."""


class VerifiedModel:
    """An open model. Made by ``open_verified``; a context manager. Threads may share it.

    Whatever it hands out equals what was signed, and stays so whatever happens to the files. Every
    method raises:

    * ``DigestMismatchError``: the file is no longer what was signed;
    * ``UnsafeArtifactError``: it is what was signed, and is not safe to load (if scanned);
    * ``DecryptionError``: it is what was signed, and cannot be decrypted (if it has to be);
    * ``ResourceLimitError``: it does not fit into ``max_bytes``, or into memory;
    * ``StaleModelError``: a newer release was accepted meanwhile, where releases are remembered;
    * ``ConfigurationError``: there is no such file, or the model is closed.

    Attributes:
        claim: who said what about the model.
        names: of the signed files, in code-point order.
    """

    def __init__(  # noqa: PLR0913 - made in one place
        self,
        *,
        claim: Claim,
        files: dict[str, SignedFile],
        tree: Tree,
        match: Match,
        holdings: Holdings,
        inspection: Inspection | None,
        coverage: Coverage,
        decryptor: "Decryptor | None",
        on_progress: OnProgress | None,
        resources: ExitStack,
    ) -> None:
        self.claim = claim
        self.names = tuple(match.entries)
        self._files = files
        self._tree = tree
        self._match = match
        self._holdings = holdings
        self._inspection = inspection
        self._on_progress = on_progress
        self._resources = resources
        self._total = sum(entry.size for entry in match.entries.values())
        self._hashed = 0
        self._coverage = coverage
        self._decryptor = decryptor
        self._copies: dict[str, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all descriptors. Views and arrays stay valid; paths do not.

        The numbers in paths are given to whatever is opened next: a path that is used after this
        leads nowhere, or to a file that nobody verified.
        """
        self._resources.close()

    def buffer(self, name: str) -> memoryview:
        """Return all bytes of a file, read-only, without a copy.

        The memory is free again when neither the view nor an array over it is in use; to ask anew
        is to read and to hash anew.
        """
        view = self._verified(name)
        self._inspect(name, view)
        return view

    def open(self, name: str) -> MemoryFile:
        """Return a read-only, seekable file over the same bytes, without a copy."""
        return MemoryFile(self.buffer(name), name)

    def tensors(self, name: str, *, raw: bool = False) -> Arrays:
        """Return the tensors of a safetensors file as read-only arrays over its one buffer.

        Args:
            name: of the file.
            raw: return types that numpy does not have as unsigned integers; see ``read_arrays``.

        Raises:
            MalformedArtifactError: the file breaks the rules of its format.
            UnsupportedFormatError: numpy does not have one of the types.
        """
        return read_arrays(self.buffer(name), raw=raw)

    def fd_path(self, name: str) -> str:
        """Return a path that this process can open for the sealed copy of a file.

        It is valid in this process, and until the model is closed; see ``close``. On systems
        without sealed files it is that of a private copy, which other programs of the same user
        can change; ``verification().unchecked`` says so.
        """
        self._check(name)
        if can_seal():
            return self._seal(name).path
        copy = self._copies.get(name)
        if copy is None:
            # Of two threads each makes its own; both are right, and both go when this closes.
            copy = self._copy(self._resources.enter_context(private_folder()), name)
            self._copies[name] = copy
        return str(copy)

    @contextmanager
    def directory(self, *, copies: bool = False) -> Iterator[Path]:
        """Give a private directory that is laid out like the model, for loaders that want one.

        Its files are links to sealed copies. All files are read, and held in memory until the
        model is closed.

        Args:
            copies: write real files instead, mode 0400, for loaders that resolve links. Other
                programs of the same user can change them.
        """
        self._holdings.check_open()
        linked = not copies and can_seal()
        with private_folder() as root:
            for name in self.names:
                if linked:
                    target = root / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.symlink_to(self._seal(name).path_everywhere)
                else:
                    self._copy(root, name)
            yield root

    def verification(self) -> Verification:
        """Return the receipt of what was read until now; ``partial`` unless that is all files."""
        return self._coverage.receipt(
            None if self._inspection is None else self.reports, self.decrypted
        )

    @property
    def receipt(self) -> Verification:
        """The receipt of what was read until now."""
        return self.verification()

    @property
    def reports(self) -> dict[str, ScanReport]:
        """The scans of the files that were read until now, by name."""
        return {} if self._inspection is None else dict(self._inspection.reports)

    @property
    def decrypted(self) -> "tuple[Decrypted, ...]":
        """What was signed as ciphertext and decrypted until now, by name."""
        return () if self._decryptor is None else self._decryptor.done

    def _verified(self, name: str) -> memoryview:
        """Return bytes that equal what was signed, decrypted if need be, and not scanned yet."""
        self._check(name)
        view = self._holdings.buffer(name)
        if view is None:
            with self._reading(name) as (descriptor, size):
                view = self._read(name, descriptor, size)
        self._coverage.accept(name)
        return view

    def _read(self, name: str, descriptor: int, size: int) -> memoryview:
        """Read and hash a file in one pass, into memory that was never anything else."""
        memory = private_memory(size) if size else bytearray()
        with memoryview(memory) as view:
            if not self._files[name].matches(view, self._advance, in_order(descriptor)):
                raise mismatch(self.claim.path, changed=(name,))
        content = read_only(memory)
        if self._decryptor is not None:
            self._coverage.accept(name)
            with self._holdings.reserve(size):  # the plaintext, which is smaller
                plain = self._decryptor.plaintext(name, content.data)
                content = content if plain is None else read_only(plain)
        return self._holdings.keep_buffer(name, content)

    def _seal(self, name: str) -> SealedFile:
        """Return the sealed copy of a file, verified and scanned."""
        self._check(name)
        sealed = self._holdings.sealed(name)
        if sealed is not None:
            return sealed
        if self._decryptor is not None:
            return self._seal_memory(name)
        with self._reading(name) as (descriptor, size):
            sealed = SealedFile(descriptor, size)
            return self._keep_sealed(name, sealed, self._is_signed)

    def _seal_memory(self, name: str) -> SealedFile:
        """Return a sealed copy of what ``buffer`` gives: of plaintext there is no file."""
        content = self.buffer(name)
        with self._holdings.reserve(len(content)):
            sealed = SealedFile(content, len(content))
            return self._keep_sealed(name, sealed, lambda _, copy: copy.equals(content))

    def _keep_sealed(
        self, name: str, sealed: SealedFile, is_right: Callable[[str, SealedFile], bool]
    ) -> SealedFile:
        """Keep a copy that is right now that nobody can change it; close any other."""
        right = False
        try:
            right = is_right(name, sealed)
        finally:
            if not right:
                sealed.close()
        if not right:
            raise mismatch(self.claim.path, changed=(name,))
        return self._holdings.keep_sealed(name, sealed)

    def _is_signed(self, name: str, sealed: SealedFile) -> bool:
        """Hash and scan what can no longer change."""
        with memoryview(sealed.map()) as view:
            if not self._files[name].matches(view, self._advance):
                return False
            self._coverage.accept(name)
            self._inspect(name, view)
            return True

    @contextmanager
    def _reading(self, name: str) -> Iterator[tuple[int, int]]:
        """Open a file, with room for its bytes; what goes wrong with it is a refusal of ours."""
        descriptor = self._tree.open(self._match.entries[name])
        try:
            size = os.fstat(descriptor).st_size
            with self._holdings.reserve(size):
                # Not counted as progress, but it can be cancelled.
                if is_hollow(self._files[name], descriptor, size, lambda _: self._advance(0)):
                    raise mismatch(self.claim.path, changed=(name,))
                yield descriptor, size
        except MalformedArtifactError as error:  # from reading: it was cut meanwhile
            raise mismatch(self.claim.path, changed=(name,)) from error
        except OSError as error:
            raise ArtifactError(f"{shown(name)} cannot be read: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def _inspect(self, name: str, view: memoryview) -> None:
        if self._inspection is not None:
            self._inspection.check(name, view, self._beside)

    def _beside(self, name: str) -> memoryview | None:
        """Return the bytes of another signed file, for a scan that needs it."""
        return self._verified(name) if name in self._match.entries else None

    def _copy(self, folder: Path, name: str) -> Path:
        view = self.buffer(name)
        self._coverage.copied = True
        target = folder / name
        write_copy(target, view)
        return target

    def _advance(self, count: int) -> None:
        self._hashed += count
        if self._on_progress is not None:
            self._on_progress(min(self._hashed, self._total), self._total)

    def _check(self, name: str) -> None:
        self._holdings.check_open()
        if not isinstance(name, str) or name not in self._match.entries:
            raise ConfigurationError(
                f"{shown(name)} is not one of the {len(self.names):,} files that were signed"
            )
