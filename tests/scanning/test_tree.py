"""Folders: every file by content, and what only the folder shows."""

import os
import socket
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.scanning import Coverage, Finding, Limits, TreeReport, Verdict, tree
from modelsec.scanning.tree import Progress, scan_tree

SAFETENSORS = b"\x02\0\0\0\0\0\0\0{}"
ELF = b"\x7fELF" + bytes(60)
needs_links = pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links")


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def found(report: TreeReport, rule: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.id == rule]


def test_every_file_is_scanned_in_order_whatever_it_is_called(tmp_path: Path) -> None:
    """Names are within the folder, with slashes; endings decide nothing."""
    folder(tmp_path, {"b/x.json": ELF, "a.txt": b"text\n", "b/a": b"text\n", ".hidden": b"t\n"})
    report = scan_tree(tmp_path)
    assert [one.name for one in report] == [".hidden", "a.txt", "b/a", "b/x.json"]
    assert report.verdict is Verdict.DANGEROUS


def test_a_clean_folder_is_safe(tmp_path: Path) -> None:
    """Text and weights, no findings."""
    report = scan_tree(folder(tmp_path, {"README.md": b"# Model\n", "m.safetensors": SAFETENSORS}))
    assert report.safe, report.to_dict()


def test_an_empty_folder_is_not_complete(tmp_path: Path) -> None:
    """Nothing was scanned, so nothing is claimed."""
    assert scan_tree(tmp_path).coverage is Coverage.INCOMPLETE


@needs_links
def test_a_link_out_of_the_folder_is_dangerous_and_not_followed(tmp_path: Path) -> None:
    """Whoever loads the folder would read a file that is not part of it."""
    folder(tmp_path, {"outside.txt": b"secret\n", "model/a.txt": b"text\n"})
    (tmp_path / "model/b.txt").symlink_to("../outside.txt")
    (tmp_path / "model/c").symlink_to(tmp_path)
    report = scan_tree(tmp_path / "model")
    assert [one.name for one in report] == ["a.txt"]
    assert {finding.member for finding in found(report, "MS-DIR-001")} == {"b.txt", "c"}
    assert report.verdict is Verdict.DANGEROUS


@needs_links
def test_links_out_of_the_folder_are_followed_on_request(tmp_path: Path) -> None:
    """They are noted; a circle ends."""
    folder(tmp_path, {"outside/o.txt": b"text\n", "model/a.txt": b"text\n"})
    (tmp_path / "model/o").symlink_to("../outside")
    (tmp_path / "model/p.txt").symlink_to("../outside/o.txt")
    (tmp_path / "outside/back").symlink_to("../outside")
    report = scan_tree(tmp_path / "model", follow_links=True)
    assert [one.name for one in report] == ["a.txt", "o/o.txt"]
    assert report.safe, report.findings


@needs_links
def test_links_within_are_not_scanned_twice(tmp_path: Path) -> None:
    """The same file under an ending of the same meaning is noted."""
    folder(tmp_path, {"a.txt": b"text\n", "d/b.txt": b"text\n"})
    (tmp_path / "z.txt").symlink_to("a.txt")
    (tmp_path / "e").symlink_to("d")
    (tmp_path / "loop").symlink_to(".")
    report = scan_tree(tmp_path)
    assert [one.name for one in report] == ["a.txt", "d/b.txt"]
    assert len(found(report, "MS-DIR-002")) == 3
    assert report.safe


@needs_links
def test_a_link_with_another_ending_is_scanned_under_its_name(tmp_path: Path) -> None:
    """Text becomes code by the name of a link to it."""
    folder(tmp_path, {"a.txt": b"x = 1\n"})
    (tmp_path / "b.py").symlink_to("a.txt")
    report = scan_tree(tmp_path)
    assert {one.name: one.verdict for one in report}["b.py"] is Verdict.UNKNOWN


@needs_links
def test_broken_links_are_incomplete(tmp_path: Path) -> None:
    """A link to nowhere, and one to itself."""
    folder(tmp_path, {"a.txt": b"text\n"})
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    report = scan_tree(tmp_path)
    assert report.coverage is Coverage.INCOMPLETE
    assert len(found(report, "MS-DIR-004")) == 2


def hub_cache(root: Path, content: bytes = b"text\n") -> Path:
    repository = root / "models--owner--name"
    folder(repository, {"blobs/0a1b": content, "blobs/2c3d": SAFETENSORS, "refs/main": b"r1\n"})
    snapshot = repository / "snapshots/r1"
    snapshot.mkdir(parents=True)
    (snapshot / "config.txt").symlink_to("../../blobs/0a1b")
    (snapshot / "model.safetensors").symlink_to("../../blobs/2c3d")
    return snapshot


