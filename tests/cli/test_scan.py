import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from modelsec.cli import main
from modelsec.cli.scan import exit_code
from modelsec.cli.scan_text import SHOWN, as_text
from modelsec.scanning import TreeReport
from tests.scanning.support.reports import DANGER, GAP, NOTE, UNKNOWN, report
from tests.support.range_server import Sparse, range_server

# Pickles that name what does not exist; no test loads them.
DATA = b"\x80\x02]q\x00(K\x01K\x02e."
UNLISTED = b"\x80\x02cinert_example\nThing\n)R."
HARMFUL = b"\x80\x02cos\nno_such_function\n)R."
CUT = b"\x80\x02]q\x00(K\x01K"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with one file of each kind."""
    for name, content in (
        ("data.pkl", DATA),
        ("unlisted.pkl", UNLISTED),
        ("harmful.pkl", HARMFUL),
        ("cut.bin", b"\xf5\xf6\x00 no format at all \xff"),
    ):
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scanned(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["scan", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize(
    ("paths", "fail_on", "code"),
    [
        (["data.pkl"], "unknown", 0),
        (["unlisted.pkl"], "unknown", 1),
        (["unlisted.pkl"], "dangerous", 0),
        (["harmful.pkl"], "dangerous", 1),
        (["cut.bin"], "unknown", 3),
        (["cut.bin"], "dangerous", 3),
        (["unlisted.pkl", "cut.bin"], "dangerous", 3),
        (["missing.pkl"], "unknown", 2),
        (["x" * 5000], "unknown", 2),
        (["ftp://host/x"], "unknown", 2),
        (["missing.pkl", "cut.bin"], "unknown", 2),
        (["missing.pkl", "cut.bin", "harmful.pkl"], "unknown", 1),
        (["data.pkl", "data.pkl"], "unknown", 0),
    ],
)
@pytest.mark.usefixtures("here")
def test_exit_codes(
    capsys: pytest.CaptureFixture[str],
    paths: list[str],
    fail_on: str,
    code: int,
) -> None:
    """0 safe, 1 findings, 2 not opened, 3 not understood; a finding is never hidden."""
    assert scanned(capsys, *paths, "--fail-on", fail_on)[0] == code


def test_an_unknown_and_incomplete_file_is_incomplete_at_least() -> None:
    """--fail-on dangerous forgives what is unknown, not what was not understood."""
    both = report(UNKNOWN.at(0, "u"), GAP.at(0, "g"))
    assert exit_code(both, "unknown") == 1
    assert exit_code(both, "dangerous") == 3
    assert exit_code(report(DANGER.at(0, "d"), GAP.at(0, "g")), "dangerous") == 1
    assert exit_code(TreeReport("empty", ()), "unknown") == 3


@pytest.mark.usefixtures("here")
def test_text_has_a_block_for_each_file_that_is_not_safe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the order of the command line, then one summary that agrees with the blocks."""
    _, out, err = scanned(capsys, "unlisted.pkl", "data.pkl", "harmful.pkl", "cut.bin", "none")
    assert out.index("unlisted.pkl: unknown") < out.index("harmful.pkl: dangerous")
    assert "data.pkl" not in out
    assert "cut.bin: not understood" in out
    assert out.splitlines()[-1] == (
        "4 files: 1 safe, 1 dangerous, 1 unknown, 1 not understood; 1 path not opened"
    )
    assert "MS-PKL-001  imports inert_example:Thing" in out
    assert "(at 2)" in out
    assert err == "modelsec: cannot open 'none': No such file or directory\n"


def test_text_explains_a_rule_once_and_abridges() -> None:
    """Twenty findings of a file are printed, all are counted."""
    many = [UNKNOWN.at(n, "calls it") for n in range(SHOWN + 5)]
    text = "".join(as_text([report(*many, unlisted=7)], []))
    assert text.count("MS-TST-002") == SHOWN
    assert text.count("look at the class") == 1
    assert "... and 12 more findings, 7 of them beyond the limit" in text


