"""What is wrong with the front matter of a README, said without the network.

A hub refuses an upload for some of it and quietly ignores the rest: a licence that nobody knows, a
``model-index`` whose results lack what its page shows.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from modelsec.errors import ConfigurationError, shown
from modelsec.provenance.cards.front_matter import FENCE, require_yaml
from modelsec.provenance.cards.licences import read_licence

if TYPE_CHECKING:
    from types import ModuleType

_LIMIT = 256 << 10  # characters of front matter: a YAML parser in Python reads 100 kB a second
_DEPTH = 20
_END = re.compile(r"\n---(?=\n|\Z)")
# What PyYAML's constructors raise for a tag and a value that do not fit, besides its own errors.
_FOREIGN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_LISTED = 20


class _NoFrontMatterError(Exception):
    """Carries the reason."""


def card_problems(readme: str) -> tuple[str, ...]:
    """Say what is wrong with a README's front matter; () if nothing is.

    It looks at the YAML, the licence and the shape of the ``model-index``. Whatever text it is
    given, it answers.

    Raises:
        ConfigurationError: it is no text, or PyYAML is not installed (extra ``card``).
    """
    if not isinstance(readme, str):
        raise ConfigurationError(f"a README is text, not {shown(readme)}")
    try:
        data = _read(_front_matter(readme))
    except _NoFrontMatterError as reason:
        return (str(reason),)
    found = [*_licence_problems(data), *_list_problems(data), *_index_problems(data)]
    more = [f"and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return (*found[:_LISTED], *more)


def _front_matter(readme: str) -> str:
    text = readme[: _LIMIT + 100].replace("\r\n", "\n")
    if not text.startswith(FENCE):
        raise _NoFrontMatterError("there is no front matter: the first line is not ---")
    text = text[len(FENCE) - 1 :]
    end = _END.search(text)
    if end is None:
        raise _NoFrontMatterError(
            f"the front matter does not end within {_LIMIT} characters: there is no second ---"
        )
    return text[: end.start()]


def _read(body: str) -> Mapping[object, object]:
    yaml = require_yaml()
    try:
        _check_cost(yaml, body)
        loader = yaml.SafeLoader(body)
        node = loader.get_single_node()
        if node is None:
            return {}
        _check_keys(yaml, node)
        data = loader.construct_document(node)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise _NoFrontMatterError(f"the front matter is no YAML: {reason:.200}") from error
    except _FOREIGN as error:
        name = type(error).__name__
        raise _NoFrontMatterError(f"the front matter cannot be read: {name}") from error
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise _NoFrontMatterError("the front matter is no mapping")
    return cast("Mapping[object, object]", data)


def _check_cost(yaml: "ModuleType", body: str) -> None:
    """Refuse what would cost a parser more than its length: no card needs it."""
    depth = 0
    for event in yaml.parse(body):
        if isinstance(event, yaml.AliasEvent):
            raise _NoFrontMatterError("the front matter uses YAML aliases: write it out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEPTH:
            raise _NoFrontMatterError(f"the front matter is nested more than {_DEPTH} deep")


def _check_keys(yaml: "ModuleType", root: object) -> None:
    """Refuse a key that stands twice: readers of YAML do not agree on which one counts."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key.value, str)]
            for (_, key), times in Counter(keys).items():
                if times > 1:
                    raise _NoFrontMatterError(f"the front matter has the key {shown(key)} twice")
            nodes += [part for pair in node.value for part in pair]


def _licence_problems(data: Mapping[object, object]) -> list[str]:
    given = data.get("license")
    if given is None:
        return []
    problems = []
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, str):
            problems.append(f"license: {shown(one)} is no text")
            continue
        try:
            licence = read_licence(one)
        except ConfigurationError as error:
            if "pip install" in str(error):
                raise
            problems.append(f"license: {shown(one)} is no licence that SPDX or the Hub lists")
            continue
        if licence.hub == "other" and not isinstance(data.get("license_name"), str):
            problems.append("license: other needs a license_name")
    return problems


def _list_problems(data: Mapping[object, object]) -> list[str]:
    problems = []
    for key in ("tags", "datasets", "language", "base_model"):
        value = data.get(key)
        items = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(item, str) for item in items):
            problems.append(f"{key}: not all of it is text")
    return problems


def _index_problems(data: Mapping[object, object]) -> list[str]:
    index = data.get("model-index")
    if index is None:
        return []
    if not isinstance(index, list) or not index:
        return ["model-index: it is no list of models"]
    return [problem for model in index for problem in _model_problems(model)]


def _model_problems(model: object) -> list[str]:
    if not isinstance(model, Mapping) or not isinstance(model.get("name"), str):
        return ["model-index: a model has no name"]
    results = model.get("results")
    if not isinstance(results, list) or not results:
        return [f"model-index: {shown(model['name'])} has no list of results"]
    return [problem for result in results for problem in _result_problems(result)]


def _result_problems(result: object) -> list[str]:
    if not isinstance(result, Mapping):
        return ["model-index: a result is no mapping"]
    problems = [
        f"model-index: a result has no {key}.{name}"
        for key, names in (("task", ("type",)), ("dataset", ("type", "name")))
        for name in names
        if not _has_text(result.get(key), name)
    ]
    metrics = result.get("metrics")
    if not isinstance(metrics, list) or not metrics:
        return [*problems, "model-index: a result has no list of metrics"]
    for metric in metrics:
        if not isinstance(metric, Mapping) or not isinstance(metric.get("type"), str):
            problems.append("model-index: a metric has no type")
        elif not isinstance(metric.get("value"), int | float | str):
            problems.append("model-index: a metric has no value")
    return problems


def _has_text(part: object, name: str) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get(name), str)
