"""Links inside a model, where a profile permits to follow them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError, DigestMismatchError, UnsafeTreeError
from modelsec.signing.profile import OMS, STRICT
from modelsec.signing.trees import folders
from modelsec.signing.trees.tree import Tree, open_tree


@pytest.fixture(params=["descriptors", "paths"], autouse=True)
def seam(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test by descriptors, and as on a system without them; none may stay open."""
    if request.param == "paths":
        monkeypatch.setattr(folders, "HAS_DESCRIPTORS", False)
    before = _open_descriptors()
    yield
    assert _open_descriptors() <= before


def _open_descriptors() -> int:
    table = Path("/proc/self/fd")
    return len(list(table.iterdir())) if table.exists() else 0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of two files in folders of their own."""
    root = tmp_path / "model"
    (root / "a" / "deep").mkdir(parents=True)
    (root / "b").mkdir()
    (root / "a" / "deep" / "x").write_bytes(b"x of a")
    (root / "b" / "y").write_bytes(b"y of b")
    return root


def followed(path: Path) -> Tree:
    return open_tree(path, profile=OMS, allow_symlinks=True)


def contents(path: Path) -> dict[str, bytes]:
    found = {}
    with followed(path) as tree:
        for entry in tree.entries:
            descriptor = tree.open(entry)
            found[entry.name] = os.read(descriptor, 100)
            os.close(descriptor)
        tree.recheck()
    return found


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("link", "b/y"),
        ("link", "./b/../b/y"),
        ("link", "a/deep/../../b/y"),
        ("a/link", "../b/y"),
        ("a/deep/link", "../../b//y"),
    ],
)
def test_a_link_to_a_file_is_a_file_of_its_own_name(model: Path, link: str, target: str) -> None:
    """The entry has the link's name and the target's bytes (OMS v1.0, section 6.1.1)."""
    (model / link).symlink_to(target)
    assert contents(model) == {"a/deep/x": b"x of a", "b/y": b"y of b", link: b"y of b"}


def test_a_link_to_a_folder_is_descended(model: Path) -> None:
    """Each file below it appears under the link, too, and the walk finds back from there."""
    (model / "a" / "link").symlink_to("../b")
    (model / "b" / "more").mkdir()
    (model / "b" / "more" / "z").write_bytes(b"z")
    (model / "c").mkdir()
    (model / "c" / "last").write_bytes(b"last")
    assert contents(model) == {
        "a/deep/x": b"x of a",
        "a/link/more/z": b"z",
        "a/link/y": b"y of b",
        "b/more/z": b"z",
        "b/y": b"y of b",
        "c/last": b"last",
    }


def test_links_through_links_are_followed(model: Path) -> None:
    """A link in a folder behind a link is resolved from where the folder really is."""
    (model / "b" / "up").symlink_to("../a/deep/x")
    (model / "shortcut").symlink_to("b")
    (model / "twice").symlink_to("shortcut/up")
    assert contents(model) == {
        "a/deep/x": b"x of a",
        "b/up": b"x of a",
        "b/y": b"y of b",
        "shortcut/up": b"x of a",
        "shortcut/y": b"y of b",
        "twice": b"x of a",
    }


def test_an_absolute_link_into_the_model_is_followed(model: Path) -> None:
    """It is resolved from the root that is open, not from the path."""
    (model / "a" / "absolute").symlink_to(model.resolve() / "b" / "y")
    (model / "whole").symlink_to(model.resolve() / "b")
    assert contents(model)["a/absolute"] == b"y of b"
    assert contents(model)["whole/y"] == b"y of b"


@pytest.mark.parametrize(
    "target",
    [
        "/etc/passwd",
        "/etc",
        "/",
        "../outside",
        "../outside/secret",
        "a/../../outside/secret",
        "../model/b/y",
        "a/deep/../../../outside",
        "../model2",
    ],
)
def test_a_link_out_of_the_model_is_refused(model: Path, target: str) -> None:
    """Even if it comes back: what lies outside is not signed."""
    (model.parent / "outside").mkdir()
    (model.parent / "outside" / "secret").write_bytes(b"x")
    (model.parent / "model2").mkdir()
    (model / "link").symlink_to(target)
    with pytest.raises(UnsafeTreeError, match="'link' is refused: a link points out of the model"):
        followed(model)


def test_an_absolute_link_to_a_namesake_is_out_of_the_model(model: Path) -> None:
    """``/x/model2`` does not lie in ``/x/model``."""
    (model.parent / "model2").mkdir()
    (model.parent / "model2" / "y").write_bytes(b"x")
    (model / "link").symlink_to(model.resolve().with_name("model2") / "y")
    with pytest.raises(UnsafeTreeError, match="out of the model"):
        followed(model)


@pytest.mark.parametrize(
    "target", ["nowhere", "b/nowhere", "b/y/below", "b/y/../y", "nowhere/../b"]
)
def test_a_link_to_nowhere_is_refused(model: Path, target: str) -> None:
    """Dangling links, and paths through files, lead nowhere."""
    (model / "link").symlink_to(target)
    with pytest.raises(UnsafeTreeError, match="'link' leads nowhere"):
        followed(model)


@pytest.mark.parametrize("target", [".", "..", "../a", "deep/..", "../b/back"])
def test_a_link_to_a_folder_above_it_is_refused(model: Path, target: str) -> None:
    """A cycle of folders has no end."""
    (model / "b" / "back").symlink_to("../a")
    (model / "a" / "link").symlink_to(target)
    with pytest.raises(UnsafeTreeError, match="leads back above itself"):
        followed(model)


@pytest.mark.parametrize("targets", [["l0"], ["l1", "l0"], ["l1", "l2", "l0"]])
def test_links_that_lead_to_each_other_are_refused(model: Path, targets: list[str]) -> None:
    """A cycle of links ends at the limit of links."""
    for number, target in enumerate(targets):
        (model / f"l{number}").symlink_to(target)
    with pytest.raises(UnsafeTreeError, match="more than 40 links"):
        followed(model)


def test_forty_links_are_followed_and_not_one_more(model: Path) -> None:
    """The limit is that of Linux."""
    (model / "l0").symlink_to("b/y")
    for number in range(1, 40):
        (model / f"l{number}").symlink_to(f"l{number - 1}")
    assert contents(model)["l39"] == b"y of b"
    (model / "l40").symlink_to("l39")
    with pytest.raises(UnsafeTreeError, match="more than 40 links"):
        followed(model)


def test_folders_behind_folders_behind_links_are_bounded(model: Path) -> None:
    """A chain of linked folders holds no more than forty descriptors."""
    chain = model / "chain"
    for number in range(60):
        (chain / str(number)).mkdir(parents=True)
        (chain / str(number) / "next").symlink_to(f"../{number + 1}")
    (chain / "60").mkdir()
    with pytest.raises(UnsafeTreeError, match="behind 40 other links"):
        followed(model)


def test_links_that_multiply_are_bounded(model: Path) -> None:
    """Two links a folder, each to the next folder: 2^n names end at the limit of entries."""
    for number in range(25):
        (model / f"f{number}").mkdir()
        (model / f"f{number}" / "one").symlink_to(f"../f{number + 1}")
        (model / f"f{number}" / "two").symlink_to(f"../f{number + 1}")
    (model / "f25").mkdir()
    with pytest.raises(UnsafeTreeError, match="more than 500 entries"):
        open_tree(model, profile=OMS, allow_symlinks=True, max_entries=500)


def test_a_link_to_a_pipe_is_refused(model: Path) -> None:
    """What a link leads to has to be a regular file, or a folder."""
    os.mkfifo(model / "b" / "pipe")
    (model / "a" / "link").symlink_to("../b/pipe")
    with pytest.raises(UnsafeTreeError, match="is a pipe"):
        followed(model)


def test_a_link_with_a_hostile_target_is_refused(model: Path) -> None:
    """A target that is not UTF-8 is looked up as the bytes it is, and not found."""
    (model / "link").symlink_to(os.fsdecode(b"caf\xe9"))
    with pytest.raises(UnsafeTreeError, match="leads nowhere"):
        followed(model)


@pytest.mark.parametrize("target", ["../a/deep/x", "/etc/passwd", "nowhere", "../a"])
def test_a_link_that_is_changed_after_the_listing_is_noticed(model: Path, target: str) -> None:
    """Opened is what was listed, or nothing."""
    link = model / "a" / "link"
    link.symlink_to("../b/y")
    with followed(model) as tree:
        entry = next(entry for entry in tree.entries if entry.name == "a/link")
        link.unlink()
        link.symlink_to(target)
        with pytest.raises((DigestMismatchError, UnsafeTreeError)):
            tree.open(entry)
        with pytest.raises((DigestMismatchError, UnsafeTreeError)):
            tree.recheck()


def test_the_profile_must_permit_links(model: Path) -> None:
    """``strict`` follows none, whatever is asked."""
    with pytest.raises(ConfigurationError, match="follows no links"):
        open_tree(model, profile=STRICT, allow_symlinks=True)


def test_a_folder_that_moves_while_a_link_is_followed_is_noticed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``..`` must lead to where the way down came from."""
    (model / "link").symlink_to("a/deep/../../b/y")
    kind = folders.DescriptorFolder if folders.HAS_DESCRIPTORS else folders.PathFolder
    leave = kind.leave

    def moved(self: folders.DescriptorFolder) -> folders.Folder:
        if (model / "a" / "deep").exists():
            (model / "a" / "deep").rename(model / "b" / "deep")
        return leave(self)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "leave", moved)
    with pytest.raises(UnsafeTreeError, match="'link'"):
        followed(model)
