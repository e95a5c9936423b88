"""What a probe is: one manipulation, told to every verifier as data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.errors import ModelSecError

if TYPE_CHECKING:
    from .workshop import Workshop

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""The time of every verification whose verifier can be told."""


@dataclass(frozen=True, slots=True)
class Race:
    """Something that happens while a model is verified.

    Attributes:
        opened: the file whose opening sets it off, by its last component.
        act: what the attacker then does.
        after: a file that has to be opened, and read, before; else None.
        beside: act in another thread while the file is read, not before it is.
        earlier: a file, and what the attacker does just before that one is opened.
    """

    opened: str
    act: Callable[[], None]
    after: str | None = None
    beside: bool = False
    earlier: tuple[str, Callable[[], None]] | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """A file that is loaded after the verification.

    Attributes:
        name: of the file.
        between: what the attacker does between the verification and the loading.
    """

    name: str
    between: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that is trusted, how long, and whether it still is."""

    pem: Path
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a verifier is given: files, and what its user asks for.

    Attributes:
        model: the file or directory.
        bundles: a verifier that takes one bundle is given the first.
        keys: public keys (PEM) that are trusted.
        roots: certificates (PEM) that are trusted, instead of keys.
        identity: subject or name that a certificate has to carry.
        name: the model that is meant.
        version: the version that is meant.
        releases: a file that remembers the newest release.
        threshold: how many keys must have signed.
        only: verify these files only.
        ignore_unsigned: permit files that nobody signed.
        shard_size: of the bundle, for verifiers that have to be told.
        links: whether the bundle permits links, likewise.
        now: the time of the verification.
        race: what happens meanwhile.
        load: what is loaded afterwards; loading anything but the signed bytes is to accept it.
        unprivileged: verify as a user whom file permissions bind.
    """

    model: Path
    bundles: tuple[Path, ...]
    keys: tuple[Key, ...] = ()
    roots: tuple[Path, ...] = ()
    identity: str | None = None
    name: str | None = None
    version: str | None = None
    releases: Path | None = None
    threshold: int = 1
    only: tuple[str, ...] | None = None
    ignore_unsigned: bool = False
    shard_size: int | None = None
    links: bool = False
    now: datetime = NOW
    race: Race | None = None
    load: Load | None = None
    unprivileged: bool = False


Stage = Callable[["Workshop"], Iterator[Attempt]]
"""Yields the control, then does the manipulation and yields what the attacker wants accepted."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One attack.

    Attributes:
        name: unique.
        group: row of the table of totals.
        expected: the error with which ours has to refuse.
        stage: sets it up.
        asked: what the verifier's user asks for that other verifiers cannot be asked, or empty.
    """

    name: str
    group: str
    expected: type[ModelSecError]
    stage: Stage
    asked: str = ""

    @property
    def effect(self) -> str:
        """What the attacker does, in one line."""
        return (self.stage.__doc__ or "").strip().partition("\n")[0]


@dataclass(slots=True)
class Attacks:
    """The probes of one class, in the order in which they are written."""

    group: str
    probes: list[Probe] = field(default_factory=list)

    def refused_as(
        self, expected: type[ModelSecError], *, asked: str = ""
    ) -> Callable[[Stage], Stage]:
        """Add a stage, with the error that refuses it."""

        def add(stage: Stage) -> Stage:
            name = getattr(stage, "__name__", "").replace("_", " ")
            self.probes.append(Probe(name, self.group, expected, stage, asked))
            return stage

        return add


Honest = Callable[["Workshop"], Attempt]
"""Returns what every verifier should accept."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One legitimate variant.

    Attributes:
        name: unique.
        stage: sets it up.
        verifier: of ours, the one that has to accept it.
        asked: what the verifier's user asks for that other verifiers cannot be asked, or empty.
    """

    name: str
    stage: Honest
    verifier: str = "modelsec strict"
    asked: str = ""

    @property
    def effect(self) -> str:
        """What is special, in one line."""
        return (self.stage.__doc__ or "").strip().partition("\n")[0]


@dataclass(slots=True)
class Variants:
    """Legitimate variants, in the order in which they are written."""

    variants: list[Variant] = field(default_factory=list)

    def accepted_by(
        self, verifier: str = "modelsec strict", *, asked: str = ""
    ) -> Callable[[Honest], Honest]:
        """Add a variant, with the verifier of ours that accepts it."""

        def add(stage: Honest) -> Honest:
            name = getattr(stage, "__name__", "").replace("_", " ")
            self.variants.append(Variant(name, stage, verifier, asked))
            return stage

        return add
