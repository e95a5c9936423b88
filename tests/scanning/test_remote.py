import json
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError, MalformedArtifactError, ModelSecError
from modelsec.scanning import Coverage, Verdict, scan
from modelsec.scanning.http_ranges import (
    HttpRanges,
    Network,
    RemoteReadError,
    checked_url,
    is_public,
    redirected,
    shown_url,
)
from modelsec.scanning.remote import BLOCK, RemoteSource, hub_url, opened
from tests.scanning.support.huge_torch import huge_torch
from tests.support.range_server import Fault, RangeServer, Sparse, range_server

GB = 10**9


def safetensors(size: int) -> Sparse:
    """A file of one tensor of zeros."""
    shape = [size // 4]
    tensor = {"dtype": "F32", "shape": shape, "data_offsets": [0, shape[0] * 4]}
    header = json.dumps({"weight": tensor}).encode().ljust(96)
    start = struct.pack("<Q", len(header)) + header
    return Sparse(len(start) + shape[0] * 4, [(0, start)])


def text(size: int = 6000) -> Sparse:
    """Plain text, which the scanner reads to its end."""
    return Sparse(size, [(0, b"all is well\n" * (size // 12))])


@pytest.fixture
def served() -> Iterator[RangeServer]:
    """Twelve kilobytes of text."""
    with range_server(text(12_000)) as server:
        yield server


def rules(url: str) -> set[str]:
    return {finding.id for finding in scan(url).findings}


def test_a_huge_checkpoint_costs_kilobytes() -> None:
    """10 GB on a server: the header and a few probes are fetched, no tensor."""
    with range_server(safetensors(10 * GB)) as server:
        report = scan(server.url)
    assert report.safe
    assert report.format == "safetensors"
    assert report.size > 9 * GB
    assert report.sha256 is None
    assert server.sent <= 200_000


def test_a_huge_torch_checkpoint_costs_its_structure() -> None:
    """10 GB in 20 storages: the directory, the pickle, a kilobyte for each header."""
    with range_server(huge_torch()) as server:
        report = scan(server.url)
    assert report.safe
    assert report.format == "torch"
    assert report.size > 10 * GB
    assert server.sent <= 130_000
    assert len(server.ranges) <= 60


def test_the_verdict_is_that_of_the_bytes(tmp_path: Path, served: RangeServer) -> None:
    """Elsewhere or here: the same findings, verdict and size; the digest on request."""
    path = tmp_path / "model.bin"
    path.write_bytes(served.body.read(0, served.body.size))
    here, there = scan(path).to_dict(), scan(served.url, digest=True).to_dict()
    assert {**here, "name": ""} == {**there, "name": ""}
    assert here["safe"]


def test_the_first_answer_tells_the_size_and_brings_the_head(served: RangeServer) -> None:
    """No HEAD request, no second request for the first 4 KiB."""
    with opened(served.url) as remote:
        assert remote.source.size == 12_000
        assert remote.source.read(5, 10) == served.body.read(5, 10)
    assert served.ranges == [(0, 4095)]
    assert served.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 4095, 4096, 4097])
def test_small_files_are_read_whole(size: int) -> None:
    """The edges of the first request and of a block are no edges for the reader."""
    body = Sparse(size, [(0, bytes(n % 251 for n in range(size)))])
    with range_server(body) as server, opened(server.url) as remote:
        assert remote.source.read(0, size) == body.read(0, size)
        with pytest.raises(MalformedArtifactError, match="reach beyond"):
            remote.source.read(1, size)


def test_an_empty_file_is_one() -> None:
    """A range of nothing is answered with 416 and a size of 0."""
    with range_server(Sparse(0)) as server:
        report = scan(server.url)
    assert report.size == 0
    assert report.format == "empty"


def test_adjacent_reads_read_ahead_and_scattered_ones_do_not() -> None:
    """Reading a megabyte in small steps takes few requests; 50 probes take a block each."""
    body = Sparse(GB, [(0, bytes(range(256)) * 40)])
    with range_server(body) as server, opened(server.url) as remote:
        for offset in range(0, 1 << 20, 100):
            remote.source.read(offset, 100)
        assert len(server.ranges) < 20
        assert server.sent < 2 << 20
    with range_server(body) as server, opened(server.url) as remote:
        for offset in range(10_000_000, GB, GB // 50):
            remote.source.read(offset, 30)
        assert server.sent <= 4096 + 50 * BLOCK


class Counted:
    """Ranges in memory that check what they are asked."""

    def __init__(self, data: bytes, head: int) -> None:
        self.data, self.size, self.head = data, len(data), data[:head]

    def fetch(self, offset: int, length: int) -> bytes:
        assert 0 <= offset < offset + length <= self.size
        return self.data[offset : offset + length]

    def close(self) -> None: ...


@given(
    st.binary(min_size=1, max_size=200).map(lambda seed: seed * 100),
    st.integers(0, 5000),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 5000)), max_size=20),
)
def test_the_cache_is_invisible(data: bytes, head: int, reads: list[tuple[int, int]]) -> None:
    """Whatever is read in whatever order is what is there, or refused."""
    source = RemoteSource(Counted(data, head), versioned=True)
    for offset, length in reads:
        if offset + length <= len(data):
            assert source.read(offset, length) == data[offset : offset + length]
        else:
            with pytest.raises(MalformedArtifactError):
                source.read(offset, length)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old blocks make room; they are fetched again when they are needed again."""
    monkeypatch.setattr("modelsec.scanning.remote.KEPT_BLOCKS", 4)
    data = bytes(n // BLOCK for n in range(100 * BLOCK))
    source = RemoteSource(Counted(data, 0), versioned=True)
    assert source.read(0, len(data)) == data
    assert len(source._blocks) == 4
    assert source.read(0, 2000) == data[:2000]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no ranges", "whole files only, no ranges: download it"),
        ("endless", "whole files only"),
        ("other range", "another range"),
        ("short", "ended after"),
        ("long length", "length of the answer"),
        ("no length", "length of the answer"),
        ("chunked", "is encoded"),
        ("gzip", "is encoded"),
        ("no content-range", "no Content-Range"),
        ("many parts", "no Content-Range"),
        ("unknown size", "no Content-Range"),
        ("status", "answered 503"),
        ("hang up", "cannot open"),
    ],
)
def test_a_server_that_cannot_serve_ranges_is_refused(fault: Fault, message: str) -> None:
    """Before its body is read: at most what fits into the network's buffers is sent."""
    with range_server(Sparse(1 << 30), fault) as server:
        with pytest.raises(ConfigurationError, match=message):
            scan(server.url)
        server.stopping.set()
        assert server.sent < 32 << 20  # buffers of the two kernels; nothing of it is read
        assert len(server.ranges) == 1


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("no ranges", "MS-REM-002"),
        ("other range", "MS-REM-002"),
        ("other size", "MS-REM-002"),
        ("short", "MS-REM-001"),
        ("no length", "MS-REM-001"),
        ("gzip", "MS-REM-001"),
        ("no content-range", "MS-REM-001"),
        ("status", "MS-REM-001"),
        ("hang up", "MS-REM-001"),
    ],
)
def test_a_server_that_fails_later_makes_the_result_incomplete(
    served: RangeServer, fault: Fault, rule: str
) -> None:
    """What was seen stays; nothing more is asked for; the file is not safe."""
    served.fault, served.honest = fault, 1
    report = scan(served.url)
    assert not report.safe
    assert report.coverage is Coverage.INCOMPLETE
    assert rule in {finding.id for finding in report.findings}
    asked_twice = fault == "hang up"  # a kept connection may have been closed in good faith
    assert len(served.ranges) == 2 + asked_twice


