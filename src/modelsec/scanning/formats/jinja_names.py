"""What chat templates use: the functions, methods, filters and tests that are known.

Known means: it returns data made of its arguments. A name that is not listed is not dangerous, it
is unknown, because its meaning depends on who renders the template.
"""

FUNCTIONS = frozenset(
    {"range", "namespace", "dict", "raise_exception", "strftime_now", "caller", "loop", "zip"}
)

METHODS = frozenset(
    # of strings
    {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition"}
    | {"startswith", "endswith", "find", "rfind", "index", "count", "replace", "join", "format"}
    | {"upper", "lower", "title", "capitalize", "isdigit", "isnumeric", "isalpha", "isalnum"}
    | {"isspace", "isupper", "islower", "removeprefix", "removesuffix", "zfill", "ljust", "rjust"}
    | {"strftime", "isoformat"}
    # of dicts and lists
    | {"items", "keys", "values", "get", "append", "extend", "insert", "pop", "update", "copy"}
    | {"setdefault", "reverse", "sort", "remove", "clear"}
    # of a loop
    | {"cycle", "changed"}
)

FILTERS = frozenset(
    {"abs", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e", "escape"}
    | {"first", "float", "forceescape", "format", "from_json", "fromjson", "groupby", "indent"}
    | {"int", "items", "join", "last", "length", "list", "lower", "lstrip", "map", "max", "min"}
    | {"pprint", "random", "reject", "rejectattr", "replace", "reverse", "round", "rstrip", "safe"}
    | {"select", "selectattr", "slice", "sort", "split", "string", "striptags", "strip", "sum"}
    | {"title", "to_json", "tojson", "trim", "truncate", "unique", "upper", "urlencode"}
    | {"wordcount", "wordwrap"}
)

TESTS = frozenset(
    {"boolean", "callable", "defined", "divisibleby", "eq", "equalto", "escaped", "even", "false"}
    | {"filter", "float", "ge", "greaterthan", "gt", "in", "integer", "iterable", "le", "lessthan"}
    | {"lower", "lt", "mapping", "ne", "none", "number", "odd", "sameas", "sequence", "string"}
    | {"test", "true", "undefined", "upper"}
    # of a runtime in C++
    | {"contains", "startswith", "endswith", "match", "search"}
)

FORBIDDEN_NAMES = frozenset({"lipsum", "cycler", "joiner", "self"})
"""Global objects of Jinja whose attributes are functions of Python, with their globals."""

FORBIDDEN_ATTRIBUTES = frozenset(
    {"mro", "gi_frame", "gi_code", "gi_yieldfrom", "cr_frame", "cr_code", "cr_await", "cr_origin"}
    | {"ag_frame", "ag_code", "ag_await", "f_globals", "f_locals", "f_builtins", "f_back"}
    | {"f_code", "tb_frame", "tb_next", "func_globals", "func_code", "func_closure", "im_func"}
    | {"im_self", "im_class", "co_code", "co_consts"}
)
"""Attributes without an underscore that lead to classes, frames and code."""
