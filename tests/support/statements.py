"""Statements for tests: good ones, and ways to spoil them."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from modelsec.signing.bundles.statement import Statement, build_statement, parse_statement
from modelsec.signing.manifest import Layout, Manifest, Resource
from modelsec.signing.profile import OMS, STRICT
from modelsec.signing.receipt import Release

Edit = Callable[[dict[str, Any]], object]


def digest(number: int, length: int = 32) -> bytes:
    return (sha256(b"%d" % number).digest() * 2)[:length]


FILES = Manifest(
    (
        Resource("a/b.bin", digest(1)),
        Resource("a-b.bin", digest(2)),
        Resource("caf\u00e9", digest(3)),
    ),
    Layout(ignore_paths=(".git", "cache")),
)
SHARDS = Manifest(
    (
        Resource("w:1:2", digest(1), 0, 10),
        Resource("w:1:2", digest(2), 10, 20),
        Resource("w:1:2", digest(3), 20, 21),
        Resource("x", digest(4), 0, 10),
    ),
    Layout(shard_size=10),
    empty_files=("__init__.py", "a/__init__.py"),
)
RELEASE = Release(
    name="llm \u6a21\u578b",
    version="1.2 rc1",
    serial=7,
    not_after=datetime(2027, 1, 31, 12, 0, tzinfo=UTC),
    supersedes="ab" * 32,
)
BY_THE_TEXT = replace(OMS, known_deviations=False)


def built(manifest: Manifest = FILES, **options: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(build_statement(manifest, subject="model", **options))
    return parsed


def signed_again(document: dict[str, Any]) -> bytes:
    """Make the root digest right again, so that only the change itself can be refused."""
    with suppress(LookupError, TypeError, ValueError):  # spoilt beyond a root digest
        digests = [each["digest"] for each in document["predicate"]["resources"]]
        root = sha256(bytes.fromhex("".join(digests))).hexdigest()
        document["subject"][0]["digest"] = {"sha256": root}
    return json.dumps(document).encode()


def read(
    edit: Edit, manifest: Manifest = FILES, profile: Any = STRICT, **options: Any
) -> Statement:
    """Spoil the statement of a manifest, and parse it."""
    document = built(manifest)
    edit(document)
    return parse_statement(signed_again(document), profile=profile, **options)


def serialization(**changes: object) -> Edit:
    return lambda d: d["predicate"]["serialization"].update(changes)


def resource(**changes: object) -> Edit:
    return lambda d: d["predicate"]["resources"][0].update(changes)


def resources(*names: str) -> Edit:
    return lambda d: d["predicate"].update(
        resources=[
            {"name": name, "digest": digest(i).hex(), "algorithm": "sha256"}
            for i, name in enumerate(names)
        ]
    )
