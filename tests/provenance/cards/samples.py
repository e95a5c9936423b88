"""Information about models, as makers write it and as hypothesis does."""

import datetime as dt
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import save_file

from modelsec.signing.trees.names import hidden_fault

NOW = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)

LESSON: dict[str, object] = {
    "name": "sentiment",
    "version": "1.2.0",
    "hash": "ab" * 32,
    "format": ".safetensors",
    "source": "https://models.example.org/sentiment",
    "training_date": "2026-01-15",
    "training_data_description": "Reviews of films.",
    "metrics": {"accuracy": 0.93, "f1": 0.91},
    "limitations": ["English only"],
}
"""The keys that the lesson demands."""

FULL: dict[str, object] = {
    **LESSON,
    "reviewer": "R. Viewer",
    "review_date": dt.date(2026, 2, 1),
    "vuln_scan_result": "clean, says our other scanner",
    "description": "Says whether a review is kind.\n\nIt is small.",
    "supplier": "Example Ltd",
    "contacts": [{"name": "A. Uthor", "email": "a@example.org", "role": "maker"}],
    "license": "apache-2.0 OR mit",
    "tags": ["text", "sentiment"],
    "languages": ["en", "the language of films"],
    "library": "transformers",
    "task": "text-classification",
    "intended_use": "Sorting reviews.",
    "intended_users": ["Cinemas"],
    "out_of_scope": ["People"],
    "inputs": ["text/plain"],
    "outputs": ["application/json"],
    "approach": "supervised",
    "architecture_family": "transformer",
    "architecture": "BERT",
    "base_models": ["example/bert-small", "a base with spaces"],
    "datasets": [
        "example/films",
        {
            "name": "Private reviews",
            "url": "https://data.example.org/x?y=(1)",
            "description": "bought",
            "license": "LicenseRef-bought",
            "classification": "internal",
            "sensitive_data": ["names"],
            "owner": "Example Ltd",
        },
    ],
    "hyperparameters": {"lr": 3e-5, "epochs": 3, "amp": True, "seed": None, "decay": "cosine"},
    "energy": [
        {
            "activity": "training",
            "kwh": 12.5,
            "provider": "Wind Ltd",
            "source": "wind",
            "co2_tonnes": 0.001,
        },
        {"activity": "inference", "kwh": 1, "source": "solar"},
    ],
    "environmental_impact": "Little.",
    "metrics": {
        "accuracy": {
            "value": 0.93,
            "dataset": "example/films",
            "split": "test",
            "lower": 0.9,
            "upper": 0.95,
            "confidence": "95 %",
        },
        "accuracy, short": {"value": 0.8, "type": "accuracy", "dataset": "example/films"},
        "grade": "A",
    },
    "validation": "Held out.",
    "metric_rationale": "Classes are balanced.",
    "performance_tradeoffs": ["Small, so less right"],
    "ethical_considerations": [{"name": "Irony", "mitigation": "A person looks"}],
    "fairness": [{"group_at_risk": "Dialects", "harms": "Misread"}],
    "human_oversight": "A person looks.",
    "monitoring": "Weekly.",
    "cybersecurity": "Signed.",
    "risk_management": "ISO 31000",
    "lifecycle_changes": ["1.1 to 1.2: more films"],
    "standards": ["ISO/IEC 42001"],
    "declaration_of_conformity": "none",
    "post_market_monitoring": "A mailbox.",
}
"""Every field."""

