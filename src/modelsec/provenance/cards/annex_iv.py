"""Which fields of a card speak to which heading of Annex IV of the EU AI Act.

Regulation (EU) 2024/1689, Annex IV, lists under nine headings what the technical documentation of
a high-risk AI system holds. A card maps onto it; it is not such a documentation: most headings ask
for the system around the model, which no card can know. The outline says where there is something
to start from, and where there is nothing.
"""

from dataclasses import dataclass

from modelsec.provenance.cards.card_view import CardView, ShownCard, view_of
from modelsec.provenance.cards.markdown_text import inline

NOTE = "A card maps onto Annex IV; it is not an Annex IV file."


@dataclass(frozen=True, slots=True)
class Heading:
    """One of the nine headings.

    Attributes:
        number: 1 to 9.
        title: what it asks for, in our words.
        fields: the fields of ``CardInfo`` that speak to it.
        receipts: the checks of a card that speak to it.
        beyond: what it asks for and a card cannot hold.
    """

    number: int
    title: str
    fields: tuple[str, ...]
    receipts: tuple[str, ...]
    beyond: str


HEADINGS = (
    Heading(
        1,
        "General description of the system",
        (
            *("name", "version", "description", "supplier", "source", "format", "license"),
            *("intended_use", "intended_users", "out_of_scope", "inputs", "outputs"),
        ),
        ("hash",),
        "the forms in which the system is placed on the market, its hardware, its user interface "
        "and the instructions for those who deploy it",
    ),
    Heading(
        2,
        "Elements of the system and how it was developed",
        (
            *("base_models", "datasets", "training_data_description", "training_date", "approach"),
            *("architecture_family", "architecture", "hyperparameters", "human_oversight"),
            *("validation", "metrics", "cybersecurity", "energy", "environmental_impact"),
        ),
        ("scan", "signature"),
        "the design decisions and their reasons, the architecture of the whole system, and signed "
        "and dated test reports",
    ),
    Heading(
        3,
        "Monitoring, functioning and control",
        (
            *("monitoring", "limitations", "out_of_scope", "human_oversight", "fairness"),
            "ethical_considerations",
        ),
        (),
        "the accuracy to be expected for each group of persons, and what the input must be like",
    ),
    Heading(
        4,
        "Why the performance metrics are the right ones",
        ("metric_rationale", "metrics", "performance_tradeoffs"),
        (),
        "what the metrics mean for the system's intended purpose",
    ),
    Heading(
        5,
        "Risk management",
        ("risk_management", "ethical_considerations", "fairness"),
        (),
        "the risk management system itself (Article 9)",
    ),
    Heading(
        6,
        "Changes over the lifecycle",
        ("lifecycle_changes", "version"),
        ("signature",),
        "the changes that the provider has planned and assessed beforehand",
    ),
    Heading(
        7,
        "Standards that were applied",
        ("standards",),
        (),
        "the solutions taken where no harmonised standard was applied",
    ),
    Heading(
        8,
        "Declaration of conformity",
        ("declaration_of_conformity",),
        (),
        "a copy of the declaration itself (Article 47)",
    ),
    Heading(
        9,
        "Monitoring after placing on the market",
        ("post_market_monitoring",),
        (),
        "the plan itself (Article 72)",
    ),
)
"""The nine headings of Annex IV, as a card can speak to them."""


@dataclass(frozen=True, slots=True)
class Outlined:
    """What one card says under one heading.

    Attributes:
        heading: which.
        present: fields that say something, on their maker's word.
        missing: fields that say nothing.
        checked: checks that were made and passed.
        failed: checks that were made and did not pass.
        unchecked: checks that could have been made.
    """

    heading: Heading
    present: tuple[str, ...]
    missing: tuple[str, ...]
    checked: tuple[str, ...]
    failed: tuple[str, ...]
    unchecked: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return the line as JSON-ready values."""
        return {
            "heading": self.heading.number,
            "title": self.heading.title,
            "present": list(self.present),
            "missing": list(self.missing),
            "checked": list(self.checked),
            "failed": list(self.failed),
            "unchecked": list(self.unchecked),
            "beyond_a_card": self.heading.beyond,
        }


@dataclass(frozen=True, slots=True)
class Outline:
    """A card under the nine headings; no statement about conformity.

    Attributes:
        headings: all nine.
        model: name and version, as its maker says.
        card: digest of the card.
        note: what this is not.
    """

    headings: tuple[Outlined, ...]
    model: str
    card: str
    note: str = NOTE

    def to_dict(self) -> dict[str, object]:
        """Return the outline as JSON-ready values."""
        return {
            "note": self.note,
            "model": self.model,
            "card_digest": self.card,
            "headings": [line.to_dict() for line in self.headings],
        }

    def to_markdown(self) -> str:
        """Return the outline as a Markdown table of names of fields, without their content."""
        rows = [
            f"| {line.heading.number} | {line.heading.title} | {_cell(line.present)} "
            f"| {_cell(line.missing)} | {_cell(line.checked)} | {_cell(line.failed)} "
            f"| {line.heading.beyond} |"
            for line in self.headings
        ]
        head = (
            "| | Annex IV | said | not said | checked | failed | beyond a card |\n"
            "|---|---|---|---|---|---|---|"
        )
        about = f"Model: {inline(self.model)}. Card: `{self.card}`."
        return "\n".join([NOTE, "", about, "", head, *rows, ""])


def annex_iv_outline(card: ShownCard) -> Outline:
    """Say under each heading of Annex IV what a card says, and what it does not.

    Raises:
        ConfigurationError: it is no card.
    """
    view = view_of(card)
    info = view.info
    results = _results(view)
    said = {name for name in type(info).model_fields if _says(getattr(info, name))}
    lines = tuple(
        Outlined(
            heading=heading,
            present=tuple(name for name in heading.fields if name in said),
            missing=tuple(name for name in heading.fields if name not in said),
            checked=tuple(name for name in heading.receipts if results[name] is True),
            failed=tuple(name for name in heading.receipts if results[name] is False),
            unchecked=tuple(name for name in heading.receipts if results[name] is None),
        )
        for heading in HEADINGS
    )
    return Outline(lines, f"{info.name} {info.version}", view.digest)


def _results(view: CardView) -> dict[str, object]:
    """Return for each check whether it passed; None if it was not made, or says nothing."""
    return {
        "hash": view.review["hash_verified"],
        "scan": view.review["format_safe"],
        "signature": True if view.receipt("signature") else None,
    }


def _says(value: object) -> bool:
    return value is not None and value not in ((), {})


def _cell(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"
