"""Servers that the tests of stores share; each test takes a prefix of its own."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.servers import (
    URL_VARIABLE,
    Server,
    redis_binary,
    running_cluster,
    running_server,
    server_binary,
    server_url,
    valkey_binary,
)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of the server that the environment offers first."""
    with server_url() as url:
        yield url


@pytest.fixture(scope="session")
def valkey_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a Valkey server, the one above if that is one."""
    if URL_VARIABLE not in os.environ and redis_binary() is None:
        yield request.getfixturevalue("redis_url")
        return
    with running_server(valkey_binary()) as server:
        yield server.url


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """URL of one node of a Cluster of three."""
    with running_cluster(valkey_binary()) as servers:
        yield servers[0].url


@pytest.fixture(params=["redis", "valkey"])
def real_url(request: pytest.FixtureRequest) -> str:
    """URL of each kind of server in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may count on, flush and kill."""
    with running_server(server_binary()) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """A part of the key space that nobody else uses."""
    return f"t{uuid4().hex[:12]}"
