"""What a tree may hold, and what is noticed when it changes under the reader."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError, DigestMismatchError, UnsafeTreeError
from modelsec.signing.profile import OMS, STRICT, Profile
from modelsec.signing.trees import folders, walk
from modelsec.signing.trees.tree import Tree, open_tree


@pytest.fixture(params=["descriptors", "paths"])
def seam(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test by descriptors, and as on a system without them."""
    if request.param == "paths":
        monkeypatch.setattr(folders, "HAS_DESCRIPTORS", False)
    return str(request.param)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model of three files."""
    root = tmp_path / "model"
    (root / "unet").mkdir(parents=True)
    (root / "config.json").write_text("{}")
    (root / "unet" / "w.bin").write_bytes(b"weights")
    (root / "unet.bin").write_bytes(b"other")
    return root


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """No test may leave a descriptor open."""
    before = _open_descriptors()
    yield
    assert _open_descriptors() <= before


def _open_descriptors() -> int:
    table = Path("/proc/self/fd")
    return len(list(table.iterdir())) if table.exists() else 0


def names(path: Path, profile: Profile = STRICT, **options: object) -> list[str]:
    with open_tree(path, profile=profile, **options) as tree:  # type: ignore[arg-type]
        tree.recheck()
        for entry in tree.entries:
            assert read(tree, entry.name) == (tree.path / entry.name).read_bytes()
        return [entry.name for entry in tree.entries]


def read(tree: Tree, name: str) -> bytes:
    entry = next(entry for entry in tree.entries if entry.name == name)
    descriptor = tree.open(entry)
    try:
        data = os.read(descriptor, entry.size + 1)
        tree.unchanged(entry, descriptor)
    finally:
        os.close(descriptor)
    return data


def test_files_are_listed_by_code_points_of_their_names(seam: str, model: Path) -> None:
    """``unet.bin`` comes before ``unet/w.bin`` because ``.`` comes before ``/``."""
    assert seam
    assert names(model) == ["config.json", "unet.bin", "unet/w.bin"]


def test_an_entry_holds_the_facts_of_its_file(seam: str, model: Path) -> None:
    """Size and identity are those of ``stat``."""
    assert seam
    with open_tree(model, profile=STRICT) as tree:
        entry = tree.entries[2]
    status = (model / "unet" / "w.bin").stat()
    assert entry.size == 7
    assert entry.identity == (
        status.st_dev,
        status.st_ino,
        7,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def test_a_single_file_needs_a_name_that_can_be_signed(tmp_path: Path) -> None:
    """The name of a single file is checked like any other, and nothing stays open."""
    file = tmp_path / "NUL.bin"
    file.write_bytes(b"x")
    with pytest.raises(UnsafeTreeError, match="is the device NUL"):
        open_tree(file, profile=STRICT)
    assert names(tmp_path, OMS) == ["NUL.bin"]


def test_a_single_file_is_a_model_of_one_name(seam: str, model: Path) -> None:
    """A single file is named by its basename, and opened, compared and listed like any other."""
    assert seam
    with open_tree(model / "unet.bin", profile=STRICT) as tree:
        assert tree.single_file
        assert [entry.name for entry in tree.entries] == ["unet.bin"]
        assert read(tree, "unet.bin") == b"other"
        tree.recheck()
        (model / "unet.bin").write_bytes(b"changed!")
        with pytest.raises(DigestMismatchError) as caught:
            tree.recheck()
        assert caught.value.changed == ("unet.bin",)
        (model / "unet.bin").unlink()
        with pytest.raises(DigestMismatchError) as caught:
            tree.recheck()
        assert caught.value.missing == ("unet.bin",)
        (model / "unet.bin").symlink_to("config.json")
        with pytest.raises(UnsafeTreeError, match="no regular file"):
            tree.recheck()


@pytest.mark.parametrize("relative", [".", "unet", "unet/..", "../model", "./unet/../unet"])
def test_the_path_may_be_relative(
    model: Path, relative: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any spelling of a folder's path opens it."""
    monkeypatch.chdir(model)
    with open_tree(relative, profile=STRICT) as tree:
        assert tree.entries


