"""OMS v1.0, section 6.1: which files belong to a model."""

import os

import pytest

from modelsec.errors import (
    DigestMismatchError,
    UnsafeTreeError,
    UnsupportedBundleError,
)
from modelsec.signing import OMS, STRICT, PublicKey, TrustedKeys, Verifier
from tests.signing.conformance.workbench import Bench

GIT = (".git", ".gitignore", ".gitattributes", ".github")


def test_recursive(empty: Bench) -> None:
    """6.1(1): the signer MUST list all regular files below the root, at any depth."""
    deep = "/".join("abcdefghijklmnopqrstuvwxyz" * 3) + "/file"
    names = ["1", "b/c", "b/d/e", deep, ".config", ".env.example", ".cache/weights.bin"]
    for name in names:
        empty.put(name)
    assert empty.sign() == 0
    assert empty.names() == sorted(names)
    empty.checked_by_the_oracle()
    empty.forge()
    empty.accepted()


@pytest.mark.parametrize(
    "files",
    [[], [".gitignore"], [".git/HEAD", ".github/ci.yml", ".gitattributes"]],
    ids=["nothing", "gitignore", "git"],
)
def test_an_empty_model_is_refused(empty: Bench, files: list[str]) -> None:
    """6.1(1): a model without a file after exclusions MUST be rejected; nothing is written."""
    for name in files:
        empty.put(name)
    (empty.model / "folder" / "folder").mkdir(parents=True)
    assert empty.sign() == 1
    assert not empty.bundle.exists()


def test_a_model_emptied_by_the_user_is_refused(bench: Bench) -> None:
    """6.1(1): the same when the user's own paths leave nothing."""
    ignored = [bench.model / name for name in ("config.json", "weights.bin", "sub")]
    assert bench.sign(ignore=ignored) == 1
    assert not bench.bundle.exists()


def test_an_emptied_model_does_not_verify(bench: Bench) -> None:
    """6.1(1), 8.4: nor does a model whose files are all gone."""
    bench.forge()
    for path in bench.model.rglob("*.*"):
        path.unlink()
    bench.refused(UnsafeTreeError, "empty")


LINKS = {
    "a file inside": ("link", "weights.bin"),
    "a folder inside": ("link", "sub"),
    "a file outside": ("link", "/etc/hostname"),
    "a folder outside": ("link", "/"),
    "above the root": ("sub/link", "../../elsewhere"),
    "nothing": ("link", "nowhere"),
    "itself": ("link", "link"),
    "its own folder": ("link", "."),
    "the folder above": ("sub/link", ".."),
}


@pytest.mark.parametrize(("name", "target"), LINKS.values(), ids=LINKS)
def test_links_are_refused(bench: Bench, name: str, target: str) -> None:
    """6.1.1: signers MUST NOT follow links, and SHOULD report them; neither side passes one."""
    bench.forge()
    (bench.model / name).symlink_to(target)
    assert bench.sign(bundle=bench.folder / "new.sig") == 1
    assert not (bench.folder / "new.sig").exists()
    bench.refused(UnsafeTreeError, "symbolic link")


def test_false_is_recorded(bench: Bench) -> None:
    """6.1.1: new signers are encouraged to record false, and nothing else can be asked for."""
    assert bench.sign() == 0
    assert bench.serialization()["allow_symlinks"] is False


def test_a_link_in_place_of_a_file(bench: Bench) -> None:
    """6.1.1: links MUST NOT appear as entries: the policy recorded holds for the verifier, too."""
    bench.forge()
    (bench.model / "weights.bin").rename(bench.folder / "weights.bin")
    (bench.model / "weights.bin").symlink_to(bench.folder / "weights.bin")
    bench.refused(UnsafeTreeError, "symbolic link")


def test_links_that_the_signer_followed(bench: Bench) -> None:
    """6.1.1: with true, each link is an entry of its own name; only the text's profile reads it."""
    (bench.model / "one").symlink_to("weights.bin")
    (bench.model / "sub" / "two").symlink_to("../weights.bin")
    bench.forge(links=True)
    assert bench.verify() == 0
    verification = Verifier(TrustedKeys([PublicKey.load(bench.pair.public)]), profile=OMS).verify(
        bench.model, bench.bundle
    )
    assert {"one", "sub/two", "weights.bin"} <= set(verification.files)
    with pytest.raises(UnsupportedBundleError, match="links"):
        Verifier(TrustedKeys([PublicKey.load(bench.pair.public)]), profile=STRICT).verify(
            bench.model, bench.bundle
        )
    bench.put("weights.bin", b"changed behind two links")
    bench.refused(DigestMismatchError, "3 changed")


@pytest.mark.parametrize("target", ["../outside", "link"], ids=["outside", "cycle"])
def test_links_that_lead_out_or_round(bench: Bench, target: str) -> None:
    """6.1.1: with true, links out of the model and cycles are more than warned of: refused."""
    (bench.folder / "outside").write_bytes(b"x")
    bench.forge(links=True)
    (bench.model / "link").symlink_to(target)
    bench.refused(UnsafeTreeError, "link", oracle=False)


def test_the_policy_recorded_is_applied(bench: Bench) -> None:
    """6.1.1: a model with links does not verify against a bundle that says false."""
    (bench.model / "one").symlink_to("weights.bin")
    bench.forge(lambda s: s["predicate"]["serialization"].update(allow_symlinks=False), links=True)
    bench.refused(UnsafeTreeError, "symbolic link")


def test_pipes_are_no_regular_files(bench: Bench) -> None:
    """6.1(1): what is no regular file is not signed in silence, nor does it hang the reader."""
    bench.forge()
    os.mkfifo(bench.model / "pipe")
    assert bench.sign(bundle=bench.folder / "new.sig") == 1
    bench.refused(UnsafeTreeError, "pipe", oracle=False)


def test_files_without_permission(bench: Bench) -> None:
    """6.1(1): what cannot be read is an error, not a smaller model."""
    if os.geteuid() == 0:
        pytest.skip("the superuser reads everything")
    bench.forge()
    (bench.model / "sub").chmod(0)
    try:
        bench.refused(UnsafeTreeError, "cannot read", oracle=False)
    finally:
        (bench.model / "sub").chmod(0o700)
