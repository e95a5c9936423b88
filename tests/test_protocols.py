"""Features: what a signal may remember, in how much space, and what it gets back."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec import ConfigurationError
from modelsec.extraction import parse_request
from modelsec.protocols import (
    CellUpdate,
    Distinct,
    Feature,
    Gaps,
    InferenceRequest,
    Peak,
    Ring,
    Signal,
    Total,
    Window,
)
from modelsec.protocols.features import cell_tag, cell_update
from modelsec.stores.cells import advanced
from modelsec.text import KeyedFingerprints

REQUEST = parse_request({"prompt": "text"}, KeyedFingerprints(bytes(32)))
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def one(_: object) -> int:
    return 1


def remembered(feature: Feature, gaps_ms: list[int] | None = None, times: int = 1) -> Any:
    """Return the value of a feature after some requests."""
    raw, now_ms = None, 10**12
    for gap in gaps_ms or [0] * times:
        now_ms += gap
        update = cell_update(b"test", feature, REQUEST)
        assert update is not None
        raw = advanced(raw, update, gap, now_ms)
    return feature.decode(raw or b"")


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@given(data=st.data())
def test_rings_return_what_was_put_in(width: int, data: st.DataObject) -> None:
    """A ring returns the last values, oldest first, whole."""
    values = data.draw(st.lists(st.integers(0, 2 ** (8 * width) - 1), min_size=1, max_size=12))
    raw = None
    for value in values:
        ring = Ring("r", lambda _, value=value: value, length=5, width=width)  # type: ignore[misc]
        update = cell_update(b"test", ring, REQUEST)
        assert update is not None
        raw = advanced(raw, update, 0, 0)
    assert list(ring.decode(raw or b"")) == values[-5:]


@pytest.mark.parametrize(
    ("width", "value"), [(1, 256), (2, 65_536), (4, 2**32), (8, 2**64), (4, -1)]
)
def test_rings_refuse_what_does_not_fit(width: int, value: int) -> None:
    """A value outside the width of a ring is an error of its scorer, never cut."""
    with pytest.raises(OverflowError):
        Ring("r", one, width=width).encode(value)


def test_gaps() -> None:
    """Gaps are milliseconds, saturating, the last ones, the latest at the end."""
    assert list(remembered(Gaps("g", length=3), [5, 70_000, 0, 65_535])) == [65_535, 0, 65_535]


def test_totals_add() -> None:
    """A total sums what requests add."""
    assert remembered(Total("t", lambda _: 2.5), times=4) == 10.0


@pytest.mark.parametrize("half_life", [0.5, 60.0, 86_400])
def test_totals_decay(half_life: float) -> None:
    """A total falls by half in each half-life."""
    total = Total("t", one, half_life=half_life)
    gap = int(half_life * 1000)
    assert remembered(total, [0, gap, gap]) == pytest.approx(1.75)


@given(st.lists(FINITE, min_size=1, max_size=10))
def test_peaks_keep_the_largest(values: list[float]) -> None:
    """A peak is the maximum, to the last digit."""
    raw = None
    for value in values:
        update = cell_update(b"test", Peak("p", lambda _, value=value: value), REQUEST)  # type: ignore[misc]
        assert update is not None
        raw = advanced(raw, update, 0, 0)
    assert Peak("p", one).decode(raw or b"") == max(values)


@pytest.mark.parametrize("number", [0, 1, 10, 100, 256])
def test_distinct_estimates(number: int) -> None:
    """Distinct counts different fingerprints to about a tenth, and repeats not at all."""
    fingerprints = KeyedFingerprints(bytes(32))
    raw = bytes(32)
    for repeat in range(2 * number):
        mark = fingerprints.fingerprint(f"value {repeat % number}")
        update = cell_update(b"test", Distinct("d", lambda _, mark=mark: mark), REQUEST)  # type: ignore[misc]
        assert update is not None
        raw = advanced(raw, update, 0, 0)
    assert Distinct("d", one).decode(raw) == pytest.approx(number, rel=0.15, abs=0.5)


def test_distinct_saturates() -> None:
    """A full bitmap is the largest estimate, and finite."""
    assert Distinct("d", one, bits=64).decode(b"\xff" * 8) == pytest.approx(64 * math.log(64))


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (Ring("f", one), []),
        (Gaps("f"), []),
        (Total("f", one), 0.0),
        (Peak("f", one), -math.inf),
        (Distinct("f", one), 0.0),
    ],
    ids=lambda feature: getattr(feature, "kind", ""),
)
def test_empty(feature: Feature, value: Any) -> None:
    """Each feature has a value before anything was remembered."""
    empty = feature.empty()
    assert (empty if isinstance(empty, float) else list(empty)) == value


@pytest.mark.parametrize("kind", [Ring, Total, Peak, Distinct])
def test_none_adds_nothing(kind: Any) -> None:
    """Where ``of`` returns None, the request adds nothing."""
    assert cell_update(b"test", kind("f", lambda _: None), REQUEST) is None


@pytest.mark.parametrize("kind", [Total, Peak])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_are_finite(kind: Any, value: float) -> None:
    """What is not finite would stay for ever, and is refused."""
    with pytest.raises(ConfigurationError, match="finite"):
        cell_update(b"test", kind("f", lambda _: value), REQUEST)


IMPOSSIBLE: list[tuple[Any, dict[str, Any]]] = [
    *((Ring, {"width": width}) for width in (0, 3, -1, "4", [4], None)),
    *((Ring, {"length": length}) for length in (0, -5, 1.5, "100", 2_049, 10**100, None)),
    *((Ring, {"of": of}) for of in (None, 1)),
    *((Gaps, {"length": length}) for length in (0, -1, True, 4_097, 2.0)),
    *((Total, {"half_life": time}) for time in (0, -1, math.nan, math.inf, 10**400, "60", [1])),
    *((Distinct, {"bits": bits}) for bits in (0, 12, -8, 8 * 8_193, 64.0, "64", None)),
    *((kind, {"of": "value"}) for kind in (Total, Peak, Distinct)),
    *((kind, {"name": name}) for kind in (Ring, Gaps, Total, Peak) for name in ("", 5, None, [1])),
]


@pytest.mark.parametrize(
    ("kind", "settings"),
    IMPOSSIBLE,
    ids=[f"{kind.__name__}-{settings!r:.40}" for kind, settings in IMPOSSIBLE],
)
def test_impossible_features(kind: Any, settings: dict[str, Any]) -> None:
    """A feature that could not work is refused when it is made."""
    possible = {"name": "f"} if kind is Gaps else {"name": "f", "of": one}
    kind(**possible)
    with pytest.raises(ConfigurationError, match=r"feature|ring|total|distinct"):
        kind(**{**possible, **settings})


def test_cells_have_their_own_tags() -> None:
    """Cells of another scorer, name, kind or width have another tag; another length has not."""
    tags = [
        cell_tag(scorer, feature)
        for scorer in ("one", "two")
        for feature in (
            *(Ring("f", one), Ring("g", one), Ring("f", one, width=8), Gaps("f"), Total("f", one)),
            *(Peak("f", one), Distinct("f", one), Distinct("f", one, bits=64)),
        )
    ]
    assert len(set(tags)) == len(tags)
    assert {len(tag) for tag in tags} == {4}
    assert cell_tag("one", Ring("f", one, length=5)) == cell_tag("one", Ring("f", one, length=50))


def test_tags_are_stable() -> None:
    """Tags stay the same over releases: records in stores carry them."""
    assert cell_tag("velocity", Gaps("gaps")).hex() == "14a7ee32"
    assert cell_tag("low_diversity", Ring("sketches", one)).hex() == "474f182d"


def test_an_update_is_plain() -> None:
    """An update says tag, kind, limit and payload: all that a store needs to know."""
    update = cell_update(b"test", Ring("f", one, length=10, width=2), REQUEST)
    assert update == CellUpdate(b"test", "ring", 20, b"\x01\x00")


def test_windows_give_features_by_name() -> None:
    """A window gives a feature's value, and says what it has where it has none."""
    window = Window(REQUEST, 1, 0.0, {"f": 0.5})
    assert window[Total("f", one)] == 0.5
    with pytest.raises(ConfigurationError, match=r"'g' is not remembered by .*it has: f"):
        window[Gaps("g")]
    with pytest.raises(ConfigurationError, match="it has: none"):
        Window(REQUEST, 1, 0.0, {})[Gaps("g")]


def test_requests_hash_text_for_plug_ins() -> None:
    """A request fingerprints any text, and sketches its own."""
    assert REQUEST.fingerprint("a") != REQUEST.fingerprint("b")
    assert REQUEST.sketch() == REQUEST.fingerprints.sketch("text")


def test_values_are_immutable() -> None:
    """Requests, windows, signals and features cannot be changed."""
    things: list[tuple[Any, str]] = [
        (REQUEST, "text"),
        (Window(REQUEST, 1, 0.0, {}), "count"),
        (Signal(0.5), "score"),
        (Gaps("f"), "length"),
        (CellUpdate(b"test", "gaps", 2, 0.0), "limit"),
    ]
    for thing, field in things:
        with pytest.raises(AttributeError):
            setattr(thing, field, 1)


def test_a_repr_shows_no_text() -> None:
    """The repr of a request shows its parameters, neither body nor text."""
    request = parse_request({"prompt": "PLUM", "temperature": 0.5}, KeyedFingerprints(bytes(32)))
    assert isinstance(request, InferenceRequest)
    assert "plum" not in repr(request).lower()
    assert "temperature=0.5" in repr(request)