@pytest.mark.parametrize("etags", [['"v1"', '"v2"'], ['"v1"', ""], ["", '"v2"']])
def test_a_file_that_changes_between_two_answers_is_refused(
    served: RangeServer, etags: list[str]
) -> None:
    """Every answer must carry the ETag of the first one."""
    served.etags = etags
    report = scan(served.url)
    assert "MS-REM-002" in {finding.id for finding in report.findings}
    assert report.verdict is Verdict.UNKNOWN
    assert not report.safe


def test_a_time_of_change_tells_versions_apart(served: RangeServer) -> None:
    """Without an ETag, Last-Modified is enough, and it is compared."""
    served.etags, served.last_modified = [""], "Mon, 01 Jan 2024 00:00:00 GMT"
    assert scan(served.url).safe
    with opened(served.url) as remote:
        served.last_modified = "Mon, 01 Jan 2024 00:00:01 GMT"
        with pytest.raises(RemoteReadError, match="changed during the scan"):
            remote.source.read(8000, 1)
        with pytest.raises(RemoteReadError, match="changed during the scan"):
            remote.source.read(9000, 1)


def test_a_server_without_versions_is_not_trusted(served: RangeServer) -> None:
    """Nothing shows whether two ranges are of one file: incomplete."""
    served.etags = [""]
    report = scan(served.url)
    assert {finding.id for finding in report.findings} == {"MS-REM-003"}
    assert report.coverage is Coverage.INCOMPLETE


def test_a_connection_that_is_closed_after_each_answer_is_opened_again(
    served: RangeServer,
) -> None:
    """Keeping connections open is a courtesy, not a condition."""
    served.fault = "close"
    assert scan(served.url).safe
    assert len(served.ranges) > 1


