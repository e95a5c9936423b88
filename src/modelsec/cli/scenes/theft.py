"""Scene: a detector watches simulated customers and thieves on one API."""

import json
from argparse import Namespace
from collections import Counter

from rich.console import Console
from rich.table import Table

from modelsec.cli.console import STYLES, safe
from modelsec.extraction import Assessment, SyncModelTheftDetector
from modelsec.files import atomic_text
from modelsec.stores import MemoryStore
from modelsec.testing.simulators import SimulatedRequest, simulate_traffic


def play(console: Console, options: Namespace) -> None:
    """Judge the traffic, print a line an account, explain one verdict, and count honestly."""
    traffic = list(simulate_traffic(options.seed))
    if options.save:
        with atomic_text(options.save) as target:
            for request in traffic:
                target.write(json.dumps(request.to_dict()) + "\n")
    detector = SyncModelTheftDetector(MemoryStore())
    worst: dict[str, tuple[SimulatedRequest, Assessment]] = {}
    actions: dict[str, Counter[str]] = {}
    for request in traffic:
        assessment = detector.analyze_request(request.account, request.body, now=request.ts)
        actions.setdefault(request.account, Counter())[assessment.action] += 1
        known = worst.get(request.account)
        if known is None or assessment.extraction_score > known[1].extraction_score:
            worst[request.account] = (request, assessment)
    console.print(
        f"{len(traffic):,} requests of {len(worst)} accounts, some of them thieves, in order of "
        "time, through one detector in memory.\n"
    )
    console.print(_accounts(worst, actions))
    request, assessment = max(worst.values(), key=lambda pair: pair[1].extraction_score)
    console.print(_explanation(request, assessment))
    _count(console, worst)
    if options.save:
        console.print()
        console.print(safe(f"The traffic is in {options.save}: try modelsec replay {options.save}"))


def _accounts(
    worst: dict[str, tuple[SimulatedRequest, Assessment]], actions: dict[str, Counter[str]]
) -> Table:
    table = Table()
    for name in ("account", "really"):
        table.add_column(name, no_wrap=True)
    for name in ("requests", "allowed", "degraded", "blocked", "score"):
        table.add_column(name, justify="right")
    for account, (request, assessment) in sorted(
        worst.items(), key=lambda item: -item[1][1].extraction_score
    ):
        count = actions[account]
        table.add_row(
            safe(account),
            "thief" if request.is_attack else "customer",
            str(count.total()),
            str(count["allow"]),
            str(count["degrade"]),
            str(count["block"]),
            f"{assessment.extraction_score:.2f}",
            style=STYLES[assessment.action],
        )
    return table


def _explanation(request: SimulatedRequest, assessment: Assessment) -> Table:
    table = Table(
        title=f"Why {request.account} was met with: {assessment.action}",
        caption=f"{assessment.reason} ({assessment.extraction_score:.2f} > "
        f"{assessment.block_above if assessment.action == 'block' else assessment.degrade_above})",
    )
    for name in ("signal", "score", "weight", "because"):
        table.add_column(name)
    for name, signal in assessment.signals.items():
        weight = assessment.weights[name]
        table.add_row(name, f"{signal.score:.2f}", f"{weight:.2f}", safe(signal.explanation))
    return table


def _count(console: Console, worst: dict[str, tuple[SimulatedRequest, Assessment]]) -> None:
    """Say what was caught, what was missed, and who was bothered for nothing."""
    thieves = [a.action for request, a in worst.values() if request.is_attack]
    customers = [a.action for request, a in worst.values() if not request.is_attack]
    caught = sum(action != "allow" for action in thieves)
    bothered = sum(action != "allow" for action in customers)
    console.print(
        f"\n{caught} of {len(thieves)} thieves were degraded or blocked; "
        f"{len(thieves) - caught} got through: patient ones look like customers to these five "
        "signals.\n"
        f"{bothered} of {len(customers)} customers were degraded or blocked: machines that label "
        "or monitor look like thieves to them."
    )
