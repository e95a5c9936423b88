"""The trusts that a verifier was given, and how they are asked: they may be anybody's code."""

import inspect
from collections.abc import Sequence
from datetime import datetime

from modelsec.errors import ConfigurationError, shown
from modelsec.signing.bundles.bundle import Bundle
from modelsec.signing.profile import Profile
from modelsec.signing.trust import Signatory, Trust

_WHOM = "give TrustedKeys(...), TrustedRoots(...) or TrustedIdentity(...)"


def trusted_parties(trust: object) -> tuple[Trust, ...]:
    """Return the trusts of a verifier.

    Raises:
        ConfigurationError: there is none, or one is something else, such as a class or a verifier.
    """
    parties = tuple(trust) if isinstance(trust, Sequence) else (trust,)
    if not parties:
        raise ConfigurationError(f"a verifier needs somebody to trust, not {shown(trust)}: {_WHOM}")
    for each in parties:
        _check_party(each)
    return parties


def ask(trust: Trust, bundle: Bundle, *, now: datetime, profile: Profile) -> Signatory:
    """Return who signed a bundle, as one trust says.

    Raises:
        VerificationError: the trust refuses it.
        ConfigurationError: its answer is no signatory: a Trust refuses by raising.
    """
    answer: object = trust.authenticate(
        bundle, now=now, legacy=profile.legacy, identity=profile.identity_required
    )
    if not isinstance(answer, Signatory):
        raise ConfigurationError(
            f"the trust {_name(trust)} answered {shown(answer)}: a Trust returns a Signatory, or "
            "raises a VerificationError"
        )
    return answer


def unchecked_by(trust: Trust) -> tuple[str, ...]:
    """Return what a trust says nothing about: its optional attribute ``unchecked``.

    Raises:
        ConfigurationError: it is something else than sentences.
    """
    sentences: object = getattr(trust, "unchecked", ())
    if isinstance(sentences, str) or not isinstance(sentences, Sequence):
        raise ConfigurationError(
            f"unchecked of the trust {_name(trust)} is a tuple of sentences, not {shown(sentences)}"
        )
    return tuple(str(each) for each in sentences)


def _name(party: object) -> str:
    return type(party).__name__


def _check_party(party: object) -> None:
    if isinstance(party, type):
        raise ConfigurationError(
            f"{shown(party)} is a class: make one of it, e.g. TrustedKeys([public_key])"
        )
    if not isinstance(party, Trust):
        raise ConfigurationError(f"a verifier needs somebody to trust, not {shown(party)}: {_WHOM}")
    try:
        inspect.signature(party.authenticate).bind(None, now=None, legacy=False, identity=True)
    except TypeError as error:
        raise ConfigurationError(
            f"{_name(party)} judges models, not bundles: it is no Trust, and used by itself in the "
            f"place of a Verifier. To trust signers, {_WHOM}"
        ) from error
    except ValueError:
        # What is not written in Python need not say what it takes: its answer will be judged.
        return
