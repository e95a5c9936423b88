"""How strict a signature is made and checked: two named profiles over one verifier."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """What is permitted, as data.

    Attributes:
        name: for messages and receipts.
        excluded_files: files may exist that the signature leaves out (``.git``, ``ignore_paths``).
        symlinks: links may be followed where the signature says so, inside the model only.
        portable_names: names must read the same everywhere: no control characters, no Windows
            devices, none that collide when case or Unicode form is folded.
        identity_required: a certificate must be for a subject that the caller names.
        known_deviations: what the reference implementation writes against the text of OMS is read.
        legacy: the predicate and the encoding of OMS 0.2.0 are read.
    """

    name: str
    excluded_files: bool
    symlinks: bool
    portable_names: bool
    identity_required: bool
    known_deviations: bool
    legacy: bool


STRICT = Profile(
    name="strict",
    excluded_files=False,
    symlinks=False,
    portable_names=True,
    identity_required=True,
    known_deviations=True,
    legacy=False,
)
"""Nothing may exist that is not signed, nothing is signed that reads as something else."""

OMS = Profile(
    name="oms",
    excluded_files=True,
    symlinks=True,
    portable_names=False,
    identity_required=False,
    known_deviations=True,
    legacy=False,
)
"""The text of OpenSSF Model Signing v1.0, with the known deviations of its implementations."""

PROFILES = {profile.name: profile for profile in (STRICT, OMS)}
