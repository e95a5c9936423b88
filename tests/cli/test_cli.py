import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelsec import __version__
from modelsec.cli import COMMANDS, exit_code, main
from modelsec.errors import (
    ConfigurationError,
    DecryptionError,
    KeyServiceError,
    ModelSecError,
    PluginError,
    StoreError,
    UnsafeArtifactError,
    UntrustedSignerError,
)

ATTACK = [
    json.dumps(
        {
            "account": "thief",
            "ts": number * 0.1,
            "messages": [{"role": "user", "content": f"class of item {number}?"}],
            "temperature": 0,
            "logprobs": True,
            "max_tokens": 1,
        }
    )
    for number in range(120)
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(ATTACK).encode()))
    return path


def test_replay_prints_a_line_per_account(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names account, requests, score, first degrade and block, and the reason."""
    assert main(["replay", str(log)]) == 0
    printed = capsys.readouterr()
    assert "thief" in printed.out
    assert "#1" in printed.out
    assert "velocity" in printed.out
    assert "120 requests of 1 accounts; 1 accounts degraded, 1 of them blocked" in printed.out
    assert printed.err == ""


def test_replay_writes_json_and_csv(log: Path, tmp_path: Path) -> None:
    """Both files hold what the table shows."""
    as_json, as_csv = tmp_path / "r.json", tmp_path / "r.csv"
    assert main(["replay", str(log), "--json", str(as_json), "--csv", str(as_csv)]) == 0
    report = json.loads(as_json.read_text())
    with as_csv.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert report["accounts"][0]["account"] == row["account"] == "thief"
    assert report["accounts"][0]["max_score"] == float(row["max_score"]) > 0.7


def test_bad_lines_are_reported_and_fail(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 and the line number, unless --skip-bad; good lines are judged either way."""
    log.write_text("\n".join([ATTACK[0], "{broken", *ATTACK[1:]]))
    assert main(["replay", str(log)]) == 3
    printed = capsys.readouterr()
    assert "line 2: not JSON" in printed.err
    assert "120 requests" in printed.out
    assert main(["replay", str(log), "--skip-bad"]) == 0


def test_policy_file_is_obeyed(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A policy that weighs one signal only changes the verdict."""
    policy = tmp_path / "policy.toml"
    policy.write_text("degrade_above = 0.9\nblock_above = 0.95\n[weights]\nshort_response = 1.0\n")
    assert main(["replay", str(log), "--policy", str(policy)]) == 0
    assert "0 accounts degraded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl"], "cannot read nowhere.jsonl: No such file"),
        (["."], "cannot read .: Is a directory"),
        (["LOG", "--policy", "none.toml"], "policy file none.toml: No such file"),
        (["LOG", "--policy", "policy.yaml"], ".toml or .json is needed"),
        (["LOG", "--json", "no/such/folder/x"], "cannot write"),
        (["LOG", "--top", "-1"], "--top must be 0 or more"),
        (["LOG", "--max-accounts", "0"], "must be"),
    ],
)
def test_refusals_name_the_culprit(
    arguments: list[str], message: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line on standard error, no traceback."""
    named = [str(log) if argument == "LOG" else argument for argument in arguments]
    assert main(["replay", *named]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_unknown_signal_in_a_policy_gets_a_suggestion(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing error is answered with the closest name."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"weights": {"velocty": 1}}')
    assert main(["replay", str(log), "--policy", str(policy)]) == 2
    assert "did you mean 'velocity'?" in capsys.readouterr().err


def test_hostile_account_names_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences and markup in the log are printed inert."""
    log = tmp_path / "x.jsonl"
    log.write_text(json.dumps({"account": "\x1b[2J[red]evil\x07\n", "ts": 1, "prompt": "x"}))
    assert main(["replay", str(log)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[red]evil" in out


def test_more_accounts_than_memory_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evictions and omitted summaries are never silent."""
    log = tmp_path / "x.jsonl"
    log.write_text("\n".join(json.dumps({"account": f"a{n}", "ts": n}) for n in range(30)))
    assert main(["replay", str(log), "--max-accounts", "10", "--top", "3"]) == 0
    printed = capsys.readouterr()
    assert "20 accounts were evicted" in printed.err
    assert "20 idle accounts are left out" in printed.out
    assert "and 7 more accounts" in printed.out


def test_many_bad_lines_are_abridged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten are shown, all are counted."""
    log = tmp_path / "x.jsonl"
    log.write_text("x\n" * 50)
    assert main(["replay", str(log)]) == 3
    error = capsys.readouterr().err
    assert "50 bad lines" in error
    assert error.count("  line ") == 10


def run_process(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "modelsec", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
    )


def test_standard_input_is_a_log_too() -> None:
    """A dash reads what another program pipes, plain or compressed."""
    data = "\n".join(ATTACK).encode()
    for piped in (data, gzip.compress(data)):
        result = run_process("replay", "-", stdin=piped)
        assert result.returncode == 0, result.stderr
        assert b"120 requests" in result.stdout


def test_interrupt_ends_quietly(tmp_path: Path) -> None:
    """Ctrl-C gives exit code 130, no traceback, and no report file."""
    fifo = tmp_path / "endless"
    os.mkfifo(fifo)
    report = tmp_path / "r.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "modelsec", "replay", str(fifo), "--json", str(report)],
        stderr=subprocess.PIPE,
    )
    try:
        with fifo.open("wb") as writer:
            writer.write(ATTACK[0].encode() + b"\n")
            writer.flush()
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, error
    assert error == b"modelsec: interrupted, nothing was written\n"
    assert not report.exists()


def test_version_and_usage() -> None:
    """--version prints the version; no command is wrong usage."""
    assert run_process("--version").stdout.decode().strip() == f"modelsec {__version__}"
    assert run_process().returncode == 2
    assert run_process("replya").returncode == 2


def test_demo_shows_thieves_and_is_honest(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo says what was caught, what got through, and who was bothered for nothing."""
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert "Suspected model extraction attack" in out
    assert "3 of 5 thieves" in out
    assert "2 got through" in out
    assert "customers were degraded or blocked" in out


def test_demo_traffic_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the demo saves is a log that replay reads as it stands."""
    saved = tmp_path / "traffic.jsonl"
    assert main(["demo", "--save", str(saved)]) == 0
    assert main(["replay", str(saved)]) == 0
    assert "3 of them blocked" in capsys.readouterr().out


def test_without_rich_the_command_says_what_to_install(tmp_path: Path) -> None:
    """A bare installation gets a sentence, not a traceback."""
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('No rich', name='rich')")
    result = subprocess.run(
        [sys.executable, "-m", "modelsec", "demo"],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert result.returncode == 2
    assert result.stderr == b"modelsec: the command line needs: pip install 'modelsec[cli]'\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError, 2),
        (PluginError, 2),
        (KeyServiceError, 4),
        (StoreError, 4),
        (UntrustedSignerError, 1),
        (DecryptionError, 1),
        (UnsafeArtifactError, 1),
        (ModelSecError, 1),
    ],
)
def test_a_script_can_tell_a_typing_error_from_an_attack(
    error: type[ModelSecError], code: int
) -> None:
    """What was asked wrongly, what is refused, and who did not answer have codes of their own."""
    assert exit_code(error("why")) == code


def test_every_command_tells_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is listed, and has a module."""
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    for command in COMMANDS:
        assert f"    {command} " in listed
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
