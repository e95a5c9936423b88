"""``modelsec scan``: are these files safe to load?

Exit codes: 0 every file is safe (or, with ``--fail-on dangerous``, nothing is dangerous and all of
it was understood); 1 findings; 2 wrong usage, or a path that cannot be opened; 3 something was not
understood, and nothing worse. Of several paths the first of 1, 2, 3 that occurs is returned: a
missing file never hides a dangerous one.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from modelsec import __version__
from modelsec.cli.scan_text import as_text, files_of, inert
from modelsec.errors import ConfigurationError
from modelsec.files import atomic_text
from modelsec.scanning import Coverage, Limits, Policy, ScanReport, TreeReport, Verdict, scan
from modelsec.scanning.policy import shipped_layers

if TYPE_CHECKING:
    from modelsec.scanning.baseline import Baseline
    from modelsec.scanning.torch_rules import WeightsOnly
    from modelsec.scanning.tree import Progress

SAFE, FINDINGS, USAGE, NOT_UNDERSTOOD = 0, 1, 2, 3

Report: TypeAlias = ScanReport | TreeReport


@dataclass(frozen=True, slots=True)
class Setting:
    """What the options say about how to scan."""

    policy: Policy
    limits: Limits
    digest: bool | None
    baseline: "Baseline | None"
    today: date

    def accept(self, report: Report) -> Report:
        """Apply the baseline, if there is one."""
        if self.baseline is None:
            return report
        from modelsec.scanning.baseline import apply, apply_to_tree  # noqa: PLC0415 - on request

        if isinstance(report, TreeReport):
            return apply_to_tree(report, self.baseline, self.today)
        return apply(report, self.baseline, self.today)


def run(options: Namespace) -> int:
    """Run the command."""
    try:
        setting = _setting(options)
    except ConfigurationError as error:
        _complain(str(error))
        return USAGE
    reports: list[Report] = []
    problems: list[str] = []
    answers: dict[str, WeightsOnly] = {}
    for path in options.paths:
        try:
            reports.append(setting.accept(_scan(path, setting)))
            if options.weights_only:
                answers |= _weights_only(path, reports[-1], setting.limits)
        except ConfigurationError as error:
            problems.append(str(error))
            _complain(str(error))
    codes = {exit_code(report, options.fail_on) for report in reports}
    try:
        _write(options, setting, reports)
        pieces = {
            "text": partial(_text, reports, problems, answers),
            "json": partial(_json, reports, problems, answers),
            "sarif": partial(_sarif, setting, reports, problems),
        }
        _show(options, pieces[options.format]())
    except ConfigurationError as error:
        _complain(str(error))
        codes.add(USAGE)
    if problems:
        codes.add(USAGE)
    return next((code for code in (FINDINGS, USAGE, NOT_UNDERSTOOD) if code in codes), SAFE)


def exit_code(report: Report, fail_on: str) -> int:
    """Return the exit code that one report stands for."""
    bad = {Verdict.DANGEROUS} if fail_on == "dangerous" else {Verdict.DANGEROUS, Verdict.UNKNOWN}
    if report.verdict in bad:
        return FINDINGS
    return SAFE if report.coverage is Coverage.COMPLETE else NOT_UNDERSTOOD


def _setting(options: Namespace) -> Setting:
    for name in (options.write_baseline, options.learn_policy):
        if name and os.path.lexists(name):
            raise ConfigurationError(f"{name} exists: what was reviewed is not overwritten")
    shipped = () if options.no_default_policy else shipped_layers()
    layers = dict.fromkeys([*shipped, *options.policy])
    if not layers:
        raise ConfigurationError("--no-default-policy leaves nothing permitted: add --policy")
    # Acceptances and learnt permissions are pinned to a digest.
    pinned = options.baseline or options.write_baseline or options.learn_policy
    return Setting(
        policy=Policy.load(*layers),
        limits=Limits() if options.timeout is None else Limits(seconds=options.timeout),
        digest=True if options.digest or pinned else None,
        baseline=_baseline(options.baseline) if options.baseline else None,
        today=datetime.now(UTC).date(),
    )


def _baseline(path: str) -> "Baseline":
    from modelsec.scanning.baseline import Baseline  # noqa: PLC0415 - only on request

    return Baseline.load(path)


def _weights_only(path: str, report: Report, limits: Limits) -> dict[str, "WeightsOnly"]:
    """Return torch's answer for each file of a report, by the file's name in reports."""
    from modelsec.scanning.torch_rules import weights_only  # noqa: PLC0415 - only on request

    if isinstance(report, ScanReport):
        # Not by its name: that of a URL lacks the query.
        return {report.name: weights_only(path, limits=limits)}
    return {file.name: weights_only(file.name, limits=limits) for file in files_of(report)}


def _scan(path: str, setting: Setting) -> Report:
    if "://" in path or not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises on long names
        return scan(path, policy=setting.policy, limits=setting.limits, digest=setting.digest)
    from modelsec.scanning.tree import scan_tree  # noqa: PLC0415 - only for folders

    with _progress(path) as advance:
        return scan_tree(
            Path(path),
            policy=setting.policy,
            limits=setting.limits,
            digest=setting.digest,
            on_progress=advance,
        )


@contextmanager
def _progress(name: str) -> Iterator["Callable[[Progress], None] | None"]:
    """Show files as they are done, where somebody watches and rich is installed."""
    if not sys.stderr.isatty():
        yield None
        return
    try:
        from rich import progress as bars  # noqa: PLC0415 - slow

        from modelsec.cli.console import err  # noqa: PLC0415 - imports rich
    except ImportError:
        yield None
        return
    label = bars.TextColumn("{task.description}", markup=False)
    columns = (label, bars.BarColumn(), bars.MofNCompleteColumn())
    with bars.Progress(*columns, console=err(), transient=True) as shown:
        task = shown.add_task(inert(name), total=None)
        yield lambda state: shown.update(task, completed=state.done, total=state.total)


def _write(options: Namespace, setting: Setting, reports: Sequence[Report]) -> None:
    """Write the drafts that were asked for."""
    files = [file for report in reports for file in files_of(report)]
    if options.write_baseline:
        from modelsec.scanning.baseline import write  # noqa: PLC0415 - only on request

        count = write(options.write_baseline, files)
        _complain(f"wrote {count} entries to {options.write_baseline}: fill in their reasons")
    if options.learn_policy:
        from modelsec.scanning.learn import learn  # noqa: PLC0415 - only on request

        text = learn(files, policy=setting.policy)
        with atomic_text(options.learn_policy) as target:
            target.write(text)
        _complain(f"wrote {options.learn_policy}: review it, then give it as --policy")


def _show(options: Namespace, pieces: Iterator[str]) -> None:
    if options.output:
        with atomic_text(options.output) as target:
            target.writelines(pieces)
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        for piece in pieces:
            sys.stdout.write(piece.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has read enough; the exit code still tells.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _text(
    reports: Sequence[Report], problems: Sequence[str], answers: dict[str, "WeightsOnly"]
) -> Iterator[str]:
    yield from as_text(reports, problems)
    for name, answer in answers.items():
        told = "accepts it" if answer.accepted else f"refuses it: {answer.reason}"
        yield f"torch.load(weights_only=True), {inert(name)}: {inert(told)}\n"


def _json(
    reports: Sequence[Report], problems: Sequence[str], answers: dict[str, "WeightsOnly"]
) -> Iterator[str]:
    import json  # noqa: PLC0415 - text needs none

    document: dict[str, object] = {
        "modelsec": __version__,
        "safe": bool(reports) and not problems and all(report.safe for report in reports),
        "reports": [report.to_dict() for report in reports],
        "problems": list(problems),
    }
    if answers:
        document["weights_only"] = {name: held.to_dict() for name, held in answers.items()}
    yield json.dumps(document, indent=1) + "\n"


def _sarif(setting: Setting, reports: Sequence[Report], problems: Sequence[str]) -> Iterator[str]:
    import json  # noqa: PLC0415 - text needs none

    from modelsec.scanning.sarif import to_sarif  # noqa: PLC0415 - only on request

    document = to_sarif(
        reports,
        root=Path.cwd(),
        baseline=setting.baseline,
        problems=problems,
        version=__version__,
    )
    yield json.dumps(document, indent=1) + "\n"


def _complain(message: str) -> None:
    print(f"modelsec: {inert(message)}", file=sys.stderr)
