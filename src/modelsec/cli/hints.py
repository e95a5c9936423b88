"""What the library calls an argument, the command line calls an option: say so beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from modelsec.errors import ModelSecError

_OPTIONS: Mapping[str, str] = {
    "ANY_IDENTITY": "--identity, or --any-identity",
    "TrustedKeys": "--key, or --key-set",
    "TrustedRoots": "--root with --identity",
    "TrustedIdentity": "--identity with --issuer",
    "a clock": "--at",
    "legacy=True": "--legacy",
    "profile 'oms'": "--profile oms",
    "signature=": "--signature",
    "shard_size=": "--shards",
    "a TrustStore": "--trust-store",
}


@contextmanager
def option_hints() -> Iterator[None]:
    """Add to an error's notes (PEP 678) the options that its message means."""
    try:
        yield
    except ModelSecError as error:
        message = str(error)
        meant = [option for word, option in _OPTIONS.items() if word in message]
        if meant:
            error.add_note(f"on the command line: {'; '.join(meant)}")
        raise