@needs_links
def test_a_snapshot_of_the_hub_is_followed_into_its_blobs(tmp_path: Path) -> None:
    """The cache's own layout is honest; files carry the names of the links."""
    report = scan_tree(hub_cache(tmp_path))
    assert [one.name for one in report] == ["config.txt", "model.safetensors"]
    assert report.safe, report.findings


@needs_links
def test_a_repository_of_the_hub_reports_blobs_by_the_names_of_links(tmp_path: Path) -> None:
    """A hash has no ending, and the ending can matter."""
    snapshot = hub_cache(tmp_path, b"x = 1\n")
    (snapshot / "code.py").symlink_to("../../blobs/0a1b")
    folder(tmp_path, {"models--owner--name/blobs/unused": b"text\n"})
    report = scan_tree(snapshot.parent.parent)
    assert [one.name for one in report] == [
        "blobs/unused",
        "refs/main",
        "snapshots/r1/code.py",
        "snapshots/r1/config.txt",
        "snapshots/r1/model.safetensors",
    ]
    assert report.verdict is Verdict.UNKNOWN


@needs_links
def test_a_snapshot_may_not_reach_beyond_its_blobs(tmp_path: Path) -> None:
    """Another repository is as foreign as the rest of the disk."""
    snapshot = hub_cache(tmp_path)
    folder(tmp_path, {"models--other--name/blobs/x": b"text\n"})
    (snapshot / "other.txt").symlink_to("../../../models--other--name/blobs/x")
    assert len(found(scan_tree(snapshot), "MS-DIR-001")) == 1


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    """A pipe would hang whoever opens it."""
    folder(tmp_path, {"a.txt": b"text\n"})
    os.mkfifo(tmp_path / "model.bin")
    with socket.socket(socket.AF_UNIX) as server:
        where = Path.cwd()
        os.chdir(tmp_path)  # the name of a socket is short
        try:
            server.bind("s")
        finally:
            os.chdir(where)
        report = scan_tree(tmp_path)
    assert {finding.member for finding in found(report, "MS-DIR-003")} == {"model.bin", "s"}
    assert report.verdict is Verdict.DANGEROUS