_CHARACTERS = st.characters(
    exclude_categories=("Cc", "Cs", "Zl", "Zp"),
    exclude_characters="\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
)
HOSTILE_LINES = st.sampled_from(
    (
        *("---", "# heading", "```", "</script><script>alert(1)</script>", "[x](javascript:1)"),
        *("![x](https://e.org/x.png)", "| a | b |", "<!-- ", "&lt;b&gt;", "1. one", "- item"),
        *("> quote", "=====", "a\\", "https://e.org", "www.e.org", "<https://e.org>", "`", "~~~"),
        *(
            "{{7*7}}",
            "key: value",
            "*a*",
            "_a_",
            "!!python/object:os.system",
            "&a *a",
            "\\`",
            "$x$",
        ),
        *("'", '"', "null", "true", "0x10", "%TAG ! x", "? x", "- - -", "***", "+ x", "[x]: y"),
    )
)
_LINES = (
    st.text(_CHARACTERS, min_size=1, max_size=30).map(str.strip).filter(bool) | HOSTILE_LINES
).filter(lambda line: line == line.strip() and not hidden_fault(line))
_TEXTS = st.lists(_LINES, min_size=1, max_size=3).flatmap(
    lambda lines: st.sampled_from(("\n", "\n\n", "\n    ", "\n\t")).map(lambda by: by.join(lines))
)
_NUMBERS = st.integers(-(2**63), 2**63) | st.floats(-1e15, 1e15, allow_nan=False)
_LISTS = st.lists(_LINES, max_size=3)
_METRICS = st.dictionaries(
    _LINES,
    st.one_of(
        _NUMBERS,
        _LINES,
        st.fixed_dictionaries(
            {"value": _NUMBERS},
            optional={"type": _LINES, "dataset": _LINES, "split": _LINES, "group": _LINES},
        ),
    ),
    max_size=4,
)
_DATASETS = st.lists(
    st.fixed_dictionaries(
        {"name": _LINES},
        optional={
            "description": _TEXTS,
            "url": st.sampled_from(
                ("https://e.org", "http://e.org:80/a%20b?c=[d]#e".replace("[d]", "d"))
            ),
            "license": st.sampled_from(("mit", "llama3.1", "LicenseRef-x")),
            "classification": _LINES,
            "sensitive_data": _LISTS,
            "owner": _LINES,
        },
    ),
    max_size=3,
)
_ENERGY = st.lists(
    st.fixed_dictionaries(
        {"activity": st.sampled_from(("training", "other")), "kwh": st.floats(0, 1e9)},
        optional={
            "provider": _LINES,
            "source": st.sampled_from(("wind", "unknown")),
            "co2_tonnes": st.floats(0, 1e9),
        },
    ),
    max_size=2,
)

INFOS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {
        "name": _LINES,
        "version": _LINES,
        "format": _LINES,
        "source": _LINES,
        "training_date": _LINES,
        "training_data_description": _TEXTS,
        "metrics": _METRICS,
        "limitations": st.lists(_TEXTS, max_size=3),
    },
    optional={
        "hash": st.just("0F" * 32),
        "reviewer": _LINES,
        "vuln_scan_result": _TEXTS,
        "description": _TEXTS,
        "supplier": _LINES,
        "contacts": st.lists(
            st.fixed_dictionaries(
                {"name": _LINES}, optional={"email": st.just("a.b+c@e.org"), "role": _LINES}
            ),
            max_size=2,
        ),
        "license": st.sampled_from(("MIT", "gpl-3.0-only", "MIT AND ISC", "gemma", "unknown")),
        "tags": _LISTS,
        "languages": _LISTS,
        "library": _LINES,
        "task": _LINES,
        "intended_use": st.lists(_TEXTS, max_size=2),
        "intended_users": _LISTS,
        "approach": st.sampled_from(("supervised", "self-supervised")),
        "base_models": _LISTS,
        "datasets": _DATASETS,
        "hyperparameters": st.dictionaries(
            _LINES, st.none() | st.booleans() | _NUMBERS | _LINES, max_size=3
        ),
        "energy": _ENERGY,
        "ethical_considerations": st.lists(
            st.fixed_dictionaries({"name": _TEXTS}, optional={"mitigation": _TEXTS}), max_size=2
        ),
        "fairness": st.lists(
            st.fixed_dictionaries({"group_at_risk": _TEXTS}, optional={"harms": _TEXTS}), max_size=2
        ),
        "human_oversight": _TEXTS,
        "standards": _LISTS,
    },
)
"""Whatever may stand in a card, and looks as if it might not stay there."""


def weights(path: Path, rows: int = 4) -> Path:
    """Write a safetensors file."""
    save_file({"w": np.ones((rows, 8), "f4")}, path)
    return path


def folder_of_weights(folder: Path) -> Path:
    """Write a model of three files, one of them below."""
    (folder / "sub").mkdir(parents=True)
    weights(folder / "model.safetensors")
    weights(folder / "sub" / "more.safetensors", 6)
    (folder / "config.json").write_text('{"a": 1}')
    return folder