@pytest.mark.parametrize("fault", ["slow body", "slow headers"])
def test_a_server_that_trickles_is_cut_off(served: RangeServer, fault: Fault) -> None:
    """Each byte comes in time, all of them do not: one deadline holds for the whole answer."""
    served.fault = fault
    now = iter(range(0, 1_000_000, 5))
    with pytest.raises(ConfigurationError, match="the server is too slow"):
        HttpRanges(served.url, 4096, Network(now=lambda: float(next(now))))


def test_all_requests_together_are_bounded(served: RangeServer) -> None:
    """A server that is slow, but not too slow, each time runs into the sum."""
    seconds = [0.0]
    ranges = HttpRanges(served.url, 10, Network(now=lambda: seconds[0]))
    seconds[0] = 299.0
    assert len(ranges.fetch(100, 10)) == 10
    seconds[0] = 301.0
    with pytest.raises(RemoteReadError, match="too slow"):
        ranges.fetch(200, 10)


# Redirects and addresses


def test_redirects_are_followed_and_remembered(served: RangeServer) -> None:
    """Relative and absolute; later requests go where the file was found."""
    served.moves = {"/a": "/b", "/b": served.url}
    assert scan(served.url.replace("/model.bin", "/a")).safe
    assert {f"bytes={first}-{last}" for first, last in served.ranges} == {
        headers["Range"] for headers in served.headers
    }


def test_redirects_end(served: RangeServer) -> None:
    """A circle is refused."""
    served.moves = {"/model.bin": "/model.bin"}
    with pytest.raises(ConfigurationError, match="more than 5 redirects"):
        scan(served.url)


@pytest.mark.parametrize(
    "location", ["file:///etc/hostname", "ftp://x/y", "gopher://x", "http://u:p@x/", "http://", ""]
)
def test_redirects_stay_within_http(served: RangeServer, location: str) -> None:
    """No other scheme, no credentials; "" is a circle."""
    served.moves = {"/model.bin": location}
    with pytest.raises(ConfigurationError, match="redirect"):
        scan(served.url)


def test_redirects_do_not_drop_encryption() -> None:
    """From https to https or from http to anything; never from https to http."""
    secure, plain = checked_url("https://a.example/x"), checked_url("http://a.example/x")
    assert redirected(secure, "https://b.example/y").geturl() == "https://b.example/y"
    assert redirected(plain, "https://b.example/y").geturl() == "https://b.example/y"
    assert redirected(secure, "../z").geturl() == "https://a.example/z"
    with pytest.raises(RemoteReadError, match="from https to http"):
        redirected(secure, "http://a.example/x")


def network_of(addresses: dict[str, list[str]], public: set[str]) -> Network:
    return Network(resolve=lambda host, _port: addresses[host], is_public=public.__contains__)


def test_a_public_server_cannot_send_the_scan_into_the_private_network(
    served: RangeServer,
) -> None:
    """A redirect to an inner address is refused, and so is a name that resolves to one."""
    port = served.port()
    served.moves = {"/go": f"http://inner.example:{port}/model.bin"}
    table = {"outer.example": ["127.0.0.1"], "inner.example": ["127.0.0.2"]}
    network = network_of(table, {"127.0.0.1"})
    with pytest.raises(ConfigurationError, match="from a public into a private network"):
        HttpRanges(f"http://outer.example:{port}/go", 10, network)
    assert served.ranges == []
    both_public = network_of(table | {"inner.example": ["127.0.0.1"]}, {"127.0.0.1"})
    HttpRanges(f"http://outer.example:{port}/go", 10, both_public).close()


def test_a_name_cannot_change_its_address_to_a_private_one(served: RangeServer) -> None:
    """A new connection to the same host is held to the network of the first."""
    served.fault = "close"
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    network = Network(
        resolve=lambda _host, _port: answers.pop(0), is_public={"127.0.0.1"}.__contains__
    )
    ranges = HttpRanges(f"http://outer.example:{served.port()}/x", 10, network)
    with pytest.raises(RemoteReadError, match="from a public into a private network"):
        ranges.fetch(20, 10)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to be refused
    ],
)
def test_public_addresses(address: str, public: bool) -> None:  # noqa: FBT001
    """Loopback, private, link-local, shared and wrapped ones are not public."""
    assert is_public(address) is public


# What is opened at all


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/hostname",
        "local:///etc/hostname",
        "zip://x::file:///etc/hostname",
        "simplecache::s3://bucket/x",
        "s3://bucket/x::file:///etc/hostname",
        "ssh://host/x",
        "github://o:r@/x",
        "reference://x",
        "ftp://host/x",
        "://",
        "http://",
        "http://host:0/",
        "http://host:99999/",
        "http://[::1/",
        "http://user:secret@host/x",
        "http://user@host/x",
        "hf://owner/name",
        "hf://datasets/owner/name",
        "hf://owner/name@main/../../x",
        "memory://nothing-there",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """No local files by another name, no chains, no shells, no credentials; and none is echoed."""
    with pytest.raises(ConfigurationError) as caught:
        scan(url)
    assert "secret" not in str(caught.value)


