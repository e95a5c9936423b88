"""Models encrypted at rest: AES-256-GCM, a key for each file, and keys that wrap those keys."""

from typing import TYPE_CHECKING

from modelsec.lazy import resolver

if TYPE_CHECKING:
    from modelsec.encryption.aws_kms import AwsKmsWrapper
    from modelsec.encryption.decrypting import decrypt_file, decrypt_into, decrypt_to_buffer
    from modelsec.encryption.encrypted_folder import EncryptedFolder
    from modelsec.encryption.encrypting import SEGMENT_1MB, SEGMENT_4KB, encrypt_file
    from modelsec.encryption.envelope import unverified_header
    from modelsec.encryption.folder_rotation import rewrap_folder
    from modelsec.encryption.folders import decrypt_folder, encrypt_folder
    from modelsec.encryption.header import Header
    from modelsec.encryption.key_file import LocalKeyWrapper
    from modelsec.encryption.partly_verified import PartlyVerifiedFile
    from modelsec.encryption.receipts import Decrypted, Encrypted, Rewrapped
    from modelsec.encryption.rotation import rewrap
    from modelsec.encryption.tink_kms import TinkKmsWrapper
    from modelsec.encryption.tink_streams import (
        decrypt_tink_stream,
        encrypt_tink_stream,
        tink_stream_to_buffer,
    )
    from modelsec.encryption.vault import VaultTransitWrapper
    from modelsec.encryption.wrapper_uri import wrapper_from_uri
    from modelsec.protocols.keys import KeyWrapper

_PACKAGE = "modelsec.encryption."
_HOMES = {
    "SEGMENT_1MB": _PACKAGE + "encrypting",
    "SEGMENT_4KB": _PACKAGE + "encrypting",
    "AwsKmsWrapper": _PACKAGE + "aws_kms",
    "Decrypted": _PACKAGE + "receipts",
    "Encrypted": _PACKAGE + "receipts",
    "EncryptedFolder": _PACKAGE + "encrypted_folder",
    "Header": _PACKAGE + "header",
    "KeyWrapper": "modelsec.protocols.keys",
    "LocalKeyWrapper": _PACKAGE + "key_file",
    "PartlyVerifiedFile": _PACKAGE + "partly_verified",
    "Rewrapped": _PACKAGE + "receipts",
    "TinkKmsWrapper": _PACKAGE + "tink_kms",
    "VaultTransitWrapper": _PACKAGE + "vault",
    "decrypt_file": _PACKAGE + "decrypting",
    "decrypt_folder": _PACKAGE + "folders",
    "decrypt_into": _PACKAGE + "decrypting",
    "decrypt_tink_stream": _PACKAGE + "tink_streams",
    "decrypt_to_buffer": _PACKAGE + "decrypting",
    "encrypt_file": _PACKAGE + "encrypting",
    "encrypt_folder": _PACKAGE + "folders",
    "encrypt_tink_stream": _PACKAGE + "tink_streams",
    "rewrap": _PACKAGE + "rotation",
    "rewrap_folder": _PACKAGE + "folder_rotation",
    "tink_stream_to_buffer": _PACKAGE + "tink_streams",
    "unverified_header": _PACKAGE + "envelope",
    "wrapper_from_uri": _PACKAGE + "wrapper_uri",
}

__all__ = [
    "SEGMENT_1MB",
    "SEGMENT_4KB",
    "AwsKmsWrapper",
    "Decrypted",
    "Encrypted",
    "EncryptedFolder",
    "Header",
    "KeyWrapper",
    "LocalKeyWrapper",
    "PartlyVerifiedFile",
    "Rewrapped",
    "TinkKmsWrapper",
    "VaultTransitWrapper",
    "decrypt_file",
    "decrypt_folder",
    "decrypt_into",
    "decrypt_tink_stream",
    "decrypt_to_buffer",
    "encrypt_file",
    "encrypt_folder",
    "encrypt_tink_stream",
    "rewrap",
    "rewrap_folder",
    "tink_stream_to_buffer",
    "unverified_header",
    "wrapper_from_uri",
]

__getattr__, __dir__ = resolver(__name__, _HOMES, globals())
