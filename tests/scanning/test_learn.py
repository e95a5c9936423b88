from dataclasses import replace
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.scanning import Finding, Policy, scan
from modelsec.scanning.learn import diff, learn
from modelsec.scanning.policy import parse_layer
from tests.scanning.support.reports import DANGER, DIGEST, GAP, NOTE, UNKNOWN, report


def done(operation: str, subject: str) -> Finding:
    return UNKNOWN.at(0, "found", operation=operation, subject=subject)


def permissions(text: str) -> dict[tuple[str, str], frozenset[str]]:
    _, table = parse_layer(text.encode(), "here")
    return {key: allowance.operations for key, allowance in table.items()}


def test_what_is_unknown_becomes_permitted_by_operation() -> None:
    """One entry a module and set of operations; nothing that was not seen."""
    text = learn(
        [
            report(done("import", "ours.net:Net"), done("build", "ours.net:Net")),
            report(done("import", "ours.net:Head"), done("call", "theirs:make"), name="b.pkl"),
        ]
    )
    assert permissions(text) == {
        ("ours.net", "Net"): {"import", "build"},
        ("ours.net", "Head"): {"import"},
        ("theirs", "make"): {"call"},
    }
    assert f'because = "seen in models/model.pt, sha256 {DIGEST}; reviewed by: "' in text
    assert "b.pkl" in text


def test_operators_and_layers_are_learnt_too() -> None:
    """The module may hold a colon, the name may not."""
    text = learn([report(done("operator", "onnx:com.ours:Fuse"), done("layer", "ours:Gate"))])
    assert permissions(text) == {
        ("onnx:com.ours", "Fuse"): {"operator"},
        ("ours", "Gate"): {"layer"},
    }


def test_nothing_dangerous_is_learnt() -> None:
    """Not the finding, not its subject from another file, nothing of a dangerous file."""
    bad = DANGER.at(0, "runs", operation="call", subject="os:nothing")
    text = learn(
        [
            report(bad, done("import", "ours:Net"), name="bad.pkl"),
            report(done("import", "os:nothing"), done("import", "ours:Head")),
        ]
    )
    assert permissions(text) == {("ours", "Head"): {"import"}}
    assert "# not learnt: bad.pkl: the file is dangerous" in text
    assert "os:nothing: dangerous elsewhere" in text


def test_notes_and_gaps_teach_nothing() -> None:
    """They have no operation that a policy could permit."""
    text = learn([report(NOTE.at(0, "n", operation="import", subject="a:b"), GAP.at(0, "g"))])
    assert permissions(text) == {}


@pytest.mark.parametrize(
    "subject",
    ["", "no colon", "a:b c", "a:b\nc", "\u0430bc:Net", "a:" + "b" * 200, "a.b:c\\d", ":x", "a:"],
)
def test_odd_names_are_left_to_the_reader(subject: str) -> None:
    """Cut, escaped and unprintable subjects are not the names they stand for."""
    text = learn([report(done("import", subject))])
    assert permissions(text) == {}
    assert "not a plain name" in text


def test_operations_that_no_policy_knows_are_left_to_the_reader() -> None:
    """An unknown finding of another kind is named in a comment."""
    assert "not an operation" in learn([report(done("handler", "a:b"))])


def test_rules_about_arguments_are_not_undone(tmp_path: Path) -> None:
    """A new entry would replace the rule, or permit nothing new: neither is written."""
    path = tmp_path / "strict.toml"
    path.write_text(
        'layer = "strict"\n'
        '[[allow]]\nmodule = "a"\nnames = ["ruled"]\noperations = ["call"]\n'
        'arguments = "bytes"\nbecause = "x"\n'
        '[[allow]]\nmodule = "a"\nnames = ["free"]\noperations = ["call"]\nbecause = "x"\n'
    )
    policy = Policy.load(path)
    findings = [done("build", "a:ruled"), done("call", "a:free"), done("build", "a:free")]
    text = learn([report(*findings)], policy=policy)
    assert permissions(text) == {("a", "free"): {"build"}}
    assert "a:ruled: its arguments have a rule (bytes) in the layer strict" in text
    assert "a:free: call is permitted; what it is done with is not" in text


def test_many_files_are_counted_not_listed() -> None:
    """The reason stays short; what was not listed is said."""
    reports = [report(done("import", "a:b"), name=f"{n}.pkl") for n in range(10)]
    text = learn([*reports, report(unlisted=7)], layer='of "ours"\n')
    assert " and 7 more; reviewed by: " in text
    assert "7 findings are not listed" in text
    assert parse_layer(text.encode(), "here")[0] == 'of "ours"\n'


def test_a_file_name_cannot_write_policy() -> None:
    """Line ends and quotes in names stay within their comment or string."""
    name = 'x"\n[[allow]]\nmodule = "os"\nnames = ["x"]\noperations = ["call"]\nbecause = "y"'
    text = learn([report(done("import", "a:b"), name=name), report(DANGER.at(0, "x"), name=name)])
    assert permissions(text) == {("a", "b"): {"import"}}


def test_a_learnt_layer_makes_the_file_allow_listed(tmp_path: Path) -> None:
    """Learn, review, add: the same file passes, for the learnt reason."""
    content = b"\x80\x02cinert_example.nets\nNet\n)R."
    before = scan(content)
    assert not before.safe
    path = tmp_path / "ours.toml"
    path.write_text(learn([before], layer="ours"))
    after = scan(content, policy=Policy.load(path))
    assert after.safe
    assert {permitted.policy for permitted in after.permitted} == {"ours"}


def test_diff_names_every_permission_that_comes_and_goes() -> None:
    """By operation; a changed rule for arguments is a change."""
    old = learn([report(done("import", "a:b"), done("call", "a:b"))])
    new = learn([report(done("import", "a:b"), done("build", "c:d"))])
    assert diff(old, new) == ["- a:b call", "+ c:d build"]
    assert diff(old, old) == []
    ruled = old.replace("because", 'arguments = "bytes"\nbecause')
    assert "+ a:b call if bytes" in diff(old, ruled)
    with pytest.raises(ConfigurationError):
        diff(old, "not toml")


def test_learning_is_deterministic() -> None:
    """The order of findings does not show."""
    findings = [done("import", f"m{n % 3}:n{n}") for n in range(9)]
    one = report(*findings)
    assert learn([one]) == learn([replace(one, findings=one.findings[::-1])])