@pytest.mark.parametrize(
    "link",
    ["dangling", "unet/dangling", "cycle", "file", "folder", "out", "out-folder", "self"],
)
@pytest.mark.parametrize("profile", [STRICT, OMS])
def test_links_are_refused_wherever_they_lead(
    seam: str, model: Path, link: str, profile: Profile
) -> None:
    """A link is refused even if it is harmless now, unless links are asked for."""
    assert seam
    targets = {
        "dangling": "nowhere",
        "unet/dangling": "nowhere",
        "cycle": ".",
        "file": "config.json",
        "folder": "unet",
        "out": "/etc/passwd",
        "out-folder": "/etc",
        "self": "self",
    }
    (model / link).symlink_to(targets[link])
    with pytest.raises(UnsafeTreeError, match="is a symbolic link"):
        open_tree(model, profile=profile)


def test_a_root_that_is_a_link_is_refused_by_strict(seam: str, model: Path) -> None:
    """The message says to name the target; ``oms`` resolves it once."""
    assert seam
    link = model.with_name("link")
    link.symlink_to("model")
    for spelling in (str(link), f"{link}/", f"{link}/.", f"{link}//"):
        with pytest.raises(UnsafeTreeError, match="realpath"):
            open_tree(spelling, profile=STRICT)
    assert names(link, OMS) == ["config.json", "unet.bin", "unet/w.bin"]
    file = model.with_name("latest.bin")
    file.symlink_to("model/unet.bin")
    with pytest.raises(UnsafeTreeError, match="realpath"):
        open_tree(file, profile=STRICT)
    with open_tree(file, profile=OMS) as tree:
        assert [entry.name for entry in tree.entries] == ["latest.bin"]
        assert read(tree, "latest.bin") == b"other"


def test_a_parent_of_the_root_may_be_a_link(model: Path) -> None:
    """Where the model lies is the caller's business; only the model itself must be no link."""
    alias = model.parent / "alias"
    alias.symlink_to(model.parent)
    assert names(alias / "model") == names(model)


