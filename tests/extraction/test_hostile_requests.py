"""Hostile bodies: nothing raises, nothing lowers the score, nothing takes long."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsec import SyncModelTheftDetector
from modelsec.extraction import DEFAULT_WEIGHTS, parse_request
from modelsec.text import KeyedFingerprints
from tests.extraction.support import SECRET, START, Collector, Frozen, chat, past_of

FIELDS = (
    *("messages", "prompt", "input", "model", "user", "store", "metadata", "stop", "suffix"),
    *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens"),
    *("max_output_tokens", "logprobs", "top_logprobs", "prompt_logprobs", "include", "echo"),
    *("n", "best_of", "seed", "stream", "logit_bias", "tools", "tool_choice", "response_format"),
    *("frequency_penalty", "presence_penalty", "reasoning_effort", "unknown_field"),
)
LOUD = {"logprobs": 5, "top_logprobs": 5, "temperature": 0, "top_p": 0.001, "top_k": 1}
SAME = "Complete with one word: the opposite of cold is"
BASES = {
    "quiet chat": chat(SAME),
    "loud chat": chat(SAME, **LOUD, max_tokens=1, max_completion_tokens=1),
    "loud completion": {"prompt": SAME, **LOUD, "max_tokens": 1},
    "completion with logprobs 0": {"prompt": SAME, "logprobs": 0, "temperature": "0"},
    "responses": {"input": SAME, "max_output_tokens": 5, **LOUD},
    "nothing": {},
}
# At twelve earlier requests diversity counts.
WATCHING = {
    name: SyncModelTheftDetector(Frozen(past_of([body] * 12)), secret=SECRET, sink=Collector())
    for name, body in BASES.items()
}
NOW = START + 30


def deep(container: Callable[[Any], Any], depth: int = 100_000) -> Any:
    """Nest, without recursion."""
    value: Any = "x"
    for _ in range(depth):
        value = container(value)
    return value


HOSTILE: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "one": 1,
    "minus": -1,
    "fraction": -0.5,
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "huge": 10**400,
    "huge in digits": "9" * 400,
    "beyond digits": 10**5_000,
    "minus huge": -(10**400),
    "tiny": 5e-324,
    "empty": "",
    "word": "ignore",
    "number as text": "0",
    "nan as text": "nan",
    "nul": "\x00",
    "lone surrogate": "\ud800",
    "swapped surrogates": "\udfff\ud800" * 100,
    "megabyte": "x" * 1_000_000,
    "megabyte of marks": "\u0301\u0316" * 500_000,
    "megabyte of hidden marks": "\u0f73\u0344" * 500_000,
    "megabyte of ligatures": "\ufdfa" * 1_000_000,
    "megabyte of nothing": "\u200b" * 1_000_000,
    "megabyte of spaces": " " * 1_000_000,
    "empty list": [],
    "empty object": {},
    "nulls": [None] * 10,
    "lists": [[[]], [[], [[]]]],
    "numbers": [math.nan, math.inf, 10**400, -1, True],
    "huge list": [0] * 1_000_000,
    "huge list of words": ["x"] * 1_000_000,
    "huge list of objects": [{}] * 1_000_000,
    "deep list": deep(lambda inner: [inner]),
    "deep object": deep(lambda inner: {"content": inner}),
    "deep messages": deep(lambda inner: {"role": "user", "content": [inner]}),
    "huge object": {str(number): number for number in range(100_000)},
    "strange keys": {"": 1, "\ud800": 2, "__class__": 3, "get": None},
    "bytes": b"\xff\xfe",
    "set": {1, 2},
    "complex": 1j,
    "object": object(),
    "class": dict,
    "function": len,
}


def text_of(body: object) -> str:
    return parse_request(body, KeyedFingerprints(bytes(32))).text


def score(body: object, past: str) -> float:
    """Judge one request upon a past."""
    assessment = WATCHING[past].analyze_request("account", body, NOW)
    assert assessment.requests_seen == 13
    assert assessment.incomplete == ()
    assert 0.0 <= assessment.extraction_score <= 1.0
    json.dumps(assessment.to_dict(), allow_nan=False)
    return assessment.extraction_score


@pytest.mark.parametrize("field", FIELDS)
def test_no_value_of_a_field_lowers_the_score(field: str) -> None:
    """Any value of any field scores at least what the same body without the field does."""
    for name, base in BASES.items():
        left_out = {k: v for k, v in base.items() if k != field}
        without = score(left_out, name)
        for kind, value in HOSTILE.items():
            body = {**base, field: value}
            if field in base or text_of(body) == text_of(left_out):
                assert score(body, name) >= without, (name, kind)
            else:
                # It is another input that can be read, and new: the way to look diverse.
                assert field in {"prompt", "input"}
                assert isinstance(value, (str, list)), (name, kind)
                assert score(body, name) >= without - 0.2 / 12, (name, kind)


@pytest.mark.parametrize("past", ["loud chat", "nothing"])
@pytest.mark.parametrize(
    "place", ["message", "role", "content", "part", "type", "text", "image_url", "url", "item"]
)
def test_no_value_inside_a_message_lowers_the_score(place: str, past: str) -> None:
    """Nor does any value at any place inside a message: what cannot be read is an empty text."""
    shapes: dict[str, Callable[[Any], dict[str, Any]]] = {
        "message": lambda value: {"messages": [value]},
        "role": lambda value: {"messages": [{"role": value}]},
        "content": lambda value: {"messages": [{"role": "user", "content": value}]},
        "part": lambda value: {"messages": [{"role": "user", "content": [value]}]},
        "type": lambda value: {"messages": [{"role": "user", "content": [{"type": value}]}]},
        "text": lambda value: {"messages": [{"role": "user", "content": [{"text": value}]}]},
        "image_url": lambda value: {"messages": [{"content": [{"image_url": value}]}]},
        "url": lambda value: {"messages": [{"content": [{"image_url": {"url": value}}]}]},
        "item": lambda value: {"input": [value]},
    }
    parameters = {k: v for k, v in BASES["loud chat"].items() if k != "messages"}
    without = score({**parameters, "messages": []}, past)
    readable = 0
    for kind, value in HOSTILE.items():
        body = {**parameters, **shapes[place](value)}
        if past == "nothing" and text_of(body):
            # It is text that can be read, and new among empty ones: the way to look diverse.
            readable += 1
            assert score(body, past) >= without - 0.2 / 12, kind
        else:
            assert score(body, past) >= without, kind
    assert readable < len(HOSTILE) / 2


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_body_that_is_none(body: Any) -> None:
    """Anything may come in place of a body; what holds no request reads as an empty one."""
    past = "nothing"
    assert score(body, past) >= score({}, past)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["user", "assistant", "system", "tool", "text", "\ud800", 10**400]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "content", "text", "type", "url", "image_url", "output"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_any_body_is_judged(body: dict[str, Any]) -> None:
    """Any JSON in any fields is judged, at least by its parameters."""
    assert score(body, "loud chat") >= 0.3 * 13 / 100


@given(JSON, st.sampled_from([f for f in FIELDS if f not in {"messages", "prompt", "input"}]))
def test_parameters_only_add(value: Any, field: str) -> None:
    """Whatever a parameter says, it never takes away what the others gave."""
    for name in ("loud chat", "completion with logprobs 0"):
        base = BASES[name]
        without = {k: v for k, v in base.items() if k != field}
        assert score({**base, field: value}, name) >= score(without, name)


def test_hiding_all_parameters_hides_no_repeats() -> None:
    """An attacker who mangles every field still repeats, and is still counted."""
    mangled = {field: {"no": "value"} for field in FIELDS}
    scores = WATCHING["nothing"].analyze_request("a", mangled, NOW).scores
    assert scores["low_diversity"] == pytest.approx(1 - 1 / 13)
    assert scores["velocity"] == 0.13
    assert set(scores) == set(DEFAULT_WEIGHTS)
