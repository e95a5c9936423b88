"""What is refused and what is accepted: modelsec beside the reference implementation of OMS.

Every probe is set up anew for each verifier and verified twice: before the manipulation (the
control, which has to be accepted) and after it. Each verifier runs in a process of its own, with
20 seconds a probe. Exits with 1 if one of ours is not as expected. In the repository's root:
``python -m benchmarks.signing_attacks [--only WORD] [--ours] [--json FILE]``.
"""

import argparse
import json
import platform
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata

from benchmarks.harness import markdown, write_json

from .catalogue import probes, variants
from .probe import Probe, Variant
from .sessions import Answer, run
from .verifiers import Outcome

STRICT, OMS, PEER = "modelsec strict", "modelsec oms", "model-signing"

_NOT_COUNTED = ("cannot be asked", "control refused")

Answers = Mapping[str, Mapping[str, Answer]]
"""By verifier and name."""


def as_expected(probe: Probe | Variant, answer: Answer) -> bool:
    """Say whether ours did what the catalogue says, and accepted the control."""
    if isinstance(probe, Variant):
        return answer["result"].kind == "accepted"
    control, result = answer.get("control"), answer["result"]
    return (
        control is not None
        and control.kind == "accepted"
        and (result.kind, result.error) == ("refused", probe.expected.__name__)
    )


def cell(answer: Answer) -> str:
    """Say in a few words what a verifier did."""
    control = answer.get("control")
    if control is not None and control.kind != "accepted":
        return f"control {control}"
    return str(answer["result"])


def word(probe: Probe | Variant, answer: Answer) -> str:
    """Sort an answer into a column of the totals."""
    control = answer.get("control")
    if control is not None and control.kind != "accepted":
        return "control refused"
    if answer["result"].kind == "accepted" and probe.asked and isinstance(probe, Probe):
        return "cannot be asked"
    return answer["result"].kind


def details(chosen: Mapping[str, Probe | Variant], answers: Answers) -> str:
    """One row a probe."""
    rows = [
        [
            name,
            probe.effect,
            *(cell(found[name]) for found in answers.values()),
            probe.asked,
        ]
        for name, probe in chosen.items()
    ]
    return markdown(["probe", "what happens", *answers, "asks for"], rows)


def totals(
    chosen: Mapping[str, Probe | Variant], answers: Answers, verifiers: Sequence[str]
) -> str:
    """One row a class and verifier."""
    words = ("refused", "foreign", "ended", "hung", "missed", "accepted", *_NOT_COUNTED)
    rows: list[list[object]] = []
    for group in dict.fromkeys(name.partition(":")[0] for name in chosen):
        names = [name for name in chosen if name.startswith(f"{group}:")]
        for verifier in verifiers:
            count = Counter(word(chosen[name], answers[verifier][name]) for name in names)
            rows.append([group, len(names), verifier, *(count[each] for each in words)])
    headers = ["class", "n", "verifier", "refused", "foreign exception", "crashed", "hung"]
    return markdown([*headers, "race missed", *words[5:]], rows)


def answered(chosen: Mapping[str, Probe | Variant], verifier: str) -> dict[str, Answer]:
    """Ask one verifier about everything."""
    return dict(zip(chosen, run(verifier, chosen), strict=True))


def legitimate_of_ours(name: str, variant: Probe | Variant, answers: Answers) -> bool:
    """Say whether ours accepts a variant under the profile that is for it."""
    assert isinstance(variant, Variant)
    return as_expected(variant, answers[variant.verifier][name])


def summary(chosen: Mapping[str, Probe | Variant], answers: Answers) -> tuple[str, bool]:
    """Return the figures in a few lines, and whether ours is as expected."""
    attacks = {name: each for name, each in chosen.items() if isinstance(each, Probe)}
    honest = {name: each for name, each in chosen.items() if isinstance(each, Variant)}
    wrong = [name for name, each in attacks.items() if not as_expected(each, answers[STRICT][name])]
    wrong += [name for name, each in honest.items() if not legitimate_of_ours(name, each, answers)]
    right = sum(name not in wrong for name in honest)
    lines = [_line("modelsec", attacks, answers[STRICT], f"{right}/{len(honest)}")]
    if PEER in answers:
        accepted = sum(answers[PEER][name]["result"].kind == "accepted" for name in honest)
        lines.append(_line("model-signing", attacks, answers[PEER], f"{accepted}/{len(honest)}"))
    lines += [f"NOT AS EXPECTED: {name}: {cell(answers[STRICT][name])}" for name in wrong]
    return "\n".join(lines), not wrong


def _line(who: str, attacks: Mapping[str, Probe], found: Mapping[str, Answer], right: str) -> str:
    """Count what is refused for the right reason: where the control is accepted."""
    count = Counter(word(probe, found[name]) for name, probe in attacks.items())
    refused = count["refused"] + count["foreign"]
    asked = len(attacks) - count["cannot be asked"]
    return (
        f"{who} refuses {refused}/{len(attacks)} attacks ({refused}/{asked} of those about which "
        f"it can be asked), {count['foreign']} of them with a foreign exception, and accepts "
        f"{right} legitimate variants."
    )


def versions() -> str:
    """Say what was compared."""
    packages = ("modelsec", "model-signing", "pyopenssl", "cryptography")
    found = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return f"python {platform.python_version()}, {found}, {platform.system()} {platform.release()}"


def main() -> int:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="probes whose names contain this")
    parser.add_argument("--ours", action="store_true", help="leave the peer out")
    parser.add_argument("--json", help="write all answers to this file")
    options = parser.parse_args()
    catalogue: dict[str, Probe | Variant] = {**probes(), **variants()}
    chosen = {name: each for name, each in catalogue.items() if options.only in name}
    verifiers = (STRICT, OMS) if options.ours else (STRICT, OMS, PEER)
    answers = {verifier: answered(chosen, verifier) for verifier in verifiers}
    text, right = summary(chosen, answers)
    print(
        versions(), details(chosen, answers), totals(chosen, answers, verifiers), text, sep="\n\n"
    )
    write_json(options.json, _json(answers))
    return 0 if right else 1


def _json(answers: Answers) -> object:
    def plain(outcome: Outcome) -> dict[str, str]:
        return {**asdict(outcome), "message": json.dumps(outcome.message)}

    return {
        verifier: {
            name: {stage: plain(outcome) for stage, outcome in answer.items()}
            for name, answer in found.items()
        }
        for verifier, found in answers.items()
    }


if __name__ == "__main__":
    sys.exit(main())
