"""A card as a README of a model hub: YAML front matter, then sections for people.

Whatever a field holds stays in its place: front matter is written by a YAML emitter, text is
escaped. ``card_problems`` reads a README back, without the network.
"""

from typing import TYPE_CHECKING, cast

from modelsec.provenance.cards.card_content import decision_of
from modelsec.provenance.cards.card_view import CardView, ShownCard, view_of
from modelsec.provenance.cards.front_matter import FENCE, front_matter
from modelsec.provenance.cards.markdown_text import bullets, inline, paragraphs, table

if TYPE_CHECKING:
    from modelsec.provenance.cards.card_info import CardInfo

_SAID = "Said by the model's maker; not checked by the tool that wrote this card."


def card_to_markdown(card: ShownCard) -> str:
    """Return the card as Markdown with YAML front matter.

    Args:
        card: one that was made, or that was read with ``read_card``.

    Raises:
        ConfigurationError: it is no card, or PyYAML is not installed (extra ``card``).
    """
    view = view_of(card)
    info = view.info
    parts = [
        f"{FENCE}{front_matter(info)}{FENCE}",
        f"# {inline(info.name)} {inline(info.version)}",
        *([f"{_SAID}\n\n{paragraphs(info.description)}"] if info.description else []),
        _section("Checks", _checks(view)),
        _section("Deployment approval", _decision(view)),
        _section("Origin", f"{_SAID}\n\n{_origin(view)}"),
        _section("Evaluation", _metrics(info)),
        _said("Limitations", bullets(list(info.limitations))),
        *_optional(info),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _said(title: str, body: str) -> str:
    """Return a section in its maker's words: each says so, for it may be read on its own."""
    return _section(title, f"{_SAID}\n\n{body}") if body else ""


def _checks(view: CardView) -> str:
    review = view.review
    rows: list[tuple[object, ...]] = [
        ("hash verified", _word(review["hash_verified"]), review["hash_verified_because"]),
        ("format safe", _word(review["format_safe"]), review["format_safe_because"]),
    ]
    signed = view.receipt("signature")
    if signed is not None:
        who = ", ".join(_signatories(signed))
        rows.append(("signature verified", "yes", f"{who}, over {signed['tree_digest']}"))
    else:
        rows.append(("signature verified", "not checked", "no signature was verified"))
    text = [table(("Check", "Result", "Because"), rows)]
    receipts = [
        (one["check"], one.get("digest") or one.get("tree_digest"), one["time"], one["library"])
        for one in view.receipts
    ]
    if receipts:
        text.append(table(("Receipt", "Digest", "Time", "By"), list(receipts)))
    info = view.info
    if info.reviewer or info.review_date or info.vuln_scan_result:
        told = (info.reviewer or "?", info.review_date or "?", info.vuln_scan_result or "pending")
        text.append(f"{_SAID}\n\n" + table(("Reviewed by", "On", "Vulnerability scan"), [told]))
    return "\n\n".join(text)


def _signatories(receipt: dict[str, object]) -> list[str]:
    """Return who signed; a digest that was pinned is nobody."""
    listed = cast("list[dict[str, object]]", receipt["signatories"])
    return [
        f"{who['method']} {who['identity'] or who['key_id']}"
        for who in listed
        if who["method"] != "digest"
    ]


def _word(value: object) -> str:
    return "not checked" if value is None else "yes" if value else "NO"


def _decision(view: CardView) -> str:
    told = decision_of(view.decided, view.digest)
    return table(("", ""), [(key.replace("_", " "), value) for key, value in told.items()])


def _origin(view: CardView) -> str:
    info = view.info
    tree = view.content["sha256_of"] == "tree"
    digest = "Tree digest" if tree else "SHA-256"
    rows: list[tuple[object, ...]] = [
        ("Source", info.source),
        ("Format", info.format),
        (f"{digest} (claimed)", info.hash or "none claimed"),
        ("Trained", info.training_date),
    ]
    for title, value in (
        ("Supplier", info.supplier),
        ("Licence", info.license),
        ("Task", info.task),
        ("Approach", info.approach),
        ("Architecture family", info.architecture_family),
        ("Architecture", info.architecture),
        ("Library", info.library),
        ("Languages", ", ".join(info.languages)),
        ("Base models", ", ".join(info.base_models)),
        ("Inputs", ", ".join(info.inputs)),
        ("Outputs", ", ".join(info.outputs)),
        ("Standards", ", ".join(info.standards)),
    ):
        if value:
            rows.append((title, value))
    told = [table(("", ""), rows), "### Training data", paragraphs(info.training_data_description)]
    if info.datasets:
        told.append(
            table(
                ("Data set", "Description", "Licence", "Sensitive data", "URL"),
                [
                    (
                        data.name,
                        data.description or "",
                        data.license or "",
                        ", ".join(data.sensitive_data),
                        data.url or "",
                    )
                    for data in info.datasets
                ],
            )
        )
    return "\n\n".join(told)


def _metrics(info: "CardInfo") -> str:
    if not info.metrics:
        return "None was reported."
    rows: list[tuple[object, ...]] = []
    for name, metric in info.metrics.items():
        data = " / ".join(filter(None, (metric.dataset, metric.split, metric.group)))
        interval = ""
        if metric.lower is not None or metric.upper is not None:
            interval = f"{_number(metric.lower)} to {_number(metric.upper)}"
        rows.append((name, metric.value, data, interval, metric.confidence or ""))
    return f"{_SAID}\n\n" + table(("Metric", "Value", "Data", "Interval", "Confidence"), rows)


def _number(value: float | None) -> str:
    return "?" if value is None else str(value)


def _optional(info: "CardInfo") -> list[str]:
    """Return the sections for which there is something to say."""
    risks: list[tuple[object, ...]] = [
        (one.name, one.mitigation or "") for one in info.ethical_considerations
    ]
    groups: list[tuple[object, ...]] = [
        (one.group_at_risk, one.benefits or "", one.harms or "", one.mitigation or "")
        for one in info.fairness
    ]
    energy: list[tuple[object, ...]] = [
        (one.activity, one.kwh, one.source, one.provider or "", _number(one.co2_tonnes))
        for one in info.energy
    ]
    contacts: list[tuple[object, ...]] = [
        (one.name, one.role or "", one.email or "") for one in info.contacts
    ]
    sections = [
        ("Intended use", bullets(list(info.intended_use))),
        ("Intended users", bullets(list(info.intended_users))),
        ("Out of scope", bullets(list(info.out_of_scope))),
        ("Hyperparameters", _rows(("Name", "Value"), list(info.hyperparameters.items()))),
        ("Performance trade-offs", bullets(list(info.performance_tradeoffs))),
        ("Ethical considerations", _rows(("Risk", "Mitigation"), risks)),
        ("Fairness", _rows(("Group at risk", "Benefits", "Harms", "Mitigation"), groups)),
        ("Energy", _rows(("Activity", "kWh", "Source", "Provider", "t CO2eq"), energy)),
        ("Lifecycle changes", bullets(list(info.lifecycle_changes))),
        ("Contacts", _rows(("Name", "Role", "E-mail"), contacts)),
    ]
    for title, text in (
        ("Environmental impact", info.environmental_impact),
        ("Validation", info.validation),
        ("Why these metrics", info.metric_rationale),
        ("Human oversight", info.human_oversight),
        ("Monitoring", info.monitoring),
        ("Cybersecurity", info.cybersecurity),
        ("Risk management", info.risk_management),
        ("Declaration of conformity", info.declaration_of_conformity),
        ("Monitoring after placing on the market", info.post_market_monitoring),
    ):
        sections.append((title, paragraphs(text) if text else ""))
    return [_said(title, body) for title, body in sections]


def _rows(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    return table(head, rows) if rows else ""
