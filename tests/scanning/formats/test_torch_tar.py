import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from tests.scanning.support.assembler import (
    BINPERSID,
    DICT,
    EMPTY_TUPLE,
    MARK,
    NONE,
    POP,
    REDUCE,
    TUPLE,
    TUPLE3,
    call,
    name,
    number,
)
from tests.scanning.support.containers import honest_tar
from tests.scanning.support.torch_tar_writer import (
    Checkpoint,
    Storage,
    Tensor,
    entry,
    pickled,
    unicode,
)

ACT = call("no_such_module", "run") + POP
"""A call of something that does not exist, whose result is dropped."""


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_a_state_dict_is_allow_listed() -> None:
    """Storages, tensors, the object and the writer's notes are understood to the last byte."""
    report = scan(Checkpoint().written())
    assert report.verdict is Verdict.ALLOW_LISTED
    assert report.coverage is Coverage.COMPLETE
    assert report.safe
    assert not report.findings
    assert report.format == "torch tar"


def test_views_scalars_and_empty_tensors_are_honest() -> None:
    """A view is a storage of its own; a tensor without dimensions has one element."""
    checkpoint = Checkpoint(
        storages=[Storage(), Storage(key=6, values=())],
        views=[(7, 5, 2, 3)],
        tensors=[
            Tensor(),
            Tensor(key=10, storage=7, sizes=(3,), strides=(1,)),
            Tensor(key=11, storage=7, sizes=(), strides=(), offset=2),
            Tensor(key=12, storage=6, sizes=(0,), strides=(1,)),
            Tensor(key=13, sizes=(4, 6), strides=(0, 1)),
        ],
    )
    assert scan(checkpoint.written()).safe


def test_persistent_ids_are_numbers_or_text() -> None:
    """The loader takes ``int()`` of the id, so writers used either."""
    body = MARK + unicode("a") + number(9) + BINPERSID + unicode("b") + unicode("5") + BINPERSID
    assert scan(Checkpoint(body=body + DICT).written()).safe


@pytest.mark.parametrize("member", ["sys_info", "pickle", "tensors", "storages"])
def test_each_pickle_may_hold_a_payload(member: str) -> None:
    """An unlisted call in the first pickle of any member is found."""
    content = Checkpoint().members()[member]
    content = content[:2] + ACT + content[2:]
    report = scan(Checkpoint().written(**{member: content}))
    assert report.verdict is Verdict.UNKNOWN
    assert "MS-PKL-003" in ids(report)


def test_a_payload_between_raw_bytes_is_found() -> None:
    """The entries behind the first storage, and the list of views, are pickles too."""
    members = Checkpoint(storages=[Storage(), Storage(key=6)]).members()
    content = members["storages"]
    for place in (content.rindex(b"\x80\x02("), content.rindex(b"\x80\x02]")):
        changed = content[: place + 2] + ACT + content[place + 2 :]
        assert "MS-PKL-003" in ids(scan(Checkpoint().written(storages=changed)))
    content = Checkpoint(tensors=[Tensor(), Tensor(key=10)]).members()["tensors"]
    place = content.rindex(b"\x80\x02(")
    changed = content[: place + 2] + ACT + content[place + 2 :]
    assert "MS-PKL-003" in ids(scan(Checkpoint().written(tensors=changed)))


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(sizes=(2, 4)),
        Tensor(offset=1),
        Tensor(sizes=(1 << 62, 4), strides=(1 << 62, 1)),
        Tensor(strides=(-1, 1)),
        Tensor(sizes=(-2, 3)),
        Tensor(offset=-1),
        Tensor(key=5),
    ],
)
def test_tensors_stay_within_their_storage(tensor: Tensor) -> None:
    """Whatever a size, stride or offset says."""
    report = scan(Checkpoint(tensors=[tensor]).written())
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-TOR-030" in ids(report)


