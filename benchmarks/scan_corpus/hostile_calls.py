"""Pickle streams: what is imported, called and changed."""

from collections.abc import Iterator

from .callables import UNLISTED, pairs
from .case import Case, grouped
from .opcodes import (
    APPEND,
    BUILD,
    ECHO,
    EMPTY_DICT,
    EMPTY_TUPLE,
    MARK,
    NEWOBJ,
    NEWOBJ_EX,
    NONE,
    PAYLOAD,
    POP,
    REDUCE,
    SETITEM,
    STOP,
    TUPLE1,
    blob,
    call,
    dict_of,
    list_of,
    named,
    number,
    persistent,
    pickled,
    proto,
    stacked,
    text,
    tuple_of,
)

_PLAIN = dict_of((text("epoch"), number(3)))


def effects() -> Iterator[Case]:
    """Effects without a plain call of a bad name, and calls of good names with bad arguments."""
    yield from grouped("pickle machine", "4.2, 4.5", _operations())
    yield from grouped("pickle machine", "4.2", _arguments())


def _operations() -> Iterator[Case]:
    """Effects without a plain call of a bad name."""
    yield Case(
        "import-only.pkl",
        pickled(named("antigravity", "__doc__")),
        dangerous=False,
        effect="imports a module, which runs it",
    )
    yield Case(
        "import-unknown.pkl",
        pickled(named("nosuchpackage.model", "Net")),
        dangerous=False,
        effect="imports a module, which runs it",
    )
    yield Case(
        "dotted-walk.pkl", pickled(stacked("pathlib", "os.system") + ECHO + TUPLE1 + REDUCE, 4)
    )
    yield Case(
        "dotted-collections.pkl", pickled(stacked("collections", "_sys.modules") + POP + _PLAIN, 4)
    )
    yield Case("dotted-global.pkl", proto(4) + named("collections", "abc.sys.exit") + STOP)
    yield Case("python2-commands.pkl", pickled(call(named("commands", "getoutput"), ECHO)))
    yield Case("python2-builtin.pkl", pickled(call(named("__builtin__", "eval"), text("1"))))
    yield Case("python2-cpickle.pkl", pickled(call(named("cPickle", "loads"), blob(b"N."))))
    yield Case(
        "python2-urllib2.pkl", pickled(call(named("urllib2", "urlopen"), text("about:blank")))
    )
    yield Case(
        "call-of-result.pkl",
        pickled(call(call(named("builtins", "getattr"), named("os", "sep"), text("upper")))),
    )
    yield Case(
        "call-of-object.pkl",
        pickled(call(call(named("collections", "OrderedDict")))),
        dangerous=False,
        effect="calls something computed",
    )
    yield Case(
        "getattr-chain.pkl",
        pickled(
            call(
                call(
                    named("builtins", "getattr"),
                    call(named("builtins", "__import__"), text("os")),
                    text("system"),
                ),
                ECHO,
            )
        ),
    )
    yield Case("newobj-popen.pkl", pickled(named("subprocess", "Popen") + tuple_of(ECHO) + NEWOBJ))
    yield Case(
        "newobj-ex.pkl",
        pickled(stacked("subprocess", "Popen") + tuple_of(ECHO) + EMPTY_DICT + NEWOBJ_EX, 4),
    )
    yield Case(
        "build-on-module.pkl",
        pickled(named("torch", "serialization") + dict_of((text("_flag"), number(1))) + BUILD),
        effect="changes a module",
    )
    yield Case(
        "build-on-class.pkl",
        pickled(
            named("collections", "OrderedDict")
            + dict_of((text("keys"), named("builtins", "print")))
            + BUILD
        ),
        effect="changes a class for everybody",
    )
    yield Case(
        "build-slots.pkl",
        pickled(
            named("collections", "Counter")
            + tuple_of(NONE, dict_of((text("update"), number(1))))
            + BUILD
        ),
        effect="changes a class for everybody",
    )
    yield Case(
        "setitem-environ.pkl",
        pickled(named("os", "environ") + text("INERT") + text("1") + SETITEM),
        effect="sets a variable",
    )
    yield Case(
        "setitem-modules.pkl",
        pickled(named("sys", "modules") + text("inert_module") + NONE + SETITEM),
        effect="replaces a module",
    )
    yield Case(
        "append-path.pkl",
        pickled(named("sys", "path") + text("/nonexistent") + APPEND),
        effect="extends the import path",
    )
    yield Case(
        "ext-register.pkl",
        pickled(
            call(named("copyreg", "add_extension"), text("os"), text("system"), number(77))
            + POP
            + b"\x82\x4d"
            + tuple_of(ECHO)
            + REDUCE
        ),
    )
    yield Case("ext-only.pkl", pickled(b"\x82\x4d" + EMPTY_TUPLE + REDUCE), dangerous=False)
    yield Case(
        "persistent-id.pkl",
        pickled(persistent(text("module"), text("x")) + EMPTY_TUPLE + REDUCE),
        dangerous=False,
        effect="calls what the loader's hook returns",
    )
    yield Case("persistent-line.pkl", b"Pos.system\n(S'echo inert'\ntR.", dangerous=False)
    yield Case("next-buffer.pkl", pickled(b"\x97", 5), dangerous=False, effect="needs more data")
    yield Case(
        "additems-on-object.pkl",
        pickled(named("os", "environ") + MARK + text("INERT") + b"\x90", 4),
        effect="calls a method",
    )


