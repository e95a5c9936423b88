"""Which names can be signed, and which pretend to be others."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError, UnsafeTreeError
from modelsec.signing.profile import OMS, STRICT
from modelsec.signing.trees.names import (
    MAX_COMPONENT_BYTES,
    check_ignore_path,
    check_name,
    collisions,
    folded,
    ignore_path_fault,
    name_fault,
    set_fault,
)

ORDINARY = [
    "model.safetensors",
    "model-00001-of-00002 (copy).safetensors",
    "sub dir/config.json",
    ".hidden/.gitignore",
    "x..y",
    "...x",
    "weights:v1.bin",
    "name:0:100",
    "modèle.bin",
    "モデル/重み.bin",
    "модель.bin",
    "\u0645\u062f\u0644.bin",
    "नमस्ते.bin",
    "\u0645\u06cc\u200c\u062e\u0648\u0631\u062f.bin",  # Persian needs the non-joiner
    "🤖.bin",
    "👩\u200d💻.bin",
    "❤\ufe0f.bin",
    "1\ufe0f\u20e3.bin",
    "葛\U000e0100.bin",
    "©\ufe0f",
    "全角\u3000空白.bin",
    "[a]*?.bin",
    "-rf",
    "console.log",
    "com10.txt",
    "nullable.py",
    "a" * 255,
]


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names_pass(name: str) -> None:
    """What people call their files is a name for both profiles."""
    check_name(name, profile=STRICT)
    check_name(name, profile=OMS)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("//x", "is absolute"),
        ("a//b", "empty component"),
        ("a/", "empty component"),
        ("./a", "'.' or '..'"),
        ("a/./b", "'.' or '..'"),
        ("../a", "'.' or '..'"),
        ("a/..", "'.' or '..'"),
        (".", "'.' or '..'"),
        ("a\0b", "NUL"),
        ("a\ud800b", "UTF-8"),
        ("\udcff", "UTF-8"),
        ("a" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("/".join(["abcdefg"] * 513), "4096 bytes"),
        (None, "is no text but NoneType"),
        (b"a", "is no text but bytes"),
        (7, "is no text but int"),
    ],
)
def test_names_that_are_not_canonical_are_refused_by_every_profile(
    name: object, reason: str
) -> None:
    """Absolute, climbing, empty, overlong and undecodable names are no names."""
    for profile in (STRICT, OMS):
        fault = name_fault(name, profile=profile)
        assert fault is not None
        assert reason in fault
        with pytest.raises(UnsafeTreeError, match="the name"):
            check_name(name, profile=profile)


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\rb",
        "a\tb",
        "a\x1b[31mb",
        "a\x7fb",
        "modèle\x85",
        "é\x9b31m",
        "invoice\u202egpj.exe",
        "a\u2066b",
        "a\u200eb",
        "a\u061cb",
        "a\u2028b",
        "a\u2029b",
        "con\u200bfig.json",
        "con\u200dfig.json",
        "con\u200cfig.json",
        "config\ufe0f.json",
        "soft\u00adhyphen",
        "\ufeffconfig.json",
        "a\u2060b",
        "a\u034fb",
        "a\u3164b",
        "a\u115fb",
        "a\u2800b",
        "\xa0",
        "name\u3000",
        "dir\u2003/x",
        "🏴\U000e0067\U000e007f",
        "a\U000e0041b",
        "end\u200d",
        "👩\u200d",
        "\u200d👩",
        "a\\b",
        "..\\a",
        "CON",
        "con",
        "NUL.txt",
        "nul.tar.gz",
        "aux/x",
        "x/COM1",
        "com¹.txt",
        "LPT9.bin",
        "CON .txt",
        "con:x",
        "conin$",
        "name.",
        "name ",
        "dir./x",
        "dir /x",
        "...",
    ],
)
def test_names_that_hide_or_change_meaning_are_refused_by_strict_alone(name: str) -> None:
    """The strict profile refuses what reads as another name, or is another on Windows."""
    with pytest.raises(UnsafeTreeError, match="rename the file"):
        check_name(name, profile=STRICT)
    check_name(name, profile=OMS)


@pytest.mark.parametrize(
    "names",
    [
        ("Model.bin", "model.bin"),
        ("A/x", "a/y"),
        ("A/b/x", "A/B/y"),
        ("a", "A/x"),
        ("caf\u00e9", "cafe\u0301"),
        ("straße", "STRASSE"),
        ("\u212b", "\u00c5"),
        ("\u03c2", "\u03c3"),
        ("葛", "葛\U000e0100"),
        ("👩💻", "👩\u200d💻"),
    ],
)
def test_twins_collide(names: tuple[str, str]) -> None:
    """Names, and folders, that differ only in case, Unicode form or what nobody sees collide."""
    first, second = sorted(names, key=lambda name: (folded(name).replace("/", "\0"), name))
    assert collisions(names) == ((first, second),)
    assert "one name on some systems" in str(set_fault(names, profile=STRICT))


@pytest.mark.parametrize(
    "names",
    [
        ("a/x", "a/y"),
        ("a", "b"),
        ("a/b", "ab"),
        ("a-b/x", "a/x", "a.b"),
        ("x²", "x2"),
        ("unet/w.bin", "unet x", "unet-x", "unet.bin"),
        (),
        ("alone",),
    ],
)
def test_different_names_do_not_collide(names: tuple[str, ...]) -> None:
    """Names that every system tells apart pass together."""
    assert collisions(names) == ()
    assert set_fault(names, profile=STRICT) is None


def test_a_folder_of_a_files_name_is_no_collision_but_no_manifest_either() -> None:
    """``a`` and ``a/b`` are written alike; no tree holds both, so no manifest may list both."""
    assert collisions(["a", "a/b"]) == ()
    assert set_fault(["a", "a/b"], profile=STRICT) is not None


def test_twins_far_apart_are_found() -> None:
    """Other files between two folders of one folded name do not hide them."""
    names = [f"data/{number}/x" for number in range(200)] + ["Data/7/y", "b", "c"]
    pairs = collisions(names)
    assert pairs
    assert all({one.split("/")[0], other.split("/")[0]} == {"data", "Data"} for one, other in pairs)


def test_a_set_of_names_holds_each_once_and_no_file_that_is_a_folder() -> None:
    """A manifest lists a name once, and not as a file and as a folder."""
    assert "twice" in str(set_fault(["a", "b", "a"], profile=OMS))
    assert "as a file and as a folder" in str(set_fault(["a/b", "a", "a-b", "a.b"], profile=OMS))
    assert set_fault(["a/b", "a-b", "a.b", "A/b"], profile=OMS) is None


@pytest.mark.parametrize("path", ["cache", ".git", "a/b/c", "sub dir", "ünïcode", "a:b"])
def test_exact_relative_paths_can_be_left_out(path: str) -> None:
    """A path within the model can be left out."""
    check_ignore_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/",
        "/a",
        "a/../b",
        "./a",
        "a/",
        "a//b",
        "*.bin",
        "a?",
        "[ab]",
        "a\0b",
        "\ud800",
        "a/" * 3000 + "a",
        None,
        b"a",
        3,
    ],
)
def test_paths_that_cover_everything_or_leave_the_model_cannot(path: object) -> None:
    """Globs, climbing and empty paths are wrong usage, whoever writes them."""
    assert ignore_path_fault(path) is not None
    with pytest.raises(ConfigurationError, match="the ignored path"):
        check_ignore_path(path)


PARTS = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20)
NAMES = st.lists(PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=5).map(
    "/".join
)


@given(NAMES)
def test_every_canonical_name_passes_oms_and_round_trips(name: str) -> None:
    """Any UTF-8 without NUL is a name by the text of OMS; folding is idempotent."""
    assert name_fault(name, profile=OMS) is None
    assert folded(folded(name)) == folded(name)


@given(st.text(max_size=30), st.sampled_from([STRICT, OMS, replace(OMS, portable_names=True)]))
def test_a_name_that_passes_is_canonical(name: str, profile: object) -> None:
    """Whatever passes has only real components, and no NUL."""
    if name_fault(name, profile=profile) is None:  # type: ignore[arg-type]
        assert name
        assert all(part not in {"", ".", ".."} for part in name.split("/"))
        assert "\0" not in name
        assert max(len(part.encode()) for part in name.split("/")) <= MAX_COMPONENT_BYTES


@given(NAMES)
def test_a_portable_name_shows_all_its_characters(name: str) -> None:
    """No control character passes the strict profile."""
    if name_fault(name, profile=STRICT) is None:
        assert not any(unicodedata.category(character) == "Cc" for character in name)


@given(NAMES)
def test_unicode_forms_of_a_name_collide(name: str) -> None:
    """The NFC and NFD forms of a name are one name, or equal."""
    forms = {unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}
    assert len(collisions(forms)) == len(forms) - 1


@given(st.lists(NAMES, max_size=12, unique=True))
def test_collisions_agree_with_comparing_all_pairs(names: list[str]) -> None:
    """The sorted search finds a collision exactly when some pair of prefixes is one."""
    prefixes: dict[str, set[str]] = {}
    for name in names:
        parts = name.split("/")
        for length in range(1, len(parts) + 1):
            prefix = "/".join(parts[:length])
            prefixes.setdefault(folded(prefix), set()).add(prefix)
    expected = any(len(written) > 1 for written in prefixes.values())
    assert bool(collisions(names)) == expected
