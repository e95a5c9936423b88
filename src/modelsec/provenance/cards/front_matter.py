"""The YAML in front of a README: what a model hub reads (Hub documentation, "Model Cards")."""

import re
from typing import TYPE_CHECKING, cast

from modelsec.errors import ConfigurationError
from modelsec.provenance.cards.licences import read_licence

if TYPE_CHECKING:
    from types import ModuleType

    from modelsec.provenance.cards.card_info import CardInfo

FENCE = "---\n"

_REPOSITORY = re.compile(r"[\w][\w.-]{0,95}(/[\w][\w.-]{0,95})?", re.ASCII)
_NUMERIC = re.compile(r"[-+]?\.?\d|[-+]?\.[a-z]", re.IGNORECASE)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|code|multilingual")


def front_matter(info: "CardInfo") -> str:
    """Return the metadata as YAML.

    Metrics enter the ``model-index`` if it is said on which data they were measured, and for
    which task: without either, its form would have to be filled with guesses.
    """
    data: dict[str, object] = {}
    if info.license is not None:
        data.update(_licence(info.license))
    lists: dict[str, list[str]] = {
        "language": [one for one in info.languages if _LANGUAGE.fullmatch(one)],
        "tags": list(info.tags),
        "datasets": [one.name for one in info.datasets if _REPOSITORY.fullmatch(one.name)],
        "base_model": [one for one in info.base_models if _REPOSITORY.fullmatch(one)],
    }
    data.update({key: values for key, values in lists.items() if values})
    if info.library is not None:
        data["library_name"] = info.library
    if info.task is not None:
        data["pipeline_tag"] = info.task
    results = _results(info)
    if results:
        data["model-index"] = [{"name": info.name, "results": results}]
    if not data:
        return "{}\n"  # Two fences with nothing between them are no metadata to a hub's client.
    return _written(data)


def _written(data: dict[str, object]) -> str:
    yaml = require_yaml()

    class Dumper(yaml.SafeDumper):  # type: ignore[misc,name-defined]
        """Quotes also what only YAML 1.2 takes for a number (its section 10.3.2)."""

        def represent_text(self, text: str) -> object:
            style = "'" if _NUMERIC.match(text) else None
            return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, Dumper.represent_text)
    text: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def _licence(name: str) -> dict[str, object]:
    licence = read_licence(name)
    if licence.hub == "other":
        return {"license": "other", "license_name": licence.name}
    return {"license": licence.hub}


def _results(info: "CardInfo") -> list[dict[str, object]]:
    measured: dict[tuple[str, str | None], list[dict[str, object]]] = {}
    for name, metric in info.metrics.items():
        if metric.dataset is not None and info.task is not None:
            kind = metric.type or name
            told: dict[str, object] = {"type": kind, "value": metric.value, "name": name}
            measured.setdefault((metric.dataset, metric.split), []).append(told)
    return [
        {
            "task": {"type": info.task},
            "dataset": {"name": name, "type": name} | ({"split": split} if split else {}),
            "metrics": metrics,
        }
        for (name, split), metrics in measured.items()
    ]


def require_yaml() -> "ModuleType":
    """Return PyYAML.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            "a card as Markdown needs: pip install 'modelsec[card]'"
        ) from error
    return cast("ModuleType", yaml)
