"""What is read from a body, and what is not."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from modelsec.extraction import parse_request
from modelsec.text import MAX_CHARACTERS, KeyedFingerprints

FINGERPRINTS = KeyedFingerprints(bytes(32))


def text_of(body: object) -> str:
    return parse_request(body, FINGERPRINTS).text


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, ""),
        ({"messages": []}, ""),
        ({"messages": [user("Hi")]}, "hi"),
        ({"messages": [{"role": "system", "content": "Be kind"}, user("Hi")]}, "hi"),
        ({"messages": [{"role": "developer", "content": "Be kind"}, user("Hi")]}, "hi"),
        ({"messages": [user("One"), {"role": "assistant", "content": "A"}, user("Two")]}, "two"),
        ({"messages": [user("One"), user("Two")]}, "one two"),
        ({"messages": [user("One"), {"role": "assistant", "content": "Pre"}]}, "one pre"),
        (
            {"messages": [user("One"), {"role": "assistant"}, {"role": "tool", "content": "42"}]},
            "42",
        ),
        (
            {"messages": [user([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}])]},
            "a b",
        ),
        (
            {"messages": [user([{"type": "image_url", "image_url": {"url": "HTTP://X"}}])]},
            "http://x",
        ),
        ({"messages": [user([{"type": "input_image", "image_url": "data:A"}])]}, "data:a"),
        ({"messages": [user([{"type": "input_audio", "input_audio": {"data": "UklG"}}])]}, "uklg"),
        ({"messages": [user([{"type": "file", "file": {"file_id": "f-1"}}])]}, "f-1"),
        ({"messages": [{"content": "No role"}]}, "no role"),
        ({"messages": ["text", None, 5, user("Hi")]}, "hi"),
        ({"messages": [user(None)]}, ""),
        ({"messages": [user({"text": "no list"})]}, ""),
        ({"prompt": "Once upon"}, "once upon"),
        ({"prompt": ["One", "Two"]}, "one two"),
        ({"prompt": [1, 22, 333]}, "1 22 333"),
        ({"prompt": [[1, 2], [3]]}, "1 2 3"),
        ({"prompt": [2**32 + 5, -1]}, "5 4294967295"),
        ({"prompt": {"id": "pmpt_1"}, "input": "Hi"}, "hi"),
        ({"input": "Hi"}, "hi"),
        ({"input": [user("Hi")]}, "hi"),
        ({"input": [user([{"type": "input_text", "text": "Hi"}])]}, "hi"),
        ({"input": [user("One"), {"role": "assistant", "content": "A"}, user("Two")]}, "two"),
        (
            {
                "input": [
                    user("One"),
                    {"type": "reasoning", "summary": []},
                    {"type": "function_call", "name": "f"},
                    {"type": "function_call_output", "output": "42"},
                ]
            },
            "42",
        ),
        ({"messages": [], "prompt": "Read me"}, "read me"),
        ({"messages": [None], "prompt": "", "input": "Me"}, "me"),
        ({"messages": [user("Me")], "prompt": "Not me"}, "me"),
        ({"messages": "Hi"}, ""),
        ("Hi", ""),
        (None, ""),
        ([("prompt", "Hi")], ""),
    ],
)
def test_the_new_input(body: object, text: str) -> None:
    """Read is what follows the last answer of the model, without instructions, in any shape."""
    assert text_of(body) == text


def test_token_ids_are_bounded() -> None:
    """Of endless lists of token ids a bounded part is read."""
    assert len(text_of({"prompt": [[7] * 10_000] * 10_000})) <= MAX_CHARACTERS
    assert len(text_of({"prompt": [7] * 1_000_000})) <= MAX_CHARACTERS


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("0.5", 0.5),
        (" 1e-3 ", 0.001),
        (True, 1.0),
        (False, 0.0),
        (None, None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("warm", None),
        ("1" * 33, None),
        pytest.param(float("nan"), None, id="not a number"),
        pytest.param(float("-inf"), None, id="infinite"),
        pytest.param(10**400, None, id="too large"),
        ([0], None),
        ({}, None),
        (b"0", None),
        (1j, None),
    ],
)
def test_numbers(value: object, number: float | None) -> None:
    """Finite numbers are read, from strings, too, as servers coerce them; all else is left out."""
    request = parse_request({"temperature": value, "top_p": value, "top_k": value}, FINGERPRINTS)
    assert (request.temperature, request.top_p, request.top_k) == (number,) * 3


def test_the_smallest_limit_counts() -> None:
    """Of several token limits the smallest readable one is in force."""
    body = {"max_tokens": 500, "max_completion_tokens": "20", "max_output_tokens": None}
    assert parse_request(body, FINGERPRINTS).max_tokens == 20.0
    assert parse_request({"max_tokens": "many"}, FINGERPRINTS).max_tokens is None


class Refusing(dict[str, Any]):
    """A dictionary whose methods raise; its entries are there."""

    def get(self, *_: Any) -> Any:
        raise RuntimeError

    __contains__ = __getitem__ = items = keys = get  # type: ignore[assignment]


class Unreadable(Mapping[str, Any]):
    """A mapping that cannot be read at all."""

    def __getitem__(self, _: str) -> Any:
        raise RuntimeError

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        return 1


def test_dictionaries_of_another_kind() -> None:
    """A body, message, part or image may be any mapping; one that refuses is read past it."""
    parts = [Refusing(type="text", text="Hi"), Refusing(image_url=Refusing(url="U"))]
    body = Refusing(messages=[Refusing(role="user", content=parts)], temperature=0)
    request = parse_request(body, FINGERPRINTS)
    assert (request.text, request.temperature) == ("hi u", 0.0)
    assert request.body.get("temperature") == 0


@pytest.mark.parametrize(
    "body",
    [
        Unreadable(),
        {"messages": [Unreadable()]},
        {"messages": [user([Unreadable()])]},
        {"messages": [user([{"image_url": Unreadable()}])]},
        {"input": [Unreadable()]},
    ],
    ids=["body", "message", "part", "image", "item"],
)
def test_mappings_that_cannot_be_read(body: object) -> None:
    """A mapping that raises whatever one does counts as empty."""
    request = parse_request(body, FINGERPRINTS)
    assert request.text == ""
    assert isinstance(request.body.get("messages", []), list)


def test_the_body_reaches_plug_ins_as_it_came() -> None:
    """A plain dictionary is passed on itself, unknown fields included."""
    body = {"prompt": "Hi", "x_custom": 5}
    assert parse_request(body, FINGERPRINTS).body is body


def test_parsing_changes_nothing() -> None:
    """The caller's body is left as it was."""
    body = {"messages": [user([{"type": "text", "text": "Hi"}])], "max_tokens": "5"}
    parse_request(body, FINGERPRINTS)
    assert body == {"messages": [user([{"type": "text", "text": "Hi"}])], "max_tokens": "5"}


@pytest.mark.parametrize("field", ["messages", "prompt", "input"])
def test_an_endless_input_is_not_collected(field: str) -> None:
    """Of very many long texts, only so many are looked at as can matter."""
    looked_at = 0

    class Text(str):
        __slots__ = ()

        def __len__(self) -> int:
            nonlocal looked_at
            looked_at += 1
            return super().__len__()

    texts = [Text("word " * 2_000) for _ in range(256)]
    chat = [{"role": "user", "content": text} for text in texts]
    parsed = parse_request(
        {field: chat if field == "messages" else texts}, KeyedFingerprints(bytes(32))
    )
    assert len(parsed.text) == pytest.approx(8_192, abs=10)
    assert 0 < looked_at < 40
