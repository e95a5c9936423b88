"""Reading an OpenAI-style body leniently: whatever comes, in bounded time, without an exception.

The rule for hostile input: a field that cannot be read counts as left out, so that mangling a
field never lowers a score. Text that cannot be read is the empty text, which repeats.
"""

import math
from collections.abc import Iterator, Mapping

from modelsec.protocols import Fingerprints, InferenceRequest
from modelsec.text import MAX_CHARACTERS, canonical

_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_BACKGROUND_ROLES = ("system", "developer")
_MAX_MESSAGES = 256
_MAX_COLLECTED = 16 * MAX_CHARACTERS
_MAX_PARTS = 64
_MAX_TOKEN_IDS = 2_048
_MAX_NUMBER_LENGTH = 32
_INCLUDED_LOGPROBS = "message.output_text.logprobs"


def parse_request(body: object, fingerprints: Fingerprints) -> InferenceRequest:
    """Read a chat (``messages``), completion (``prompt``) or responses (``input``) body.

    Anything but a mapping reads as an empty body. Of a body with several inputs the first that
    holds any text is read.
    """
    fields = body if type(body) is dict else _plain(body)
    get = fields.get
    given = [number(fields[name]) for name in _TOKEN_LIMITS if name in fields]
    limits = [limit for limit in given if limit is not None]
    return InferenceRequest(
        fields,
        next(filter(None, map(canonical, new_inputs(fields))), ""),
        number(get("temperature")),
        number(get("top_p")),
        number(get("top_k")),
        min(limits) if limits else None,
        wants_logprobs(fields),
        fingerprints,
    )


def _plain(value: object) -> Mapping[str, object]:
    """Return a mapping of the caller's own kind as a plain one, anything else as an empty one."""
    try:
        return dict(value) if isinstance(value, Mapping) else {}
    except Exception:  # noqa: BLE001 - a mapping that cannot be read counts as left out
        return {}


def number(value: object) -> float | None:
    """Read a finite number: as JSON gives it, or as a string that servers would coerce."""
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > _MAX_NUMBER_LENGTH:
            return None
    elif not isinstance(value, (int, float)):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def wants_logprobs(fields: Mapping[str, object]) -> bool:
    """Whether log-probabilities are asked for; a value we cannot read counts as yes.

    In completion bodies ``logprobs`` is a number, and 0 still returns the chosen token's.
    """
    if _truthy(fields.get("top_logprobs")) or _truthy(fields.get("logprobs")):
        return True
    if "prompt_logprobs" in fields and _asked(fields["prompt_logprobs"]):
        return True
    include = fields.get("include")
    if isinstance(include, list) and _INCLUDED_LOGPROBS in include[:_MAX_PARTS]:
        return True
    is_chat = isinstance(fields.get("messages"), list) and fields.get("prompt") is None
    return not is_chat and _asked(fields.get("logprobs"))


def _truthy(value: object) -> bool:
    if value is None or isinstance(value, (bool, int, float, str, list, dict)):
        return bool(value)
    return True


def _asked(value: object) -> bool:
    return value is not None and value is not False


def new_inputs(fields: Mapping[str, object]) -> Iterator[str]:
    """Yield what is new in this request: one text for each field that carries input."""
    messages = fields.get("messages")
    if isinstance(messages, list):
        yield _chat(messages)
    for name in ("prompt", "input"):
        value = fields.get(name)
        if isinstance(value, str):
            yield _bounded(value)
        elif isinstance(value, list):
            is_chat = any(isinstance(item, Mapping) for item in value[-_MAX_MESSAGES:])
            yield _chat(value) if is_chat else _prompt(value)


def _chat(messages: list[object]) -> str:
    """Return the messages after the last answer of the model, without the system's.

    History and instructions repeat in honest use. An answer at the very end (a prefill) is
    input, too.
    """
    tail: list[str] = []
    collected = 0
    for position, item in enumerate(reversed(messages[-_MAX_MESSAGES:])):
        message = item if type(item) is dict else _plain(item)
        role = message.get("role")
        if role is None and _is_call(message.get("type")):
            role = "assistant"
        if role == "assistant" and position > 0:
            break
        if not (isinstance(role, str) and role in _BACKGROUND_ROLES):
            content = message.get("content")
            text = _content(message.get("output") if content is None else content)
            tail.append(text)
            collected += len(text)
            if collected > _MAX_COLLECTED:
                break
    tail.reverse()
    return "\n".join(tail)


def _is_call(kind: object) -> bool:
    """Whether an item of a responses body without a role is the model's own."""
    return isinstance(kind, str) and (kind == "reasoning" or kind.endswith("_call"))


def _content(content: object) -> str:
    if isinstance(content, str):
        return _bounded(content)
    if isinstance(content, list):
        parts = (part if type(part) is dict else _plain(part) for part in content[:_MAX_PARTS])
        return " ".join(text for part in parts for text in _part(part))
    return ""


def _part(part: Mapping[str, object]) -> Iterator[str]:
    """Yield the strings of a content part: text, or what tells one image from another."""
    for value in (
        part.get("text"),
        part.get("image_url"),
        part.get("input_audio"),
        part.get("file"),
    ):
        if isinstance(value, str):
            yield _bounded(value)
        elif isinstance(value, Mapping):
            source = _plain(value)
            for name in ("url", "data", "file_id"):
                inner = source.get(name)
                if isinstance(inner, str):
                    yield _bounded(inner)


def _prompt(value: list[object]) -> str:
    pieces: list[str] = []
    collected = 0
    for item in value[:_MAX_TOKEN_IDS]:
        if isinstance(item, str):
            pieces.append(_bounded(item))
            collected += len(pieces[-1])
        elif isinstance(item, int):
            pieces.append(_token(item))
        elif isinstance(item, list):
            pieces += [_token(token) for token in item[:_MAX_TOKEN_IDS] if isinstance(token, int)]
        if len(pieces) > _MAX_TOKEN_IDS or collected > _MAX_COLLECTED:
            break
    return " ".join(pieces)


def _token(token: int) -> str:
    return str(token & 0xFFFFFFFF)


def _bounded(text: str) -> str:
    """Keep the two ends of an overlong text, as the canonical form does in the end."""
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[: MAX_CHARACTERS // 2]} {text[-MAX_CHARACTERS // 2 :]}"
