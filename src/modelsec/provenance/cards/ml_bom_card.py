"""The ``modelCard`` of CycloneDX 1.6 and 1.7: what the maker says, in the standard's words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsec.provenance.cards.card_info import CardInfo, Dataset, Energy, Metric


def model_card(info: "CardInfo") -> dict[str, object]:
    """Return the maker's information as a ``modelCard``, JSON-ready; empty parts are left out."""
    return _filled(
        {
            "modelParameters": _parameters(info),
            "quantitativeAnalysis": {
                "performanceMetrics": [
                    _metric(name, metric) for name, metric in info.metrics.items()
                ]
            },
            "considerations": _considerations(info),
        }
    )


def _parameters(info: "CardInfo") -> dict[str, object]:
    return _filled(
        {
            "approach": {"type": info.approach} if info.approach else {},
            "task": info.task,
            "architectureFamily": info.architecture_family,
            "modelArchitecture": info.architecture,
            "datasets": [_dataset(one) for one in info.datasets],
            "inputs": [{"format": one} for one in info.inputs],
            "outputs": [{"format": one} for one in info.outputs],
        }
    )


def _dataset(data: "Dataset") -> dict[str, object]:
    said = _filled({"description": data.description, "license": data.license})
    contents = _filled(
        {
            "url": data.url,
            "properties": [
                {"name": f"modelsec:claimed:{name}", "value": value} for name, value in said.items()
            ],
        }
    )
    owners = [{"organization": {"name": data.owner}}] if data.owner else []
    return _filled(
        {
            "type": "dataset",
            "name": data.name,
            "contents": contents,
            "classification": data.classification,
            "sensitiveData": list(data.sensitive_data),
            "governance": _filled({"owners": owners}),
        }
    )


def _metric(name: str, metric: "Metric") -> dict[str, object]:
    where = " / ".join(filter(None, (metric.dataset, metric.split, metric.group)))
    return _filled(
        {
            "type": name if metric.type in {None, name} else f"{metric.type} ({name})",
            "value": str(metric.value),
            "slice": where or None,
            "confidenceInterval": _filled(
                {"lowerBound": _text(metric.lower), "upperBound": _text(metric.upper)}
            ),
        }
    )


def _considerations(info: "CardInfo") -> dict[str, object]:
    return _filled(
        {
            "users": list(info.intended_users),
            "useCases": list(info.intended_use),
            "technicalLimitations": list(info.limitations),
            "performanceTradeoffs": list(info.performance_tradeoffs),
            "ethicalConsiderations": [
                _filled({"name": one.name, "mitigationStrategy": one.mitigation})
                for one in info.ethical_considerations
            ],
            "environmentalConsiderations": _filled(
                {"energyConsumptions": [_energy(one) for one in info.energy]}
            ),
            "fairnessAssessments": [
                _filled(
                    {
                        "groupAtRisk": one.group_at_risk,
                        "benefits": one.benefits,
                        "harms": one.harms,
                        "mitigationStrategy": one.mitigation,
                    }
                )
                for one in info.fairness
            ],
        }
    )


def _energy(energy: "Energy") -> dict[str, object]:
    cost = {"value": energy.kwh, "unit": "kWh"}
    told: dict[str, object] = {"activity": energy.activity, "activityEnergyCost": cost}
    # The standard demands the list, and an organisation in each entry: none is made up.
    told["energyProviders"] = (
        []
        if energy.provider is None
        else [
            {
                "organization": {"name": energy.provider},
                "energySource": energy.source,
                "energyProvided": cost,
            }
        ]
    )
    if energy.co2_tonnes is not None:
        told["co2CostEquivalent"] = {"value": energy.co2_tonnes, "unit": "tCO2eq"}
    if energy.provider is None and energy.source != "unknown":
        told["properties"] = [{"name": "modelsec:claimed:energy-source", "value": energy.source}]
    return told


def _text(value: float | None) -> str | None:
    return None if value is None else str(value)


def _filled(values: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value not in (None, [], {}, "")}
