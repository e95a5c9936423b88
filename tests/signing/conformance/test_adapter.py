"""What a third party meets when it drives the command line: options and paths."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import oms_adapter

from modelsec.cli import main
from tests.signing.conformance.workbench import Bench, adapter

ADAPTER = Path(str(oms_adapter.__file__))


def test_the_adapter_is_a_program() -> None:
    """The suite takes one path as its entry point, not a command of several words."""
    assert ADAPTER.read_bytes().startswith(b"#!")
    assert os.access(ADAPTER, os.X_OK)


def test_the_adapter_as_a_process(bench: Bench) -> None:
    """Exit codes are all that the suite sees; no traceback is ever printed."""
    call = ["--method", "key", "--model-path", str(bench.model)]
    sign = [*call, "--output-bundle", str(bench.bundle), "--private-key", str(bench.pair.private)]
    check = [*call, "--bundle", str(bench.bundle), "--public-key", str(bench.pair.public)]
    for words, code in ((["sign-model", *sign], 0), (["verify-model", *check], 0)):
        done = subprocess.run(
            [sys.executable, str(ADAPTER), *words], capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (code, b"")
    bench.put("config.json", b"x")
    done = subprocess.run(
        [sys.executable, str(ADAPTER), "verify-model", *check], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["sign-model", "verify-model"])
@pytest.mark.parametrize("method", ["key", "certificate", "sigstore"])
def test_missing_options(
    bench: Bench, command: str, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the files of its method a call fails, and says so instead of crashing."""
    out = "--output-bundle" if command == "sign-model" else "--bundle"
    assert adapter(command, "--method", method, "--model-path", bench.model, out, bench.bundle) != 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["sign-model"], ["sign-model", "--method", "x"], ["help"]])
def test_wrong_usage(words: list[str]) -> None:
    """Wrong usage is no success."""
    assert adapter(*words) == 2


def test_options_in_any_order(bench: Bench) -> None:
    """The order of options is not guaranteed; repeated ones come one by one."""
    bench.put("a")
    bench.put("b")
    assert (
        adapter(
            *(
                "sign-model",
                "--ignore-paths",
                bench.model / "a",
                "--private-key",
                bench.pair.private,
            ),
            *("--output-bundle", bench.bundle, "--ignore-paths", bench.model / "b"),
            *("--model-path", bench.model, "--method", "key"),
        )
        == 0
    )
    assert bench.names() == ["config.json", "sub/adapter.bin", "weights.bin"]
    assert bench.verify() == 0


def test_ignored_paths_of_a_single_file(bench: Bench) -> None:
    """The suite names ignored paths beside, and even below, a model that is one file."""
    single = bench.model / "weights.bin"
    below, beside = single / "ignore-me", bench.model / "ignore-me"
    assert bench.sign(model=single, ignore=[below]) == 0
    assert bench.verify(model=single, ignore=[beside]) == 0
    assert bench.sign(model=single, ignore=[beside]) == 0
    assert bench.verify(model=single, ignore=[below]) == 0
    assert bench.names() == ["weights.bin"]


def test_ignored_bundle(bench: Bench) -> None:
    """Naming the bundle itself among the ignored paths does no harm, inside or outside."""
    for bundle in (bench.bundle, bench.model / "model.sig"):
        assert bench.sign(bundle=bundle, ignore=[bundle]) == 0
        assert bench.verify(bundle=bundle, ignore=[bundle]) == 0


@pytest.mark.parametrize("spelling", ["model", "./model", "model/", "model//", "../{}/model"])
def test_relative_paths(bench: Bench, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models, bundles and keys may be relative; ignored paths are relative to the model."""
    monkeypatch.chdir(bench.folder)
    model = spelling.format(bench.folder.name)
    assert bench.sign(model=model, bundle=Path("x.sig")) == 0
    assert bench.names(Path("x.sig")) == ["config.json", "sub/adapter.bin", "weights.bin"]
    assert bench.verify(model=model, bundle=Path("x.sig")) == 0
    bench.put("notes")
    key = os.path.relpath(bench.pair.private)
    for notes in ("notes", str(bench.model / "notes")):
        assert main(["sign", model, "--key", key, "--ignore", notes, "--profile", "oms"]) == 0
        assert bench.names() == ["config.json", "sub/adapter.bin", "weights.bin"]


@pytest.mark.parametrize("bundle", ["model.sig", "./model.sig", "../model.sig", "sub/model.sig"])
def test_the_working_folder_as_model(
    bench: Bench, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``.`` is a model as any other, with its bundle inside or outside."""
    monkeypatch.chdir(bench.model)
    for _ in range(2):
        assert bench.sign(model=".", bundle=Path(bundle)) == 0
        assert bench.verify(model=".", bundle=Path(bundle)) == 0
    assert bench.names(Path(bundle)) == ["config.json", "sub/adapter.bin", "weights.bin"]
    monkeypatch.chdir(bench.folder)
    assert bench.verify(bundle=Path("model") / bundle) == 0


@pytest.mark.parametrize("where", ["model", "above"])
def test_a_link_to_the_model(bench: Bench, where: str) -> None:
    """The path to a model may go through links under the text's profile, as mounts often do."""
    if where == "model":
        link = bench.folder / "current"
        link.symlink_to("model")
    else:
        (bench.folder / "current").symlink_to(".")
        link = bench.folder / "current" / "model"
    assert bench.sign(model=link) == 0
    assert bench.verify(model=link) == 0
    assert bench.verify() == 0
    inside = link / "inside.sig"
    assert bench.sign(model=link, bundle=inside) == 0
    assert bench.verify(bundle=bench.model / "inside.sig") == 0
    assert bench.verify(model=link, bundle=bench.model / "inside.sig") == 0


def test_ignored_paths_through_a_link(bench: Bench) -> None:
    """A path below the link by which the model is named is inside the model."""
    bench.put("notes")
    link = bench.folder / "current"
    link.symlink_to("model")
    assert bench.sign(model=link, ignore=[link / "notes"]) == 0
    assert bench.names() == ["config.json", "sub/adapter.bin", "weights.bin"]


@pytest.mark.parametrize("spelling", ["{}/current", "{}/model/../model"], ids=["link", "parent"])
def test_ignored_paths_by_another_name_of_the_model(bench: Bench, spelling: str) -> None:
    """So is a path below its real folder: it is left out, or refused, but never signed."""
    bench.put("notes")
    (bench.folder / "current").symlink_to("model")
    code = bench.sign(model=spelling.format(bench.folder), ignore=[bench.model / "notes"])
    assert code == 1 or "notes" not in bench.names()


def test_staging_is_refused(bench: Bench) -> None:
    """What the adapter cannot do it does not pretend to have done."""
    bench.forge()
    assert bench.verify("--use-staging") == 2