def _arguments() -> Iterator[Case]:
    """Names that are honest, with arguments that are not."""
    partial = call(named("functools", "partial"), named("os", "system"), ECHO)
    yield Case("partial.pkl", pickled(partial))
    yield Case(
        "defaultdict.pkl",
        pickled(call(named("collections", "defaultdict"), named("os", "getcwd"))),
        effect="a missing key calls the factory",
    )
    yield Case(
        "map.pkl",
        pickled(
            call(
                named("builtins", "list"),
                call(named("builtins", "map"), named("os", "system"), list_of(ECHO)),
            )
        ),
    )
    yield Case(
        "reduce.pkl",
        pickled(
            call(
                named("functools", "reduce"),
                named("operator", "add"),
                list_of(number(1), number(2)),
            )
        ),
    )
    yield Case(
        "sorted-key.pkl",
        pickled(call(named("builtins", "map"), named("builtins", "print"), list_of(ECHO))),
    )
    yield Case(
        "codec-zlib.pkl",
        pickled(call(named("_codecs", "decode"), blob(b"x"), text("zlib"))),
        effect="hides bytes",
        dangerous=False,
    )
    yield Case(
        "codec-hex.pkl",
        pickled(call(named("_codecs", "encode"), text("x"), text("rot13"))),
        effect="hides text",
        dangerous=False,
    )
    yield Case(
        "reconstructor.pkl",
        pickled(
            call(
                named("copyreg", "_reconstructor"),
                named("subprocess", "Popen"),
                named("builtins", "object"),
                NONE,
            )
        ),
    )
    yield Case(
        "reconstructor-base.pkl",
        pickled(
            call(
                named("copy_reg", "_reconstructor"),
                named("__builtin__", "object"),
                named("os", "getcwd"),
                NONE,
            )
        ),
    )
    yield Case(
        "bytearray-size.pkl",
        pickled(call(named("builtins", "bytearray"), number((1 << 31) - 1))),
        effect="allocates 2 GiB",
    )
    dtype = call(named("numpy", "dtype"), text("O8"), number(0), number(1))
    state = tuple_of(number(3), text("|"), NONE, NONE, NONE, number(-1), number(-1), number(0))
    yield Case(
        "dtype-flags.pkl",
        pickled(dtype + state + BUILD),
        effect="later bytes are taken for pointers",
    )
    yield Case(
        "reconstruct-shape.pkl",
        pickled(
            call(
                named("numpy.core.multiarray", "_reconstruct"),
                named("numpy", "ndarray"),
                tuple_of(number(1 << 30)),
                blob(b"b"),
            )
        ),
        effect="allocates a gigabyte",
    )
    yield Case("nested-loads.pkl", pickled(call(named("pickle", "loads"), blob(PAYLOAD))))
    yield Case(
        "nested-torch.pkl", pickled(call(named("torch.storage", "_load_from_bytes"), blob(PAYLOAD)))
    )
    yield Case(
        "nested-unused.pkl",
        pickled(dict_of((text("state"), blob(PAYLOAD)))),
        dangerous=False,
        effect="a pickle that the application may load later",
    )


def callables() -> Iterator[Case]:
    """Calls of functions that a list of bad names may or may not know, with an inert argument."""
    yield from grouped("dangerous callables", "2.4, 4.4", _calls())


def _calls() -> Iterator[Case]:
    for module, name in pairs():
        # Dotted names are walked from protocol 4 on only.
        target = stacked(module, name) if "." in name else named(module, name)
        body = target + tuple_of(text("inert-argument")) + REDUCE
        yield Case(
            f"{module}-{name}".replace(".", "_") + ".pkl",
            pickled(body, 4 if "." in name else 2),
            effect=f"calls {module}.{name}",
            dangerous=f"{module} {name}" not in UNLISTED,
        )