def test_a_file_that_cannot_be_opened_is_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither permissions nor a fault of ours ends the run."""
    folder(tmp_path, {"a.txt": b"text\n", "b.txt": b"text\n", "c.txt": b"text\n"})
    honest = tree.scan

    def failing(path: Path, **options: object) -> object:
        if path.name == "a.txt":
            raise ConfigurationError("cannot open a.txt: Permission denied")
        if path.name == "b.txt":
            raise ZeroDivisionError
        return honest(path, **options)

    monkeypatch.setattr(tree, "scan", failing)
    report = scan_tree(tmp_path)
    coverage = {one.name: one.coverage for one in report}
    assert coverage["a.txt"] is coverage["b.txt"] is Coverage.INCOMPLETE
    assert coverage["c.txt"] is Coverage.COMPLETE
    assert not report.safe


def test_a_folder_that_cannot_be_read_is_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is scanned."""
    folder(tmp_path, {"a.txt": b"text\n", "closed/b.txt": b"text\n"})
    honest = os.scandir

    def failing(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return honest(path)

    monkeypatch.setattr(os, "scandir", failing)
    report = scan_tree(tmp_path)
    assert [one.name for one in report] == ["a.txt"]
    assert report.coverage is Coverage.INCOMPLETE


def test_the_number_of_entries_is_limited(tmp_path: Path) -> None:
    """What is left out is incomplete."""
    folder(tmp_path, {f"{number}.txt": b"text\n" for number in range(20)})
    report = scan_tree(tmp_path, limits=Limits(members=5))
    assert len(report.files) == 5
    assert found(report, "MS-DIR-005")
    assert not report.safe


def test_the_depth_of_folders_is_limited(tmp_path: Path) -> None:
    """A chain of folders ends where the limit is."""
    folder(tmp_path, {"/".join(["d"] * 70) + "/a.txt": b"text\n"})
    report = scan_tree(tmp_path)
    assert not report.files
    assert found(report, "MS-DIR-005")


def test_progress_is_told_and_the_run_can_be_cancelled(tmp_path: Path) -> None:
    """After each file; what was not scanned is incomplete."""
    folder(tmp_path, {"a.txt": b"text\n", "b.txt": b"text\n", "c.txt": b"text\n"})
    told: list[Progress] = []
    report = scan_tree(tmp_path, on_progress=told.append, cancelled=lambda: len(told) == 2)
    assert told == [Progress(1, 3, "a.txt"), Progress(2, 3, "b.txt")]
    assert len(report.files) == 2
    assert report.coverage is Coverage.INCOMPLETE


def test_files_of_git_are_noted_and_active_hooks_are_code(tmp_path: Path) -> None:
    """No loader reads them; git runs hooks."""
    folder(
        tmp_path,
        {
            "a.txt": b"text\n",
            ".git/objects/x": ELF,
            ".git/hooks/pre-commit": b"#!/bin/sh\n",
            ".git/hooks/update.sample": b"#!/bin/sh\n",
        },
    )
    report = scan_tree(tmp_path)
    assert [one.name for one in report] == ["a.txt"]
    assert [finding.member for finding in found(report, "MS-DIR-009")] == [".git/hooks/pre-commit"]
    assert report.verdict is Verdict.UNKNOWN
    folder(tmp_path / "plain", {"a.txt": b"text\n", ".git/HEAD": b"ref\n"})
    assert scan_tree(tmp_path / "plain").safe


def test_code_beside_weights_is_unknown(tmp_path: Path) -> None:
    """It is imported if the caller trusts remote code."""
    folder(tmp_path, {"modeling.py": b"x = 1\n", "model.safetensors": SAFETENSORS})
    report = scan_tree(tmp_path)
    assert len(found(report, "MS-DIR-006")) == 1
    assert report.verdict is Verdict.UNKNOWN


def test_a_pickle_beside_safetensors_is_noted(tmp_path: Path) -> None:
    """Some loaders prefer the pickle."""
    folder(tmp_path, {"model.safetensors": SAFETENSORS, "model.bin": b"\x80\x02}q\x00."})
    assert len(found(scan_tree(tmp_path), "MS-DIR-007")) == 1


def test_shards_that_an_index_names_must_be_there(tmp_path: Path) -> None:
    """A model of which a part is missing was not all scanned."""
    index = b'{"metadata": {}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}'
    folder(tmp_path, {"m.safetensors.index.json": index, "m-1.safetensors": SAFETENSORS})
    report = scan_tree(tmp_path)
    assert [finding.subject for finding in found(report, "MS-DIR-010")] == ["m-2.safetensors"]
    folder(tmp_path, {"m-2.safetensors": SAFETENSORS})
    assert scan_tree(tmp_path).safe


@pytest.mark.parametrize("index", [b"{", b"[]", b'{"weight_map": 3}', b'{"weight_map": {"a": 1}}'])
def test_an_index_that_is_none_is_left_to_its_own_report(tmp_path: Path, index: bytes) -> None:
    """The folder says nothing about it."""
    report = scan_tree(folder(tmp_path, {"m.index.json": index, "a.txt": b"text\n"}))
    assert not found(report, "MS-DIR-010")


def test_names_that_are_no_text_can_be_written(tmp_path: Path) -> None:
    """A name of any bytes ends up as text in the report."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_bytes(b"text\n")
    (report,) = scan_tree(tmp_path)
    assert report.name == "\\xff.txt"


@pytest.mark.parametrize("name", ["nothing", "file.txt", "\0"])
def test_a_root_that_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    """The caller is told what to do."""
    folder(tmp_path, {"file.txt": b"text\n"})
    with pytest.raises(ConfigurationError):
        scan_tree(f"{tmp_path}/{name}")


def test_what_git_does_not_put_into_its_folder_is_told(tmp_path: Path) -> None:
    """A configuration can name a file there, and nobody would have scanned it."""
    folder(tmp_path, {"a.txt": b"text\n", ".git/HEAD": b"ref\n", ".git/model.bin": ELF})
    report = scan_tree(tmp_path)
    assert [finding.member for finding in found(report, "MS-DIR-011")] == [".git/model.bin"]
    assert not report.safe


@pytest.mark.parametrize(
    "line",
    [b"fsmonitor = ./x", b"hooksPath=../x", b"sshCommand = x", b"pager = x", b"clean = x %f"],
)
def test_programs_that_git_is_configured_to_run_are_code(tmp_path: Path, line: bytes) -> None:
    """They run on the next command of git, as hooks do."""
    folder(tmp_path, {"a.txt": b"text\n", ".git/config": b"[core]\n\t" + line + b"\n"})
    assert len(found(scan_tree(tmp_path), "MS-DIR-009")) == 1


def test_an_ordinary_configuration_of_git_is_no_finding(tmp_path: Path) -> None:
    """Large files are filtered by git-lfs."""
    config = (
        b'[core]\n\tbare = false\n\tfsmonitor = true\n[remote "origin"]\n\turl = x\n'
        b'[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tprocess = git-lfs filter-process\n'
    )
    folder(tmp_path, {"a.txt": b"text\n", ".git/config": config})
    assert scan_tree(tmp_path).safe
