"""The layers that are shipped: what they must not permit, whatever else changes in them."""

from importlib.resources import files

import pytest

from modelsec.scanning import Verdict, scan
from modelsec.scanning.pickle.arguments import CHECKS
from modelsec.scanning.policy import Allowance, default_policy, parse_layer, shipped_layers
from tests.scanning.support.assembler import (
    BUILD,
    EMPTY_DICT,
    EMPTY_TUPLE,
    MARK,
    NEWOBJ,
    NONE,
    PROTO2,
    SETITEMS,
    STOP,
    call,
    data,
    name,
    text,
)

PICKLE = {"import", "call", "build", "items", "attribute"}

ACTING = {
    "cKDTree's state is memory that native code trusts": ("scipy.spatial._ckdtree", "cKDTree"),
    "a native parser reads its state": ("xgboost.core", "Booster"),
    "another native parser does": ("lightgbm.basic", "Booster"),
    "its state is a formula, which is evaluated": ("statsmodels.base.data", "ModelData"),
    "so is that of what is derived from it": ("statsmodels.base.data", "PandasData"),
    "its state replaces a method that is called": (
        "statsmodels.discrete.discrete_model",
        "NegativeBinomial",
    ),
    "it writes and deletes files": ("sklearn_crfsuite._fileresource", "FileResource"),
    "it unpickles a file that it names": ("gensim.similarities.docsim", "Shard"),
    "it opens a file that it names": ("gensim.corpora.mmcorpus", "MmCorpus"),
    "it starts a program": ("gensim.models.wrappers.ldamallet", "LdaMallet"),
    "its state replaces what it calls": ("functools", "partial"),
    "it evaluates source on use": ("formulaic.parser.types.factor", "Factor"),
    "it compiles": ("regex._regex", "compile"),
}


def layers() -> dict[str, dict[tuple[str, str], Allowance]]:
    folder = files("modelsec.scanning.policies")
    return {
        layer: parse_layer((folder / f"{layer}.toml").read_bytes(), layer)[1]
        for layer in shipped_layers()
    }


def pickled(body: bytes) -> bytes:
    return PROTO2 + body + STOP


def made(module: str, attribute: str, **state: bytes) -> bytes:
    """An object as pickle makes one: without its constructor, then its state."""
    items = b"".join(text(key) + value for key, value in state.items())
    new = name(module, attribute) + EMPTY_TUPLE + NEWOBJ
    return new + EMPTY_DICT + MARK + items + SETITEMS + BUILD


def test_layers_are_called_as_their_files() -> None:
    """Reports name the layer; whoever reads one looks for the file."""
    folder = files("modelsec.scanning.policies")
    for layer in shipped_layers():
        assert parse_layer((folder / f"{layer}.toml").read_bytes(), layer)[0] == layer


def test_every_argument_rule_exists() -> None:
    """A layer with a misspelt one would fail when a file asks for it."""
    rules = {
        allowance.arguments
        for table in layers().values()
        for allowance in table.values()
        if allowance.operations & PICKLE
    }
    assert rules <= CHECKS.keys() | {""}


def test_no_layer_permits_by_wildcard() -> None:
    """Each name is a name: none with a pattern in it."""
    for table in layers().values():
        for module, attribute in table:
            assert not set("*?[]$^ ") & set(module + attribute)


@pytest.mark.parametrize(("module", "attribute"), ACTING.values(), ids=ACTING.keys())
def test_what_acts_is_in_no_layer(module: str, attribute: str) -> None:
    """Classes that honest files hold, and that act when their state is set, or later."""
    assert default_policy().allowance(module, attribute) is None


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("gensim.models.word2vec", "Word2Vec"),
        ("gensim.models.ldamodel", "LdaModel"),
        ("nltk.tag.perceptron", "PerceptronTagger"),
        ("imblearn.over_sampling._smote.base", "SMOTE"),
        ("category_encoders.ordinal", "OrdinalEncoder"),
        ("hmmlearn.hmm", "GaussianHMM"),
        ("lifelines.fitters.kaplan_meier_fitter", "KaplanMeierFitter"),
        ("statsmodels.regression.linear_model", "OLS"),
        ("tables.Leaf", "Filters"),
        ("scipy.stats._kde", "gaussian_kde"),
        ("xgboost.sklearn", "XGBClassifier"),
    ],
)
def test_objects_are_made_without_their_constructor(module: str, attribute: str) -> None:
    """A constructor reads files, trains and calls what it is given: it gets no arguments."""
    report = scan(pickled(made(module, attribute, number=b"K\1")))
    assert report.verdict is Verdict.ALLOW_LISTED
    assert report.safe
    assert not scan(pickled(call(module, attribute, NONE, text("no-such-file")))).safe


@pytest.mark.parametrize(
    "maker",
    [
        ("pandas.core.indexes.interval", "_new_IntervalIndex"),
        ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"),
        ("pandas.core.indexes.period", "_new_PeriodIndex"),
        ("pandas.core.indexes.base", "_new_Index"),
    ],
)
def test_makers_of_an_index_are_given_a_class(maker: tuple[str, str]) -> None:
    """They call a method of their first argument: a record could bring any method along."""
    state = name("torch.storage", "_load_from_bytes")
    record = made("types", "SimpleNamespace", from_arrays=state)
    assert not scan(pickled(call(*maker, record, EMPTY_DICT))).safe
    listed = name("pandas.core.indexes.base", "Index")
    assert scan(pickled(call(*maker, listed, EMPTY_DICT))).safe


@pytest.mark.parametrize("maker", ["__generator_ctor", "__randomstate_ctor"])
def test_makers_of_random_generators_call_numpy_only(maker: str) -> None:
    """Their second argument is called with the first."""
    tool = name("torch.storage", "_load_from_bytes")
    assert not scan(pickled(call("numpy.random._pickle", maker, data(b"inert"), tool))).safe
    honest = name("numpy.random._pickle", "__bit_generator_ctor")
    assert scan(pickled(call("numpy.random._pickle", maker, text("PCG64"), honest))).safe


def test_distributions_run_no_template_but_their_own() -> None:
    """The template is executed when the state is set."""
    for attribute in ("norm_gen", "beta_gen"):
        state = made("scipy.stats._continuous_distns", attribute, _parse_arg_template=text("inert"))
        assert scan(pickled(state)).verdict is Verdict.DANGEROUS


def test_methods_that_objects_hold_are_named_not_called() -> None:
    """interp1d's state names one of its own methods."""
    module, method = "scipy.interpolate._interpolate", "interp1d._call_linear"
    assert scan(pickled(made(module, "interp1d", _call=name(module, method)))).safe
    assert not scan(pickled(call(module, method, NONE))).safe
    assert not scan(pickled(name(module, "interp1d.__init__.__globals__"))).safe