def test_an_expanded_tensor_is_a_bomb_for_whoever_copies_it() -> None:
    """Strides of zero reach one element only, however large the sizes."""
    report = scan(Checkpoint(tensors=[Tensor(sizes=(1 << 20, 1 << 20), strides=(0, 0))]).written())
    assert report.verdict is Verdict.UNKNOWN
    assert "MS-TOR-031" in ids(report)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(storages=[Storage(elements=-1)]),
        Checkpoint(storages=[Storage(elements=1 << 62)]),
        Checkpoint(storages=[Storage(elements=1000)]),
        Checkpoint(storages=[Storage(), Storage()]),
        Checkpoint(views=[(7, 5, 4, 3)]),
        Checkpoint(views=[(7, 5, -1, 3)]),
        Checkpoint(views=[(7, 5, 1, -3)]),
        Checkpoint(views=[(5, 5, 0, 6)]),
    ],
)
def test_storages_have_the_bytes_they_declare(checkpoint: Checkpoint) -> None:
    """Views included."""
    report = scan(checkpoint.written())
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-TOR-002" in ids(report)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(tensors=[Tensor(storage=4)]),
        Checkpoint(tensors=[Tensor(storage=None)]),
        Checkpoint(views=[(7, 6, 0, 1)]),
        Checkpoint(counts=(2, None)),
        Checkpoint(counts=(None, 2)),
        Checkpoint(counts=(-1, None)),
        Checkpoint(counts=(None, 1 << 30)),
        Checkpoint(counts=(0, None)),
        Checkpoint(counts=(None, 0)),
        Checkpoint(before_views=entry(number(1))),
        Checkpoint(storages=[Storage(kind="NoStorage")]),
        Checkpoint(tensors=[Tensor(sizes=(1,) * 65, strides=(1,) * 65)]),
        Checkpoint(after=b"more"),
        Checkpoint(little_endian=b"\x89"),
    ],
)
def test_what_is_not_the_format_is_not_safe(checkpoint: Checkpoint) -> None:
    """Missing storages, counts that lie, foreign classes, bytes behind the end."""
    assert not scan(checkpoint.written()).safe


@pytest.mark.parametrize(
    "body",
    [
        number(4) + BINPERSID,
        unicode("four") + BINPERSID,
        unicode("٩") + BINPERSID,
        b"\x88" + BINPERSID,
        MARK + unicode("storage") + number(9) + TUPLE + BINPERSID,
    ],
)
def test_persistent_ids_are_keys(body: bytes) -> None:
    """Anything else, only another loader resolves."""
    report = scan(Checkpoint(body=body).written())
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-TOR-001" in ids(report)


def test_source_code_of_modules_is_noted() -> None:
    """The oldest writers added the source of each module's class."""
    module = name("torch.nn.modules.linear", "Linear")
    body = module + unicode("linear.py") + unicode("class Linear: ...") + TUPLE3 + BINPERSID
    report = scan(Checkpoint(body=body).written())
    assert "MS-TOR-004" in ids(report)
    assert report.safe
    assert not scan(Checkpoint(body=body + EMPTY_TUPLE + REDUCE).written()).safe
    nothing = scan(Checkpoint(body=module + NONE + NONE + TUPLE3 + BINPERSID).written())
    assert not nothing.findings


def test_further_members_are_scanned_by_content() -> None:
    """No member passes because torch does not ask for it."""
    report = scan(Checkpoint().written(other=pickled(ACT + NONE)))
    assert "MS-PKL-003" in ids(report)
    assert scan(Checkpoint().written(other=pickled(NONE))).safe


def test_of_two_members_of_one_name_the_last_counts() -> None:
    """As in Python's tarfile; the other one is scanned by content, and both are told."""
    whole = Checkpoint().written()
    bad = Checkpoint(tensors=[Tensor(offset=9)]).written()
    assert "MS-TOR-030" in ids(scan(whole[:-1024] + bad))
    assert not scan(bad[:-1024] + whole).safe


def test_names_are_matched_exactly() -> None:
    """A tar with such names in capitals is an ordinary tar, and so is one with a folder."""
    members = Checkpoint().members()
    for renamed in ("PICKLE", "./pickle"):
        names = [renamed if member == "pickle" else member for member in members]
        report = scan(honest_tar(dict(zip(names, members.values(), strict=True))))
        assert report.format == "tar"
        assert not report.safe


WHOLE = Checkpoint(views=[(7, 5, 2, 3)]).written()


@given(st.integers(512, len(WHOLE) - 1024))
def test_a_truncated_file_is_never_safe(length: int) -> None:
    """From the first header up to the end mark."""
    assert not scan(WHOLE[:length]).safe


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=9))
def test_no_mutation_gets_out_of_the_scanner(offset: int, patch: bytes) -> None:
    """Nothing is raised, and no reader meets a case that it does not know."""
    report = scan(WHOLE[:offset] + patch + WHOLE[offset + len(patch) :])
    assert "MS-COV-004" not in ids(report)
