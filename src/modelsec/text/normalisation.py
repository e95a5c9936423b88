"""Canonical form: texts that a reader cannot tell apart become the same text.

Unicode NFKC with case folding (UAX #15, Unicode section 3.13), default-ignorable code points
dropped (UAX #44), runs of combining marks capped, white space collapsed. Work is bounded by
construction: the text is cut to its two ends first, because normalising a long run of combining
marks takes quadratic time.
"""

import re
import unicodedata

MAX_CHARACTERS = 8_192
"""Longest canonical text; of a longer one the two ends count."""

MAX_COMBINING_RUN = 4
"""Marks kept on one base character; UAX #15 section 13 allows 30, no script needs more than 4."""

_HIDDEN_MARKS = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")
"""All code points of combining class 0 that normalise to marks of another class."""

_MAYBE_A_RUN = re.compile("(?:[^\\w\\s\\x00-\u02ff]|[\uff9e\uff9f]){3}")
"""Matches wherever a run may be too long (some marks count as two); it is faster than looking."""

_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)


def canonical(text: str) -> str:
    """Return the canonical form of ``text``, at most :data:`MAX_CHARACTERS` long."""
    if len(text) > MAX_CHARACTERS:
        text = ends(text)
    if text.isascii():
        if not text.isprintable():
            text = _CONTROLS.sub(" ", text)
        # Printable ASCII has one kind of white space: most texts need no splitting.
        return " ".join(text.lower().split()) if "  " in text else text.lower().strip(" ")
    text = _cap_combining_runs(_IGNORABLE.sub("", text))
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(ends(_CONTROLS.sub(" ", text)).split())


def ends(text: str) -> str:
    """Return ``text``, or its two ends joined by a space where it is too long."""
    if len(text) <= MAX_CHARACTERS:
        return text
    half = MAX_CHARACTERS // 2
    return f"{text[: half - 1]} {text[-half:]}"


def _cap_combining_runs(text: str) -> str:
    if not _MAYBE_A_RUN.search(text):
        return text
    kept: list[str] = []
    run = 0
    for character in text:
        if not unicodedata.combining(character) and character not in _HIDDEN_MARKS:
            run = 0
            kept.append(character)
        elif run < MAX_COMBINING_RUN:
            marks = unicodedata.normalize("NFKD", character)[: MAX_COMBINING_RUN - run]
            run += len(marks)
            kept.append(marks)
    return "".join(kept)
