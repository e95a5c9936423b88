import fakeredis
import pytest

from modelsec import AsyncRedisStore, MemoryStore, RedisStore
from modelsec.testing import check_store

PATIENT = {"timeout": 10.0, "max_wait": 10.0}
batching = pytest.mark.parametrize("batch", [True, False], ids=["batched", "singly"])


def test_memory() -> None:
    """MemoryStore keeps the contract."""
    check_store(MemoryStore)


def test_sync_on_fake_server() -> None:
    """RedisStore keeps the contract on fakeredis, a second implementation of the server."""
    check_store(lambda: RedisStore(fakeredis.FakeRedis()))


@batching
def test_async_on_fake_server(*, batch: bool) -> None:
    """AsyncRedisStore keeps the contract on fakeredis, batched or not."""
    check_store(lambda: AsyncRedisStore(fakeredis.FakeAsyncRedis(), batch=batch))


@pytest.mark.real_server
def test_sync_on_real_server(real_url: str, prefix: str) -> None:
    """RedisStore keeps the contract on a real server, Redis and Valkey."""
    check_store(lambda: RedisStore.from_url(real_url, prefix=prefix, **PATIENT))


@pytest.mark.real_server
@batching
def test_async_on_real_server(real_url: str, prefix: str, *, batch: bool) -> None:
    """AsyncRedisStore keeps the contract on a real server, batched or not."""
    check_store(lambda: AsyncRedisStore.from_url(real_url, prefix=prefix, batch=batch, **PATIENT))


@pytest.mark.real_server
def test_sync_on_cluster(cluster_url: str, prefix: str) -> None:
    """RedisStore keeps the contract on a Cluster of three nodes."""
    check_store(lambda: RedisStore.from_url(cluster_url, cluster=True, prefix=prefix, **PATIENT))


@pytest.mark.real_server
@batching
def test_async_on_cluster(cluster_url: str, prefix: str, *, batch: bool) -> None:
    """AsyncRedisStore keeps the contract on a Cluster, whatever ``batch`` says."""
    check_store(
        lambda: AsyncRedisStore.from_url(
            cluster_url, cluster=True, prefix=prefix, batch=batch, **PATIENT
        )
    )
