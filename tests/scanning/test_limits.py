"""The budget of a scan."""

import pytest

from modelsec.errors import ConfigurationError, ResourceLimitError
from modelsec.scanning import Limits
from modelsec.scanning.limits import MIB, Budget


@pytest.mark.parametrize("value", [0, -1, True, float("nan"), "5", None, 1.5])
@pytest.mark.parametrize("name", ["depth", "members", "opcodes", "findings", "read_bytes"])
def test_limits_are_positive_whole_numbers(name: str, value: object) -> None:
    """Anything else is refused with the limit's name."""
    with pytest.raises(ConfigurationError, match=f"limits.{name}"):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_seconds_may_be_a_fraction() -> None:
    """But not nothing, and not unknown."""
    assert Limits(seconds=0.5).seconds == 0.5
    for value in (0.0, float("nan"), -1.0):
        with pytest.raises(ConfigurationError, match="seconds"):
            Limits(seconds=value)


def test_each_budget_ends_with_an_error() -> None:
    """It never goes below zero."""
    budget = Budget(Limits(members=2, opcodes=10, read_bytes=100, expanded_bytes=1000))
    budget.members(2)
    with pytest.raises(ResourceLimitError, match="members"):
        budget.members()
    budget.opcodes(10)
    with pytest.raises(ResourceLimitError, match="opcodes"):
        budget.opcodes(1)
    budget.allow_read(100)
    with pytest.raises(ResourceLimitError, match="read_bytes"):
        budget.allow_read(101)
    budget.expanded(1000, produced=1000, consumed=10)
    with pytest.raises(ResourceLimitError, match="decompression"):
        budget.expanded(1, produced=1001, consumed=10)


def test_the_ratio_counts_only_beyond_a_size() -> None:
    """Small things compress well."""
    budget = Budget(Limits())
    budget.expanded(MIB, produced=MIB, consumed=1)
    with pytest.raises(ResourceLimitError, match="times"):
        budget.expanded(33 * MIB, produced=33 * MIB, consumed=100)


def test_time_is_that_of_the_clock() -> None:
    """Which a test can set."""
    now = [100.0]
    budget = Budget(Limits(seconds=5), lambda: now[0])
    budget.check_time()
    now[0] = 105.1
    with pytest.raises(ResourceLimitError, match="5 CPU seconds"):
        budget.check_time()
