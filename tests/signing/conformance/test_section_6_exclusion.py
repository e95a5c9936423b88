"""OMS v1.0, section 6.2: what is left out of a model, by default and by the user."""

from functools import partial

import pytest

from modelsec.cli import main
from modelsec.errors import (
    BundleFormatError,
    DigestMismatchError,
    UnsafeTreeError,
)
from modelsec.signing import STRICT, PublicKey, TrustedKeys, Verifier
from tests.signing.conformance.spec_signer import Document
from tests.signing.conformance.workbench import Bench

GIT = (".git", ".gitignore", ".gitattributes", ".github")


@pytest.mark.parametrize("name", GIT)
@pytest.mark.parametrize("folder", [True, False], ids=["folder", "file"])
def test_default_exclusions(bench: Bench, name: str, *, folder: bool) -> None:
    """6.2: these four MUST be excluded by default, files or folders, by both sides."""
    bench.put(f"{name}/deep/file" if folder else name)
    assert bench.sign() == 0
    assert bench.names() == ["config.json", "sub/adapter.bin", "weights.bin"]
    bench.accepted(strict=False)
    for ignored in ((), None):
        bench.forge(ignored=ignored)
        bench.accepted(strict=False)
    bench.put(f"{name}/deep/file" if folder else name, b"changed: nobody signed it")
    bench.accepted(strict=False)


@pytest.mark.parametrize("name", [*GIT, ".GIT", ".gitmodules", ".git.bak", "x.git"])
def test_no_exclusion_below_the_top(bench: Bench, name: str) -> None:
    """6.2.1: defaults are top-level components: not below it, not as parts, not in other case."""
    below = f"sub/{name}/file" if name in GIT else name
    bench.put(below)
    assert bench.sign() == 0
    assert below in bench.names()
    bench.checked_by_the_oracle()
    bench.accepted()
    bench.put(below, b"changed")
    bench.refused(DigestMismatchError, "changed")


def test_user_paths_are_exact(bench: Bench) -> None:
    """6.2.1: an ignored path is exactly that and its subtree; its name elsewhere is signed."""
    signed = ["sub/cache/x", "cache2", "precache", "cachet/x", "CACHE", ".cache"]
    for name in [*signed, "cache/x", "cache/deep/y", "notes.txt", "sub/notes.txt"]:
        bench.put(name)
    assert bench.sign(ignore=[bench.model / "cache", bench.model / "notes.txt"]) == 0
    assert sorted({*signed, "config.json", "sub/adapter.bin", "sub/notes.txt", "weights.bin"}) == (
        bench.names()
    )
    bench.checked_by_the_oracle()
    assert bench.verify() == 0
    bench.put("cache/z")
    assert bench.verify() == 0
    bench.put("sub/cache/z")
    assert bench.verify() == 1


def test_user_paths_below_the_top(bench: Bench) -> None:
    """6.2.1: a path with folders is exact, too."""
    bench.put("sub/logs/a")
    bench.put("logs/a")
    assert bench.sign(ignore=[bench.model / "sub" / "logs"]) == 0
    assert bench.names() == ["config.json", "logs/a", "sub/adapter.bin", "weights.bin"]
    assert bench.verify() == 0


@pytest.mark.parametrize("there", [True, False], ids=["exists", "does not"])
def test_user_paths_are_recorded_relative(bench: Bench, *, there: bool) -> None:
    """6.2: excluded paths SHOULD be recorded; absolute ones as relative ones with ``/``."""
    if there:
        bench.put("sub/cache/x")
    assert bench.sign(ignore=[bench.model / "sub" / "cache"]) == 0
    recorded = bench.serialization()["ignore_paths"]
    assert set(recorded) == {*GIT, "sub/cache"}
    assert len(recorded) == len(set(recorded))


@pytest.mark.parametrize(
    "spelling", ["{model}/cache/", "{model}//cache", "{model}/./cache", "{model}/sub/../cache"]
)
def test_user_paths_as_people_type_them(bench: Bench, spelling: str) -> None:
    """6.2.1: what is recorded is canonical, however the caller spells the path."""
    bench.put("cache/x")
    assert bench.sign(ignore=[spelling.format(model=bench.model)]) == 0
    assert set(bench.serialization()["ignore_paths"]) == {*GIT, "cache"}
    assert bench.names() == ["config.json", "sub/adapter.bin", "weights.bin"]


@pytest.mark.parametrize(
    "path", ["*.bin", "sub/*", "weights.b?n", "[cw]onfig.json", "../model/x", "a/../b", "", "."]
)
def test_what_signers_must_not_ignore(bench: Bench, path: str) -> None:
    """6.2.1: no globs, no leading ``/``, no ``..``; nothing that covers the model."""
    call = ["sign", str(bench.model), "--key", str(bench.pair.private), "--profile", "oms"]
    assert main([*call, "--ignore", path]) == 2
    assert not bench.bundle.exists()


@pytest.mark.parametrize("path", ["*.bin", "we?ghts.bin", "[w]eights.bin", "..", "."])
def test_what_the_adapter_must_not_ignore(bench: Bench, path: str) -> None:
    """6.2.1: the same for absolute paths, as the suite hands them over."""
    assert bench.sign(ignore=[f"{bench.model}/{path}"]) == 2
    assert not bench.bundle.exists()


@pytest.mark.parametrize(
    "path", ["*", "*.bin", "weights.b?n", "[cw]", "a/../b", "x/..", "..", "../x", "\0"], ids=repr
)
def test_what_bundles_must_not_ignore(bench: Bench, path: str) -> None:
    """6.2.1: entries MUST NOT hold globs or ``..``."""
    bench.forge(lambda s: s["predicate"]["serialization"]["ignore_paths"].append(path))
    bench.refused(BundleFormatError, "leaves out", oracle=path != "\0")