def test_text_of_folders_and_accepted_findings() -> None:
    """The summary counts what the details show."""
    accepted = UNKNOWN.at(0, "u")
    trees = [
        TreeReport("models", (report(),), (NOTE.at(None, "a link"),)),
        TreeReport("empty", ()),
    ]
    files = [replace(report(GAP.at(0, "g")), accepted=(accepted,))]
    text = "".join(as_text([*trees, *files], []))
    assert "models: the folder as a whole" in text
    assert "there is no file in this folder" in text
    assert "  1 finding accepted by the baseline\n" in text
    assert text.endswith(
        "2 files: 1 safe, 1 not understood; 1 finding about folders; "
        "1 finding accepted by the baseline\n"
    )
    assert "".join(as_text([], ["x"])) == "no files; 1 path not opened\n"


def test_hostile_names_cannot_command_the_terminal(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control, bidi and undecodable characters in paths are printed inert."""
    names = [b"\x1b[2J\n.pkl", "\u202egnp.pkl".encode(), b"\xff.pkl"]
    for name in names:
        (here / os.fsdecode(name)).write_bytes(HARMFUL)
    paths = [os.fsdecode(name) for name in names]
    _, out, err = scanned(capsys, *paths, "no\x1b[2Jfile")
    for bad in ("\x1b", "\u202e", "\udcff"):
        assert bad not in out + err
    assert out.count("dangerous") == 4


def test_names_are_printed_in_any_locale(here: Path) -> None:
    """What the terminal's encoding lacks is escaped."""
    (here / "é.pkl").write_bytes(HARMFUL)
    done = subprocess.run(
        [sys.executable, "-m", "modelsec", "scan", "é.pkl"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 1, done.stderr
    assert b"\\xe9.pkl: dangerous" in done.stdout


@pytest.mark.usefixtures("here")
def test_json_is_the_reports(capsys: pytest.CaptureFixture[str]) -> None:
    """Every finding, the digest, the policy, and what could not be opened."""
    code, out, _ = scanned(capsys, "harmful.pkl", "none", "--format", "json")
    document = json.loads(out)
    assert code == 1
    assert document["safe"] is False
    assert document["reports"][0]["verdict"] == "dangerous"
    assert document["problems"] == ["cannot open 'none': No such file or directory"]
    assert json.loads(scanned(capsys, "data.pkl", "--format", "json")[1])["safe"] is True


def test_sarif_goes_to_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed; absolute paths within the working folder become relative."""
    path = str(here / "harmful.pkl")
    code, out, _ = scanned(capsys, path, "--format", "sarif", "--output", "out.sarif")
    assert code == 1
    assert out == ""
    (run,) = json.loads((here / "out.sarif").read_text())["runs"]
    assert run["artifacts"][0]["location"]["uri"] == "harmful.pkl"
    assert {result["level"] for result in run["results"]} == {"error"}


@pytest.mark.usefixtures("here")
def test_output_that_cannot_be_written_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """But a finding is worse."""
    for name, expected in (("data.pkl", 2), ("harmful.pkl", 1)):
        code, _, err = scanned(capsys, name, "--output", "no/such/folder")
        assert code == expected
        assert "cannot write" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "nonsense"], "no policy layer 'nonsense'"),
        (["--policy", "none.toml"], "cannot read policy"),
        (["--no-default-policy"], "leaves nothing permitted"),
        (["--timeout", "0"], "seconds must be a positive number"),
        (["--timeout", "nan"], "seconds must be a positive number"),
        (["--baseline", "none.toml"], "cannot read baseline"),
        (["--write-baseline", "data.pkl"], "not overwritten"),
        (["--learn-policy", "data.pkl"], "not overwritten"),
    ],
)
@pytest.mark.usefixtures("here")
def test_wrong_usage_scans_nothing(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit code 2, one line on standard error, no output."""
    code, out, err = scanned(capsys, "harmful.pkl", *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_usage_errors_of_the_parser() -> None:
    """The same exit code as argparse's."""
    for arguments in (["scan"], ["scan", "x", "--format", "xml"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


@pytest.mark.usefixtures("here")
def test_the_time_limit_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """No time, no verdict: incomplete."""
    code, out, _ = scanned(capsys, "data.pkl", "--timeout", "1e-9")
    assert code == 3
    assert "MS-COV-003" in out


@pytest.mark.usefixtures("here")
def test_a_learnt_policy_permits_what_was_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Learn from the file, review, give the layer: safe, and only with it."""
    code, _, err = scanned(capsys, "unlisted.pkl", "--learn-policy", "ours.toml")
    assert code == 1
    assert "review it" in err
    assert scanned(capsys, "unlisted.pkl", "--policy", "ours.toml")[0] == 0
    only = ["--no-default-policy", "--policy", "ours.toml"]
    assert scanned(capsys, "unlisted.pkl", *only)[0] == 0


def test_a_baseline_accepts_what_was_reviewed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Written without reasons, refused like that, applied once they are there."""
    code, _, err = scanned(capsys, "unlisted.pkl", "--write-baseline", "base.toml")
    assert code == 1
    assert "wrote 2 entries" in err
    assert scanned(capsys, "unlisted.pkl", "--baseline", "base.toml")[0] == 2
    draft = (here / "base.toml").read_text()
    (here / "base.toml").write_text(draft.replace('reason = ""', 'reason = "ours"'))
    code, out, _ = scanned(capsys, "unlisted.pkl", "--baseline", "base.toml")
    assert (code, out) == (0, "1 file: 1 safe; 2 findings accepted by the baseline\n")
    code, out, _ = scanned(capsys, "unlisted.pkl", "--baseline", "base.toml", "--format", "sarif")
    (run,) = json.loads(out)["runs"]
    assert [result["suppressions"][0]["justification"] for result in run["results"]] == [
        "ours",
        "ours",
    ]
    (here / "unlisted.pkl").write_bytes(UNLISTED + b"\0")
    assert scanned(capsys, "unlisted.pkl", "--baseline", "base.toml")[0] == 1


def test_an_expired_baseline_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The finding is back, with a note why."""
    scanned(capsys, "unlisted.pkl", "--write-baseline", "base.toml")
    draft = (here / "base.toml").read_text()
    filled = draft.replace('reason = ""', 'reason = "ours"\nexpires = 2020-01-01')
    (here / "base.toml").write_text(filled)
    code, out, _ = scanned(capsys, "unlisted.pkl", "--baseline", "base.toml")
    assert code == 1
    assert "MS-BAS-001" in out


def test_a_url_is_scanned(capsys: pytest.CaptureFixture[str]) -> None:
    """And a finding in it counts like any other."""
    with range_server(Sparse(len(HARMFUL), [(0, HARMFUL)])) as server:
        code, out, _ = scanned(capsys, server.url, "--digest", "--format", "json")
    assert code == 1
    (found,) = json.loads(out)["reports"]
    assert found["name"] == server.url
    assert found["sha256"]


@pytest.mark.usefixtures("here")
def test_a_text_scan_imports_nothing_heavy() -> None:
    """No array library, no validation library, no terminal library, no HTTP client."""
    code = (
        "import sys\nfrom modelsec.cli import main\nmain(['scan', 'data.pkl'])\n"
        "heavy = {'numpy', 'scipy', 'pydantic', 'rich', 'http', 'ssl', 'asyncio', 'fsspec'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"1 file: 1 safe\n[]\n"


def test_it_works_without_rich(here: Path) -> None:
    """The extra of the command line is for tables; a scan prints plain text."""
    (here / "rich.py").write_text("raise ModuleNotFoundError('No rich', name='rich')")
    done = subprocess.run(
        [sys.executable, "-m", "modelsec", "scan", "data.pkl"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(here)},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("here")
def test_a_reader_that_goes_away_is_no_error() -> None:
    """As in ``modelsec scan ... | head -1``: no traceback, and the code still tells."""
    many = ["harmful.pkl"] * 200
    process = subprocess.Popen(
        [sys.executable, "-m", "modelsec", "scan", *many],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert error == b""


def test_the_pre_commit_hook_names_this_command() -> None:
    """What pre-commit runs is a command line that the parser knows."""
    text = Path(__file__).parents[2].joinpath(".pre-commit-hooks.yaml").read_text()
    entries = [line.split(":", 1)[1].split() for line in text.splitlines() if "entry:" in line]
    assert entries
    for program, command, *_ in entries:
        assert (program, command) == ("modelsec", "scan")


# Folders


@pytest.fixture
def folder(here: Path) -> Path:
    """A folder of a safe and a harmful file, without names that tell."""
    models = here / "models"
    (models / "deep").mkdir(parents=True)
    (models / "a.txt").write_bytes(DATA)
    (models / "deep" / "b.txt").write_bytes(HARMFUL)
    return models


def test_a_folder_is_scanned_file_by_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One block for the harmful file, one summary for all; nothing on standard error."""
    code, out, err = scanned(capsys, "models")
    assert code == 1
    assert "models/deep/b.txt: dangerous" in out
    assert out.splitlines()[-1].startswith("2 files: 1 safe, 1 dangerous")
    assert err == ""
    (folder / "deep" / "b.txt").unlink()
    assert scanned(capsys, "models")[0] == 0


@pytest.mark.usefixtures("folder")
def test_a_folder_in_the_other_formats(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON nests the files, SARIF names each of them relative to the working folder."""
    code, out, _ = scanned(capsys, "models", "--format", "json")
    assert code == 1
    assert len(json.loads(out)["reports"][0]["files"]) == 2
    _, out, _ = scanned(capsys, str(Path("models").absolute()), "--format", "sarif")
    (run,) = json.loads(out)["runs"]
    assert [artifact["location"]["uri"] for artifact in run["artifacts"]] == [
        "models/a.txt",
        "models/deep/b.txt",
    ]


@pytest.mark.usefixtures("folder")
def test_a_baseline_holds_within_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By digest, wherever the file lies."""
    scanned(capsys, "models", "--write-baseline", "base.toml")
    draft = (here / "base.toml").read_text()
    (here / "base.toml").write_text(draft.replace('reason = ""', 'reason = "a test"'))
    assert scanned(capsys, "models", "--baseline", "base.toml")[0] == 0
    assert scanned(capsys, "harmful.pkl", "--baseline", "base.toml")[0] == 0


def test_an_empty_folder_is_not_safe(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There was nothing to understand."""
    (here / "empty").mkdir()
    code, out, _ = scanned(capsys, "empty")
    assert code == 3
    assert "no file in this folder" in out
    assert out.splitlines()[-1].startswith("no files")


@pytest.mark.usefixtures("folder")
def test_progress_is_shown_to_whoever_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal and with rich; what it leaves behind is the text."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    code, out, _ = scanned(capsys, "models")
    assert code == 1
    assert "b.txt: dangerous" in out
    monkeypatch.setitem(sys.modules, "modelsec.cli.console", None)
    assert scanned(capsys, "models")[:2] == (code, out)


@pytest.mark.usefixtures("folder")
def test_weights_only_is_answered_beside_the_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A line for each file in text, a table in JSON; the exit code is the scan's."""
    code, out, _ = scanned(capsys, "models", "unlisted.pkl", "--weights-only")
    assert code == 1
    answers = [line for line in out.splitlines() if line.startswith("torch.load")]
    assert len(answers) == 3
    assert "models/deep/b.txt: refuses it: " in answers[1]
    _, out, _ = scanned(capsys, "unlisted.pkl", "--weights-only", "--format", "json")
    answer = json.loads(out)["weights_only"]["unlisted.pkl"]
    assert answer["accepted"] is False
