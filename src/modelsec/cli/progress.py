"""A line that says how far it is, where somebody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(verb: str) -> Iterator[Callable[[int, int], None] | None]:
    """Give an ``on_progress`` that shows per cent on a terminal, or None where nobody watches.

    Args:
        verb: what is being done, as in "hashing".
    """
    if not sys.stderr.isatty():
        yield None
        return
    shown = -1

    def tell(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // max(total, 1)
        if percent != shown:
            shown = percent
            print(f"\r{verb} {percent:3}%", end="", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        print("\r" + " " * (len(verb) + 5) + "\r", end="", file=sys.stderr, flush=True)