def go_paths(bench: Bench, statement: Document) -> None:
    """Record paths as the Go implementation does: as they were typed, which is absolute."""
    paths = [str(bench.model / "ignore-me"), str(bench.bundle), *GIT, ".gitmodules"]
    statement["predicate"]["serialization"]["ignore_paths"] = paths


def _ignoring(path: str, statement: Document) -> None:
    statement["predicate"]["serialization"]["ignore_paths"] = [path]


def test_absolute_paths_leave_nothing_out(bench: Bench) -> None:
    """6.2.1: an entry MUST NOT begin with ``/``: refused, or at least it covers no file."""
    bench.forge(partial(go_paths, bench))
    with pytest.raises(BundleFormatError, match="absolute"):
        Verifier(TrustedKeys([PublicKey.load(bench.pair.public)]), profile=STRICT).verify(
            bench.model, bench.bundle
        )
    bench.put("ignore-me")
    assert bench.verify() == 1
    for path in ("/", str(bench.model), str(bench.folder)):
        bench.put("ignore-me", b"signed")
        bench.forge(partial(_ignoring, path))
        bench.put("ignore-me", b"changed")
        assert bench.verify() == 1


def test_absolute_paths_of_the_go_implementation(bench: Bench) -> None:
    """6.2.1: what it records wrongly can be passed over: the caller names what is left out."""
    bench.forge(partial(go_paths, bench))
    bench.put("ignore-me")
    assert bench.verify(ignore=[bench.model / "ignore-me"]) == 0


@pytest.mark.parametrize("path", [".", "./", "./cache", "", "cache/", "a//b", "a/./b"])
def test_ignored_paths_are_canonical(bench: Bench, path: str) -> None:
    """6.2.1: exact relative paths: one that covers the model, or is not canonical, is refused."""
    bench.forge(lambda s: s["predicate"]["serialization"]["ignore_paths"].append(path))
    bench.refused(BundleFormatError, "leaves out", oracle=False)


def test_a_backslash_separates_nothing(bench: Bench) -> None:
    """6.2.1: entries MUST use ``/``: one with a backslash covers no path of folders."""
    bench.put("sub/extra")
    bench.forge(
        lambda s: s["predicate"].update(
            resources=[r for r in s["predicate"]["resources"] if r["name"] != "sub/extra"],
            serialization={
                **s["predicate"]["serialization"],
                "ignore_paths": ["sub\\extra"],
            },
        )
    )
    bench.refused(DigestMismatchError, "sub/extra")


def test_the_recorded_paths_are_used(bench: Bench) -> None:
    """6.2.1: the verifier combines recorded paths with the defaults; strict permits neither."""
    bench.put("cache/x")
    bench.put(".git/HEAD")
    bench.forge(ignored=["cache"])
    bench.accepted(strict=False)
    with pytest.raises(UnsafeTreeError, match="no signature would cover it"):
        Verifier(TrustedKeys([PublicKey.load(bench.pair.public)])).verify(bench.model, bench.bundle)
    bench.put("cache2")
    bench.refused(DigestMismatchError, "cache2")


def test_paths_given_to_the_verifier_only(bench: Bench) -> None:
    """6.2.1, 11.2(3): before 1.1.0 paths were not recorded: the caller names them."""
    bench.forge(ignored=None)
    bench.put("ignore-me")
    assert bench.verify() == 1
    assert bench.verify(ignore=[bench.model / "ignore-me"]) == 0
    assert bench.verify(ignore=[bench.model / "other"]) == 1


def test_ignored_but_signed(bench: Bench) -> None:
    """6.2.1: a file that is listed and ignored is not found, and so does not verify."""
    bench.forge(lambda s: s["predicate"]["serialization"]["ignore_paths"].append("weights.bin"))
    bench.refused(DigestMismatchError, "weights.bin")
    bench.forge()
    assert bench.verify(ignore=[bench.model / "weights.bin"]) == 1


@pytest.mark.parametrize("place", ["model.sig", "sub/bundle.sig", "bundle", ".sig/x.sig"])
def test_the_bundle_inside_the_model(bench: Bench, place: str) -> None:
    """6.2, 9: the signature file MUST be excluded by both sides, wherever it lies."""
    inside = bench.model / place
    inside.parent.mkdir(exist_ok=True)
    for _ in range(2):  # the second time it is already there
        assert bench.sign(bundle=inside) == 0
        assert bench.names(inside) == ["config.json", "sub/adapter.bin", "weights.bin"]
        assert place in bench.serialization(inside)["ignore_paths"]
        assert bench.verify(bundle=inside) == 0
    strict = Verifier(TrustedKeys([PublicKey.load(bench.pair.public)]))
    assert strict.verify(bench.model, inside).unsigned == ()


def test_only_the_bundle_is_excluded(bench: Bench) -> None:
    """6.2: another file of the same name elsewhere is signed, and another bundle is not known."""
    bench.put("sub/model.sig")
    inside = bench.model / "model.sig"
    assert bench.sign(bundle=inside) == 0
    assert "sub/model.sig" in bench.names(inside)
    bench.put("second.sig")
    assert bench.verify(bundle=inside) == 1


def test_a_foreign_bundle_inside_the_model(bench: Bench) -> None:
    """6.2: the verifier excludes it, even where the signer did not record its path."""
    bench.forge()
    inside = bench.model / "a.sig"
    bench.bundle.rename(inside)
    assert bench.verify(bundle=inside) == 0