def test_pipes_sockets_and_devices_are_refused_without_waiting(
    seam: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no regular file is refused, within the model and as the model."""
    assert seam
    os.mkfifo(model / "pipe")
    with pytest.raises(UnsafeTreeError, match="is a pipe"):
        open_tree(model, profile=OMS)
    with pytest.raises(UnsafeTreeError, match="no regular file"):
        open_tree(model / "pipe", profile=OMS)
    (model / "pipe").unlink()
    monkeypatch.chdir(model)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(UnsafeTreeError, match="is a socket"):
            open_tree(model, profile=OMS)
    assert tmp_path.exists()
    with pytest.raises(UnsafeTreeError, match="no regular file"):
        open_tree("/dev/null", profile=OMS)


def test_a_folder_that_cannot_be_read_is_an_error(
    seam: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code may hide in an unreadable folder: it is never skipped.

    The refusal of the system is planted, because root may read a folder of mode 000.
    """
    kind = folders.DescriptorFolder if seam == "descriptors" else folders.PathFolder
    enter = kind.enter

    def refused(self: folders.DescriptorFolder, name: str) -> folders.Folder:
        if name == "unet":
            raise PermissionError(13, "Permission denied")
        return enter(self, name)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "enter", refused)
    with pytest.raises(UnsafeTreeError, match=r"cannot read 'unet/?': Permission denied"):
        open_tree(model, profile=OMS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read a folder of mode 000")
def test_a_folder_of_mode_000_is_an_error(model: Path) -> None:
    """The same with a real folder."""
    (model / "unet").chmod(0)
    try:
        with pytest.raises(UnsafeTreeError, match="cannot read"):
            open_tree(model, profile=OMS)
    finally:
        (model / "unet").chmod(0o700)


def test_a_lack_of_descriptors_is_not_the_models_fault(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EMFILE says that the process has too many open files: the model is not accused."""

    def exhausted(_self: folders.DescriptorFolder, _name: str) -> folders.Folder:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(folders.DescriptorFolder, "enter", exhausted)
    with pytest.raises(ConfigurationError, match="Too many open files"):
        open_tree(model, profile=OMS)


@pytest.mark.parametrize(
    "name",
    ["a\nb", "a\\b", "x\u202ey", "NUL.txt", "trailing.", "trailing ", "zero\u200bwidth", "\x1b[2J"],
)
@pytest.mark.parametrize("folder", [False, True])
def test_names_that_pretend_are_refused_by_strict(model: Path, name: str, *, folder: bool) -> None:
    """Files and folders alike; the ``oms`` profile takes them as they are."""
    if folder:
        (model / name).mkdir()
        (model / name / "x").write_bytes(b"x")
    else:
        (model / name).write_bytes(b"x")
    with pytest.raises(UnsafeTreeError, match="rename it") as caught:
        open_tree(model, profile=STRICT)
    assert "\n" not in str(caught.value)
    assert len(names(model, OMS)) == 4


def test_names_that_are_not_utf8_are_refused_by_every_profile(seam: str, model: Path) -> None:
    """JSON could not hold them (OMS v1.0, section 6.1.2)."""
    assert seam
    (Path(os.fsdecode(os.fsencode(model) + b"/caf\xe9.bin"))).write_bytes(b"x")
    for profile in (STRICT, OMS):
        with pytest.raises(UnsafeTreeError, match="not valid UTF-8"):
            open_tree(model, profile=profile)


@pytest.mark.parametrize(
    "twins",
    [("Model.py", "model.py"), ("caf\u00e9", "cafe\u0301"), ("A/x", "a/y"), ("B", "b/x")],
)
def test_twins_are_refused_by_strict(model: Path, twins: tuple[str, str]) -> None:
    """Which of two twins a loader opens depends on the system."""
    for name in twins:
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_bytes(b"x")
    with pytest.raises(UnsafeTreeError, match="are one name"):
        open_tree(model, profile=STRICT)
    assert len(names(model, OMS)) == 5


def test_ordinary_names_of_any_script_pass(model: Path) -> None:
    """Spaces, parentheses, colons, emoji and CJK are names."""
    extra = ["a (1).bin", "w:0:5", "モデル.bin", "🤖", "élan"]
    for name in extra:
        (model / name).write_bytes(name.encode())
    assert set(names(model)) >= set(extra)


@pytest.mark.parametrize("name", [".git", ".github", ".gitignore", ".gitattributes"])
def test_what_belongs_to_git_is_left_out_at_the_top_or_refused(model: Path, name: str) -> None:
    """``oms`` leaves it out and tells; ``strict`` wants it removed; below the top it is signed."""
    (model / "unet" / name).mkdir()
    (model / "unet" / name / "x").write_bytes(b"x")
    assert f"unet/{name}/x" in names(model)
    (model / name).mkdir()
    (model / name / "evil.py").write_bytes(b"x")
    os.mkfifo(model / name / "pipe")
    with pytest.raises(UnsafeTreeError, match=f"'{name}' exists.*remove it.*oms"):
        open_tree(model, profile=STRICT)
    with open_tree(model, profile=OMS) as tree:
        assert tree.excluded == (name,)
        assert not any(entry.name.startswith(f"{name}/") for entry in tree.entries)


def test_ignored_paths_are_left_out_with_what_is_below_them(seam: str, model: Path) -> None:
    """Exact paths and their subtrees; not the same name elsewhere."""
    assert seam
    (model / "cache").mkdir()
    (model / "cache" / "x").write_bytes(b"x")
    (model / "cache2").write_bytes(b"x")
    (model / "unet" / "cache").write_bytes(b"x")
    with open_tree(model, profile=OMS, ignore_paths=["cache", "unet/w.bin", "absent"]) as tree:
        assert [entry.name for entry in tree.entries] == [
            "cache2",
            "config.json",
            "unet.bin",
            "unet/cache",
        ]
        assert tree.excluded == ("cache", "unet/w.bin")
    with pytest.raises(UnsafeTreeError, match="'cache' exists"):
        open_tree(model, profile=STRICT, ignore_paths=["cache"])
    assert len(names(model, STRICT, ignore_paths=["absent"])) == 6


def test_bundles_inside_are_no_part_of_the_model(seam: str, model: Path) -> None:
    """Even ``strict`` leaves the named bundles out; a copy, or an unnamed one, is a file."""
    assert seam
    bundle = model / "model.sig"
    bundle.write_bytes(b"{}")
    other = model / "unet" / "second.sig"
    other.write_bytes(b"{}")
    expected = ["config.json", "unet.bin", "unet/w.bin"]
    assert names(model, bundles=[bundle, other], ignore_paths=["model.sig"]) == expected
    assert "model.sig" in names(model, bundles=[model.parent / "model.sig", other])
    (model / "copy.sig").write_bytes(b"{}")
    os.link(bundle, model / "hard.sig")
    assert names(model, bundles=[bundle, other]) == [
        "config.json",
        "copy.sig",
        "hard.sig",
        *expected[1:],
    ]


def test_bundles_are_recognised_by_where_they_lie(model: Path) -> None:
    """Other spellings of the path name the same bundle; links to it and absent ones none.

    A link that is given as the bundle may lead to any file of the model.
    """
    bundle = model / "model.sig"
    bundle.write_bytes(b"{}")
    link = model.parent / "link.sig"
    link.symlink_to(bundle)
    alias = model.parent / "alias"
    alias.symlink_to(model)
    for spelling in (f"{model}/unet/../model.sig", alias / "model.sig"):
        assert "model.sig" not in names(model, bundles=[spelling])
    assert "model.sig" in names(model, bundles=[link])
    assert "model.sig" in names(model, bundles=[model / "absent" / "model.sig"])
    bundle.unlink()
    bundle.symlink_to("config.json")
    with pytest.raises(UnsafeTreeError, match="symbolic link"):
        open_tree(model, profile=STRICT, bundles=[bundle])


@pytest.mark.parametrize("content", ["nothing", "folders", "bundle", "excluded"])
def test_an_empty_model_is_refused(seam: str, tmp_path: Path, content: str) -> None:
    """Folders, the bundle and what is left out make no model."""
    assert seam
    root = tmp_path / "empty"
    root.mkdir()
    if content == "folders":
        (root / "a" / "b").mkdir(parents=True)
    if content == "bundle":
        (root / "m.sig").write_bytes(b"{}")
    if content == "excluded":
        (root / ".git").mkdir()
    with pytest.raises(UnsafeTreeError, match="is empty"):
        open_tree(root, profile=OMS, bundles=[root / "m.sig"])


def test_a_deep_tree_needs_few_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand levels, with a file at the bottom and at the top, are walked with a handful."""
    opened: list[int] = []
    held: set[int] = set()
    original_open, original_close = os.open, os.close

    def counted(*arguments: object, **options: object) -> int:
        descriptor = original_open(*arguments, **options)  # type: ignore[arg-type]
        held.add(descriptor)
        opened.append(len(held))
        return descriptor

    def closed(descriptor: int) -> None:
        held.discard(descriptor)
        original_close(descriptor)

    with _deep(tmp_path, 1000) as root, monkeypatch.context() as patch:
        patch.setattr(os, "open", counted)
        patch.setattr(os, "close", closed)
        with open_tree(root, profile=STRICT) as tree:
            assert [entry.name for entry in tree.entries] == ["d/" * 1000 + "bottom", "top"]
            assert read(tree, "d/" * 1000 + "bottom") == b"x"
            tree.recheck()
        assert max(opened) < 8
        assert len(opened) > 3000


def test_a_tree_deeper_than_any_path_is_refused(tmp_path: Path) -> None:
    """Three thousand levels: no loader could open the file, and nothing recurses or runs out."""
    with (
        _deep(tmp_path, 3000) as root,
        pytest.raises(UnsafeTreeError, match="4096 bytes"),
    ):
        open_tree(root, profile=OMS)


@contextmanager
def _deep(folder: Path, levels: int) -> Iterator[Path]:
    """Make a tree too deep for tools that recurse, as pytest's removal of old folders."""
    root = folder / "deep"
    root.mkdir()
    (root / "top").write_bytes(b"x")
    _dig(root, levels)
    try:
        yield root
    finally:
        _fill_in(root, levels)


def _dig(root: Path, levels: int) -> None:
    """Make a chain of folders that is longer than a path may be."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    written = os.open("bottom", os.O_WRONLY, dir_fd=descriptor)
    os.write(written, b"x")
    os.close(written)
    os.close(descriptor)


def _fill_in(root: Path, levels: int) -> None:
    """Remove the chain again."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.unlink("bottom", dir_fd=descriptor)
    for _ in range(levels):
        above = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = above
        os.rmdir("d", dir_fd=descriptor)
    os.close(descriptor)


def test_too_many_entries_are_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders are counted, and so are the bytes of their names."""
    assert len(names(model, max_entries=4)) == 3
    with pytest.raises(UnsafeTreeError, match="more than 3 entries"):
        open_tree(model, profile=OMS, max_entries=3)
    monkeypatch.setattr(walk, "MAX_NAMES_BYTES", 20)
    with pytest.raises(UnsafeTreeError, match="20 bytes"):
        open_tree(model, profile=OMS)


def test_hard_links_are_files(model: Path) -> None:
    """Two names of one file are two entries."""
    os.link(model / "unet.bin", model / "again.bin")
    assert "again.bin" in names(model)


@pytest.mark.parametrize("replacement", ["content", "same size", "link", "folder", "pipe", "gone"])
def test_a_file_that_was_replaced_since_the_listing_is_not_opened(
    seam: str, model: Path, replacement: str
) -> None:
    """Whatever stands in the place of a listed file is refused when it is opened."""
    assert seam
    file = model / "unet" / "w.bin"
    with open_tree(model, profile=STRICT) as tree:
        entry = tree.entries[2]
        if replacement in {"content", "same size"}:
            os.utime(file, ns=(0, 0))
            file.write_bytes(b"WEIGHTS" if replacement == "same size" else b"longer than before")
        else:
            file.unlink()
            if replacement == "link":
                file.symlink_to("../unet.bin")
            if replacement == "folder":
                file.mkdir()
            if replacement == "pipe":
                os.mkfifo(file)
        with pytest.raises((DigestMismatchError, UnsafeTreeError)) as caught:
            tree.open(entry)
        assert "unet/w.bin" in str(caught.value)
        with pytest.raises((DigestMismatchError, UnsafeTreeError)):
            tree.recheck()


def test_a_folder_that_was_replaced_by_a_link_is_not_followed(seam: str, model: Path) -> None:
    """The same bytes behind a link are not the file that was listed."""
    assert seam
    with open_tree(model, profile=STRICT) as tree:
        (model / "unet").rename(model.parent / "elsewhere")
        (model / "unet").symlink_to("../elsewhere")
        with pytest.raises(UnsafeTreeError, match=r"cannot read 'unet/w\.bin'"):
            tree.open(tree.entries[2])
        with pytest.raises(UnsafeTreeError, match="symbolic link"):
            tree.recheck()


def test_a_root_that_is_exchanged_is_still_the_one_that_was_opened(model: Path) -> None:
    """By descriptor: a new folder under the same path changes nothing."""
    with open_tree(model, profile=STRICT) as tree:
        model.rename(model.with_name("old"))
        model.mkdir()
        (model / "evil.py").write_bytes(b"x")
        assert read(tree, "unet.bin") == b"other"
        tree.recheck()


def test_a_root_that_is_exchanged_is_noticed_by_path(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without descriptors a new folder under the same path is refused."""
    monkeypatch.setattr(folders, "HAS_DESCRIPTORS", False)
    with open_tree(model, profile=STRICT) as tree:
        model.rename(model.with_name("old"))
        model.mkdir()
        (model / "unet.bin").write_bytes(b"other")
        with pytest.raises(UnsafeTreeError, match="replaced"):
            tree.open(tree.entries[1])
        with pytest.raises(UnsafeTreeError, match="replaced"):
            tree.recheck()


def test_a_file_that_is_exchanged_while_it_is_opened_by_path_is_noticed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without descriptors the open file is compared with the one that was looked at."""
    monkeypatch.setattr(folders, "HAS_DESCRIPTORS", False)
    original = os.open

    def exchanged(path: str, flags: int) -> int:
        if path.endswith("unet.bin"):
            (model.parent / "new").write_bytes(b"other")
            (model.parent / "new").replace(path)
        return original(path, flags)

    with open_tree(model, profile=STRICT) as tree:
        monkeypatch.setattr(os, "open", exchanged)
        with pytest.raises(UnsafeTreeError, match=r"'unet\.bin': it was replaced"):
            tree.open(tree.entries[1])


def test_what_was_added_removed_and_changed_is_told(seam: str, model: Path) -> None:
    """``recheck`` names every difference."""
    assert seam
    with open_tree(model, profile=STRICT) as tree:
        (model / "added").write_bytes(b"x")
        (model / "config.json").unlink()
        (model / "unet.bin").write_bytes(b"longer than it was")
        with pytest.raises(DigestMismatchError) as caught:
            tree.recheck()
        assert caught.value.added == ("added",)
        assert caught.value.missing == ("config.json",)
        assert caught.value.changed == ("unet.bin",)


def test_what_is_left_out_must_not_change_either(model: Path) -> None:
    """A ``.git`` that appears while hashing is noticed, under both profiles."""
    for profile in (OMS, STRICT):
        with open_tree(model, profile=profile) as tree:
            (model / ".git").mkdir()
            with pytest.raises(DigestMismatchError) as caught:
                tree.recheck()
            assert caught.value.added == (".git",)
        (model / ".git").rmdir()


def test_a_folder_that_moves_while_it_is_walked_is_noticed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way up must lead to where the way down came from."""
    (model / "a" / "b" / "c").mkdir(parents=True)
    (model / "a" / "b" / "c" / "x").write_bytes(b"x")
    leave = folders.DescriptorFolder.leave

    def moved(self: folders.DescriptorFolder) -> folders.DescriptorFolder:
        if (model / "a" / "b" / "c").exists():
            (model / "a" / "b" / "c").rename(model.parent / "moved")
        return leave(self)

    monkeypatch.setattr(folders.DescriptorFolder, "leave", moved)
    with pytest.raises(DigestMismatchError, match="was moved"):
        open_tree(model, profile=STRICT)


def test_a_file_that_vanishes_while_it_is_listed_is_noticed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is gone before it is entered is a change, not a crash."""
    enter = folders.DescriptorFolder.enter

    def vanished(self: folders.DescriptorFolder, name: str) -> folders.DescriptorFolder:
        if name == "unet":
            (model / "unet" / "w.bin").unlink()
            (model / "unet").rmdir()
        return enter(self, name)

    monkeypatch.setattr(folders.DescriptorFolder, "enter", vanished)
    with pytest.raises(DigestMismatchError, match="went away"):
        open_tree(model, profile=STRICT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": None}, "must be a path"),
        ({"path": 3}, "must be a path"),
        ({"path": b"model"}, "must be a path"),
        ({"path": "\ud800"}, "must be a path"),
        ({"path": ""}, "must be a path"),
        ({"path": "a\0b"}, "must be a path"),
        ({"path": "/nowhere/at/all"}, "cannot open the model"),
        ({"path": "nowhere"}, "cannot open the model"),
        ({"path": "/" + "x" * 5000}, "cannot open the model"),
        ({"profile": "strict"}, "profile is"),
        ({"ignore_paths": "cache"}, "ignore_paths is"),
        ({"ignore_paths": [".."]}, "ignored path"),
        ({"ignore_paths": ["*.bin"]}, "ignored path"),
        ({"ignore_paths": [3]}, "ignored path"),
        ({"bundles": "model.sig"}, "bundles is"),
        ({"bundles": [None]}, "must be a path"),
        ({"max_entries": 0}, "max_entries"),
        ({"max_entries": "9"}, "max_entries"),
        ({"allow_symlinks": True}, "follows no links"),
    ],
)
def test_wrong_arguments_are_the_callers_fault(
    model: Path, arguments: dict[str, object], message: str
) -> None:
    """They are told as such, not as a fault of the model."""
    given: dict[str, object] = {"path": model, "profile": STRICT} | arguments
    with pytest.raises(ConfigurationError, match=message):
        open_tree(given.pop("path"), **given)  # type: ignore[arg-type]


def test_a_closed_tree_says_so(model: Path) -> None:
    """Reading from a tree that is closed is an error of its own; closing twice is none."""
    tree = open_tree(model, profile=STRICT)
    tree.close()
    tree.close()
    with pytest.raises(ConfigurationError, match="is closed"):
        tree.open(tree.entries[0])
    with pytest.raises(ConfigurationError, match="is closed"):
        tree.recheck()


def test_a_junction_of_windows_is_told_as_a_link(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reparse point leads elsewhere, whatever kind the system says it is of."""
    monkeypatch.setattr(folders, "HAS_DESCRIPTORS", False)
    number = (model / "unet").stat().st_ino
    monkeypatch.setattr(folders, "_is_reparse_point", lambda status: bool(status.st_ino == number))
    with pytest.raises(UnsafeTreeError, match="'unet' is a symbolic link"):
        open_tree(model, profile=STRICT)
    assert stat.S_ISDIR((model / "unet").stat().st_mode)
