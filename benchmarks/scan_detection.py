"""What is found, and who is wrongly accused: modelsec beside other scanners, on the same files.

Four sets: ``real`` (files out of published packages), ``written`` (by the real libraries, on the
spot), ``alike`` (own files that look like the hostile ones, without the trick) and ``hostile``.
Each scanner runs in its own environment, one process for all files, 60 CPU seconds a file.
Scanners answer ``flagged``, ``clean``, ``error`` (it could not read the file) or ``skipped``.

Run ``python benchmarks/scan_detection.py [--only modelsec;...] [--report FILE]``. The corpora,
the environments and all answers (JSON) go to ``~/.cache/modelsec-bench``, or ``$MODELSEC_BENCH``.
The first run downloads about 400 MB and installs several environments of 3 GB in all.
"""

import argparse
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import environment, markdown
from scan_corpus import benign, hostile, written
from scan_corpus.cache import CORPUS, RESULTS
from scan_corpus.case import Case
from scan_corpus.peers import PEERS, Peer, install, run

Answers = Mapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the corpora.

    Attributes:
        path: within the corpora.
        source: ``real``, ``written``, ``alike`` or ``hostile``.
        row: of the result table.
        case: for the last two.
    """

    path: str
    source: str
    row: str
    case: Case | None = None


def corpora() -> list[Item]:
    """Make what is missing and list everything."""
    if not (CORPUS / "real.json").exists():
        benign.download()
        benign.extract()
    if not (CORPUS / "written.json").exists():
        written.write_all(install("writers", written.REQUIREMENTS), CORPUS)
    items = [
        Item(sample.path, source, sample.kind)
        for source in ("real", "written")
        for sample in benign.listed(source)
    ]
    cases = hostile.write(CORPUS)
    return items + [
        Item(path, "hostile" if case.hostile else "alike", case.group, case)
        for path, case in cases.items()
    ]


def scanned(peer: Peer, items: Sequence[Item], *, afresh: bool) -> Answers:
    """Run one scanner over everything, and keep its answers.

    Pinned scanners give the same answer to the same bytes; unless ``afresh``, only what changed
    since their last run is scanned again. Ours always scans everything.
    """
    if peer.venv:
        install(peer.venv, peer.requirements)
    digests = {item.path: _digest(CORPUS / item.path) for item in items}
    kept = {} if afresh or not peer.venv else _kept(peer)
    found = {
        path: kept[path]
        for path, digest in digests.items()
        if kept.get(path, {}).get("sha256") == digest
    }
    todo = [path for path in digests if path not in found]
    for path, answer in zip(todo, run(peer, [str(CORPUS / path) for path in todo]), strict=True):
        found[path] = {**answer, "sha256": digests[path]}
    RESULTS.mkdir(parents=True, exist_ok=True)
    _file_of(peer).write_text(json.dumps(found, indent=1), "utf-8")
    return found


def _file_of(peer: Peer) -> Path:
    return RESULTS / f"detection-{peer.label.replace(' ', '-').replace(',', '')}.json"


def _kept(peer: Peer) -> dict[str, dict[str, Any]]:
    path = _file_of(peer)
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table(
    items: Iterable[Item],
    answers: Mapping[str, Answers],
    cell: Callable[[Sequence[dict[str, Any]]], str],
) -> str:
    """One row a group, one column a scanner."""
    rows: defaultdict[str, list[str]] = defaultdict(list)
    for item in items:
        rows[item.row].append(item.path)
        rows["**all**"].append(item.path)
    ordered = [*(row for row in rows if row != "**all**"), "**all**"]
    body = [
        [
            row,
            len(rows[row]),
            *(cell([found[path] for path in rows[row]]) for found in answers.values()),
        ]
        for row in ordered
    ]
    return markdown(["", "n", *answers], body)


def _share(answers: Sequence[dict[str, Any]]) -> str:
    flagged = sum(answer["outcome"] == "flagged" for answer in answers)
    failed = sum(answer["outcome"] in {"error", "skipped"} for answer in answers)
    return f"{100 * flagged / len(answers):.0f} %" + (f" (+{failed})" if failed else "")


def _quiet(answers: Sequence[dict[str, Any]]) -> str:
    """Files that were not read, with the exit code of a clean one."""
    return str(sum(a["outcome"] in {"error", "skipped"} and a["exit"] == 0 for a in answers))


def _cost(answers: Answers) -> list[object]:
    cpu = sorted(answer["cpu"] for answer in answers.values())
    peak = max(answer.get("peak_kib", 0) for answer in answers.values())
    return [
        1000 * cpu[len(cpu) // 2],
        1000 * cpu[int(len(cpu) * 0.95)],
        sum(cpu),
        f"{peak / 1024:.0f}",
    ]


def summary(items: Sequence[Item], answers: Mapping[str, Answers]) -> str:
    """All tables."""
    bad = [item for item in items if item.source == "hostile"]
    parts = ["Hostile files: share flagged (+ not read)", table(bad, answers, _share)]
    parts += [
        "Hostile files not read, with the exit code of a clean file",
        table(bad, answers, _quiet),
    ]
    for source in ("real", "written", "alike"):
        chosen = [item for item in items if item.source == source]
        parts += [
            f"Honest files, {source}: share flagged (+ not read)",
            table(chosen, answers, _share),
        ]
    rows = [[name, *_cost(found)] for name, found in answers.items()]
    parts += [
        "Cost over all files, in process",
        markdown(["", "median ms", "95 % ms", "total CPU s", "peak MiB"], rows),
    ]
    return "\n\n".join(parts)


def report(items: Sequence[Item], ours: Answers) -> str:
    """List every miss and every false alarm of ours, with what was said."""
    missed = [i for i in items if i.source == "hostile" and ours[i.path]["outcome"] == "clean"]
    meek = [
        i
        for i in items
        if i.case
        and i.case.hostile
        and i.case.dangerous
        and ours[i.path].get("verdict") != "dangerous"
        and i not in missed
    ]
    accused = [i for i in items if i.source != "hostile" and ours[i.path]["outcome"] != "clean"]
    reasons = Counter(ours[i.path]["detail"] for i in accused)
    lines = [
        f"# {len(missed)} hostile files called safe",
        *(_line(i, ours[i.path]) for i in missed),
        "",
        f"# {len(accused)} honest files not called safe",
        *(f"- {number} x `{reason}`" for reason, number in reasons.most_common()),
        "",
    ]
    for source in ("real", "written", "alike"):
        lines.append(f"## {source}")
        lines += [_line(i, ours[i.path]) for i in accused if i.source == source]
    lines += [
        "",
        f"# {len(meek)} hostile files refused, but not called dangerous",
        *(_line(i, ours[i.path]) for i in meek),
    ]
    return "\n".join(lines) + "\n"


def _line(item: Item, answer: dict[str, Any]) -> str:
    told = "; ".join(
        f"{f[0]}{' (incomplete)' if f[2] else ''} {f[3]} @{f[4]}: {f[5]}"
        for f in answer.get("findings", ())
        if f[1] in {"unknown", "dangerous"} or f[2]
    )
    said = f"{answer.get('verdict')}/{answer.get('coverage')} {answer.get('format')}"
    return f"- `{item.path}` [{said}] {told[:700] or answer['detail']}"


def main() -> None:
    """Scan, print the tables, keep the answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", help="scanners to run, separated by semicolons; others answer as last time"
    )
    parser.add_argument("--afresh", action="store_true", help="scan again what did not change")
    parser.add_argument("--report", help="write our misses and false alarms to this file")
    options = parser.parse_args()
    items = corpora()
    chosen = None if options.only is None else options.only.split(";")
    answers: dict[str, Answers] = {}
    for peer in PEERS:
        if chosen is None or peer.label in chosen:
            answers[peer.label] = scanned(peer, items, afresh=options.afresh)
        elif all(item.path in (kept := _kept(peer)) for item in items):
            answers[peer.label] = kept
    print(environment(), "\n", *sorted({r for p in PEERS for r in p.requirements}), "\n")
    print(summary(items, answers))
    if options.report:
        Path(options.report).write_text(report(items, answers["modelsec"]), "utf-8")


if __name__ == "__main__":
    main()
