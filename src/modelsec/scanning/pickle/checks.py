"""What a rule about the arguments or the state of a permitted callable looks like."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from modelsec.scanning.part import Part
from modelsec.scanning.pickle.values import (
    Blob,
    Blurred,
    Call,
    Container,
    Inert,
    Value,
)
from modelsec.scanning.policy import Policy

FREE_ALLOCATION: Final = 1 << 20
"""Bytes that a pickle may make a constructor allocate without having brought as many."""

_NESTED = 4
"""Levels of containers that a rule looks into."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why arguments are not permitted.

    Attributes:
        reason: for the finding.
        dangerous: no honest writer does this; else the policy merely does not cover it.
    """

    reason: str
    dangerous: bool = True


class Check:
    """A rule that accepts everything; the rules derived from it override what they restrict.

    Attributes:
        exact: the rule looks at what containers hold, so that nothing in them may be skipped.
        tool: the callable can do anything with the right arguments: nobody else may call it.
    """

    exact = True
    tool = False

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Return why the arguments of a call are refused, or None."""
        del call, part, policy
        return None

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Return why the state of an object is refused, or None."""
        del target, state, part
        return None

    def evaluate(self, call: Call, part: Part) -> Value:
        """Return the constant that the call results in, or None if it stays symbolic."""
        del call, part
        return None

    def nested(self, call: Call, part: Part) -> Iterator[Part]:
        """Yield bytes among the arguments that the callee would load."""
        del call, part
        return iter(())


def is_constant(value: Value) -> bool:
    """Return whether a value is a scalar or text."""
    return value is None or isinstance(value, bool | int | float | str | bytes | Blob)


def require_exact(values: "list[Value]", depth: int = _NESTED) -> None:
    """Raise ``Blurred`` if something among the values was skipped.

    Args:
        values: that a rule is going to look at.
        depth: levels of containers to look into.
    """
    for value in values:
        if type(value) is Inert:
            raise Blurred
        if type(value) is Container:
            if value.hidden:
                raise Blurred
            if depth:
                require_exact(value.items, depth - 1)
