"""A contract suite for stores: whoever writes one runs :func:`check_store` on it, as a test."""

import asyncio
from collections.abc import Callable, Coroutine
from inspect import isawaitable
from typing import cast

from modelsec.protocols import AsyncStore, Recall, Store
from modelsec.testing.store_clauses import CLAUSES, Clause
from modelsec.testing.store_probe import AsyncProbe, Probe, SyncProbe, fresh_key


def check_store(factory: Callable[[], Store | AsyncStore]) -> None:
    """Hold a store to the contract of :class:`~modelsec.protocols.Store`.

    Call it from an ordinary test function. An asynchronous store is used on one event loop, made
    for the purpose. The kit takes random keys, so other records in the store do no harm, and
    leaves records behind that expire within an hour. Keys of one call share a Cluster slot if
    ``{key}`` is the hash tag. Times are either the kit's own or the store's, whose clock may be
    a fake one. At the end the store's ``aclose()`` or ``close()`` is called if it has one.

    Example:
        >>> from modelsec import MemoryStore
        >>> from modelsec.testing import check_store
        >>> check_store(MemoryStore)

    Args:
        factory: makes the store; called once.

    Raises:
        AssertionError: the message names the clause that the store breaks, and how.
    """
    store = factory()
    if _is_asynchronous(store):
        asyncio.run(_check(AsyncProbe(cast("AsyncStore", store))))
    else:
        _without_loop(_check(SyncProbe(cast("Store", store))))


async def _check(probe: Probe) -> None:
    try:
        for clause in CLAUSES:
            await _check_clause(clause, probe)
    finally:
        await probe.aclose()


async def _check_clause(clause: Clause, probe: Probe) -> None:
    fact = f"the store breaks the contract: {clause.__doc__}"
    try:
        await clause(probe)
    except AssertionError as broken:
        raise AssertionError(f"{fact} But: {broken}") from None
    except Exception as error:
        raise AssertionError(f"{fact} But it raised {type(error).__name__}: {error}") from error


def _is_asynchronous(store: Store | AsyncStore) -> bool:
    outcome: object = store.apply((Recall(fresh_key()),))
    if not isawaitable(outcome):
        return False
    if isinstance(outcome, Coroutine):
        outcome.close()  # it never ran: the first call belongs to the loop that follows
    return True


def _without_loop(check: Coroutine[object, object, None]) -> None:
    """Run a coroutine that never suspends: no event loop comes near a synchronous store."""
    try:
        check.send(None)
    except StopIteration:
        return
    raise AssertionError("a synchronous store's apply() suspended")  # pragma: no cover - cannot
