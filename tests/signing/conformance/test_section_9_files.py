"""OMS v1.0, section 9: where the bundle is, and what becomes of one that is there already."""

import pytest

from modelsec.cli import main
from tests.signing.conformance.workbench import Bench


def test_default_name(bench: Bench) -> None:
    """9: it SHOULD end in ``.sig`` and lie beside the model: that is the default."""
    call = [str(bench.model), "--key"]
    assert main(["sign", *call, str(bench.pair.private)]) == 0
    assert bench.bundle.is_file()
    assert main(["verify", *call, str(bench.pair.public)]) == 0
    single = bench.model / "weights.bin"
    assert main(["sign", str(single), "--key", str(bench.pair.private)]) == 0
    assert single.with_name("weights.bin.sig").is_file()
    assert main(["verify", str(single), "--key", str(bench.pair.public)]) == 0


@pytest.mark.parametrize("spelling", ["model/", "./model", "model/.", "model/sub/.."])
def test_default_name_of_other_spellings(
    bench: Bench, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9: the default does not depend on how the path is typed."""
    monkeypatch.chdir(bench.folder)
    assert main(["sign", spelling, "--key", str(bench.pair.private)]) == 0
    assert bench.bundle.is_file()
    assert main(["verify", spelling, "--key", str(bench.pair.public)]) == 0


def test_default_name_of_the_working_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """9: nor on standing in the model."""
    monkeypatch.chdir(bench.model)
    assert main(["sign", ".", "--key", str(bench.pair.private)]) == 0
    assert bench.bundle.is_file()
    assert main(["verify", ".", "--key", str(bench.pair.public)]) == 0


def test_any_other_name(bench: Bench) -> None:
    """9: ``.sig`` is a SHOULD: another name, and another folder, work as well."""
    for name in ("signature", "model.json", "MODEL.SIG", ".sig", "modèle .sig"):
        place = bench.folder / "elsewhere" / name
        place.parent.mkdir(exist_ok=True)
        assert bench.sign(bundle=place) == 0
        assert bench.verify(bundle=place) == 0


def test_detached(bench: Bench) -> None:
    """9: signing changes no byte of the model, and leaves nothing but the bundle."""
    before = {path: path.stat().st_mtime_ns for path in bench.model.rglob("*")}
    assert bench.sign() == 0
    assert {path: path.stat().st_mtime_ns for path in bench.model.rglob("*")} == before
    assert sorted(path.name for path in bench.folder.iterdir()) == ["model", "model.sig"]


@pytest.mark.parametrize("place", ["model.sig", "model/model.sig"])
def test_signing_again(bench: Bench, place: str) -> None:
    """9: an existing bundle is replaced, and is no part of what is signed next."""
    bundle = bench.folder / place
    assert bench.sign(bundle=bundle) == 0
    bench.put("config.json", b"the next version")
    assert bench.verify(bundle=bundle) == 1
    assert bench.sign(bundle=bundle) == 0
    assert bench.verify(bundle=bundle) == 0
    assert "model.sig" not in bench.names(bundle)


def test_a_refusal_leaves_the_old_bundle(bench: Bench) -> None:
    """9: when a model cannot be signed, the bundle of before is still there, whole."""
    assert bench.sign() == 0
    before = bench.bundle.read_bytes()
    (bench.model / "link").symlink_to("weights.bin")
    assert bench.sign() == 1
    assert bench.bundle.read_bytes() == before


def test_missing_folder(bench: Bench) -> None:
    """9: a bundle in a folder that does not exist is refused, and no folder is made."""
    place = bench.folder / "nowhere" / "model.sig"
    assert bench.sign(bundle=place) == 2
    assert not place.parent.exists()


@pytest.mark.parametrize("call", ["sign", "verify"])
def test_a_folder_as_bundle(bench: Bench, call: str) -> None:
    """9: the bundle is a file."""
    place = bench.folder / "folder"
    place.mkdir()
    assert (bench.sign if call == "sign" else bench.verify)(bundle=place) == 2
    assert not list(place.iterdir())


def test_the_model_as_bundle(bench: Bench) -> None:
    """9: a model of one file is never overwritten by its own signature."""
    single = bench.model / "weights.bin"
    before = single.read_bytes()
    assert bench.sign(model=single, bundle=single) == 2
    assert single.read_bytes() == before


@pytest.mark.parametrize("target", ["model.real", "model/sub/real.sig"])
def test_a_link_as_bundle(bench: Bench, target: str) -> None:
    """9: a bundle may be reached by a link; its target is no part of the model either."""
    assert bench.sign(bundle=bench.folder / target) == 0
    link = bench.folder / "link.sig"
    link.symlink_to(target)
    assert bench.verify(bundle=link) == 0


def test_a_file_of_the_model_as_bundle(bench: Bench) -> None:
    """9: nor is a file of a larger model, which would then be missing from what is signed."""
    before = (bench.model / "weights.bin").read_bytes()
    assert bench.sign(bundle=bench.model / "weights.bin") == 2
    assert (bench.model / "weights.bin").read_bytes() == before
