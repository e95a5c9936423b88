"""What the scanner of YAML reports: keys with their scalars, tags, ends, breaks."""

from dataclasses import dataclass

ESCAPED = "the key is written with escapes"


class BrokenYamlError(Exception):
    """The text stops being YAML; ``position`` says where, ``container`` what had begun."""

    def __init__(self, position: int, *, container: bool) -> None:
        super().__init__(position)
        self.position = position
        self.container = container


@dataclass(frozen=True, slots=True)
class Pair:
    """A key, and the scalar that follows it (None: another node, or one that is not known).

    Attributes:
        odd: how the key is written, if that hides it from simpler readers.
    """

    offset: int
    key: str
    value: str | None
    odd: str = ""

    @property
    def escaped(self) -> bool:
        """Whether the key is written with escapes that nothing needs."""
        return self.odd == ESCAPED


@dataclass(frozen=True, slots=True)
class Tag:
    """An explicit tag, resolved and unquoted."""

    offset: int
    tag: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A document ended as it should."""

    position: int
    container: bool
