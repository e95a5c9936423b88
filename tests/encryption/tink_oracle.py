"""The real Tink, with a key that we choose: what our streams are compared with."""

import io

from tink import proto_keyset_format, secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

_TYPE = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"


class TinkStream:
    def __init__(self, key: bytes, segment_size: int) -> None:
        streaming_aead.register()
        params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
            ciphertext_segment_size=segment_size,
            derived_key_size=32,
            hkdf_hash_type=common_pb2.SHA256,
        )
        value = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
            version=0, key_value=key, params=params
        )
        data = tink_pb2.KeyData(
            type_url=_TYPE,
            value=value.SerializeToString(),
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        )
        only = tink_pb2.Keyset.Key(
            key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
        )
        keyset = tink_pb2.Keyset(primary_key_id=1, key=[only])
        handle = proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
        self._primitive = handle.primitive(streaming_aead.StreamingAead)

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        kept = _Kept()
        with self._primitive.new_encrypting_stream(kept, associated_data) as stream:
            stream.write(plaintext)
        return kept.content

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        with self._primitive.new_decrypting_stream(
            io.BytesIO(ciphertext), associated_data
        ) as stream:
            return bytes(stream.read())


class _Kept(io.BytesIO):
    """Tink closes what it writes to."""

    content = b""

    def close(self) -> None:
        if not self.closed:
            self.content = self.getvalue()
        super().close()