def test_a_host_that_is_not_there_is_said() -> None:
    """No traceback of the network's making."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(ConfigurationError, match=r"cannot open http://127.*: "):
            scan(url)


def test_a_report_does_not_hold_signatures(served: RangeServer) -> None:
    """The query of a URL may be a key to the file."""
    report = scan(f"{served.url}?X-Signature=secret#part")
    assert report.name == served.url
    assert shown_url("https://u:p@h/a b\x1b?q") == "https://h/a b\\x1b"


def test_paths_are_not_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Path object never leads to the network, whatever it is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    (tmp_path / "http:" / "x").write_text("fine\n")
    assert scan(Path("http://x")).safe


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("hf://o/n/f.pt", "https://huggingface.co/o/n/resolve/main/f.pt"),
        ("hf://o/n@abc/d/f g.pt", "https://huggingface.co/o/n/resolve/abc/d/f%20g.pt"),
        (
            "hf://datasets/o/n@refs%2Fpr%2F1/f",
            "https://huggingface.co/datasets/o/n/resolve/refs%2Fpr%2F1/f",
        ),
        ("hf://spaces/o/n/f?#", "https://huggingface.co/spaces/o/n/resolve/main/f%3F%23"),
    ],
)
def test_hub_addresses(url: str, target: str) -> None:
    """Owner, name, revision and path, nothing else."""
    assert hub_url(url) == target


# Stores


@pytest.fixture
def store() -> Iterator[Callable[[bytes], str]]:
    memory = fsspec.filesystem("memory")

    def put(data: bytes) -> str:
        memory.pipe_file("/bucket/model.bin", data)
        return "memory://bucket/model.bin"

    yield put
    memory.store.clear()


def test_objects_of_stores_are_scanned(store: Callable[[bytes], str]) -> None:
    """Through the filesystem that fsspec has for the scheme."""
    data = text(300_000).read(0, 300_000)
    report = scan(store(data), digest=True)
    assert report.safe
    assert report.sha256 == scan(data).sha256
    assert report.name == "memory://bucket/model.bin"


@pytest.mark.parametrize("again", [b"x" * 300_000, b"shorter", None])
def test_an_object_that_changes_is_noticed(
    store: Callable[[bytes], str], again: bytes | None
) -> None:
    """Its size and version are asked for again at the end; a missing range is a change, too."""
    with opened(store(text(300_000).read(0, 300_000))) as remote:
        if again is None:
            fsspec.filesystem("memory").rm("/bucket/model.bin")
        else:
            store(again)
        (finding,) = remote.afterwards()
    assert finding.id == "MS-REM-002"


def test_a_store_that_fails_makes_the_result_incomplete(
    store: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exceptions of a store's own are not the caller's to know."""
    url = store(text(300_000).read(0, 300_000))

    def fail(*_: object, **__: object) -> bytes:
        raise RuntimeError("no such bucket\x1b")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.cat_file", fail)
    report = scan(url)
    assert not report.safe
    assert "MS-REM-001" in {finding.id for finding in report.findings}
    assert "\x1b" not in str(report.to_dict())


def test_a_folder_of_a_store_is_no_file(store: Callable[[bytes], str]) -> None:
    """It is refused, not read."""
    store(b"x")
    with pytest.raises(ConfigurationError, match="no file of a known size"):
        scan("memory://bucket")


def test_an_object_that_shrinks_under_a_reader_is_noticed(store: Callable[[bytes], str]) -> None:
    """Fewer bytes than asked for are a change, not an end."""
    with opened(store(bytes(300_000))) as remote:
        store(b"shorter")
        with pytest.raises(RemoteReadError, match="not there any more"):
            remote.source.read(200_000, 10)


def test_without_fsspec_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The web needs nothing; an object store needs the extra."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'modelsec\[remote\]'"):
        scan("s3://bucket/key")


@given(st.text(max_size=40))
def test_no_url_raises_anything_else(tail: str) -> None:
    """Any text after a scheme is refused with one of our errors; nothing is connected to."""
    for scheme in ("hf://", "file://", "x://"):
        with pytest.raises(ModelSecError), opened(scheme + "/" + tail):
            raise AssertionError("opened")


def test_encryption_is_not_optional(served: RangeServer) -> None:
    """A server that does not speak TLS is not spoken to in plain text."""
    with pytest.raises(ConfigurationError, match="cannot open https://127"):
        scan(served.url.replace("http://", "https://"))
    assert served.ranges == []
