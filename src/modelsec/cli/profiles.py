"""How strict a command is: ``--profile``, and ``--leave-out-git`` between the two profiles."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError, UnsafeTreeError, shown

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as _Group

    from modelsec.signing import Profile, Verification

_GIT_NAME = "strict, git files left out"


def add_profile_options(parser: "ArgumentParser | _Group", *, legacy: bool = False) -> None:
    """Add the options to a parser, or to a group of one."""
    parser.add_argument(
        "--profile",
        choices=("strict", "oms"),
        default="strict",
        help="strict (default) refuses what oms leaves out or permits: .git, links, odd names",
    )
    parser.add_argument(
        "--leave-out-git",
        action="store_true",
        help="strict, but .git, .gitattributes, .github and .gitignore at the top of MODEL may "
        "exist and are neither signed nor read, as in a clone of a model hub",
    )
    if legacy:
        parser.add_argument(
            "--legacy", action="store_true", help="also read the bundles of OMS 0.2.0"
        )


def chosen_profile(options: Namespace) -> "Profile":
    """Return the profile that the options name.

    Raises:
        ConfigurationError: they contradict each other.
    """
    from dataclasses import replace  # noqa: PLC0415 - not needed for --help

    from modelsec.signing.profile import PROFILES  # noqa: PLC0415 - idem

    profile = PROFILES[options.profile]
    if options.leave_out_git:
        if profile.excluded_files:
            raise ConfigurationError(
                f"--profile {options.profile} leaves git's files out anyway: drop --leave-out-git"
            )
        if getattr(options, "ignore", None):
            raise ConfigurationError(
                "--leave-out-git leaves out git's files and nothing else: drop --ignore, or take "
                "--profile oms"
            )
        profile = replace(profile, name=_GIT_NAME, excluded_files=True)
    return replace(profile, legacy=True) if getattr(options, "legacy", False) else profile


def check_left_out(verification: "Verification", *, unsigned: bool) -> None:
    """Hold a verification with ``--leave-out-git`` to its word.

    The library's profile is coarser: it also permits what the signer left out by name, and files
    without bytes beside shards.

    Args:
        verification: what was found.
        unsigned: whether the caller permits files that nobody signed.

    Raises:
        UnsafeTreeError: more than git's files exist that nobody signed.
    """
    from modelsec.signing.trees.tree import DEFAULT_EXCLUDED  # noqa: PLC0415 - on use

    others = _beside(verification.ignored, DEFAULT_EXCLUDED)
    if not unsigned:
        others += verification.unsigned
    if others:
        raise UnsafeTreeError(
            f"{len(others)} more than git's files exist that nobody signed ({shown(others[0])}): "
            "remove them, or take --profile oms"
        )


def _beside(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    roots = frozenset(known)
    return tuple(name for name in names if name.partition("/")[0] not in roots)
