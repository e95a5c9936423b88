"""PyTorch files: zip, legacy stream, tar, TorchScript, packages."""

import struct
from collections.abc import Iterator

from .archives import Member, zipped
from .case import Case, grouped, honest
from .opcodes import (
    BUILD,
    ECHO,
    HARMLESS,
    PAYLOAD,
    POP,
    REDUCE,
    SYSTEM,
    call,
    dict_of,
    named,
    number,
    old_blob,
    persistent,
    pickled,
    stacked,
    text,
    tuple_of,
)
from .torch_files import (
    MAGIC,
    SYSTEM_INFO,
    VERSION,
    WEIGHTS,
    legacy,
    old_tar,
    script_members,
    state_dict,
    storage,
    tensor,
    torch_members,
    torch_zip,
)

_ELF = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 3, 62, 1) + bytes(40)


def torch() -> Iterator[Case]:
    """Checkpoints."""
    yield from grouped("PyTorch", "5.1", _zips())
    yield from grouped("PyTorch", "5.1", _bounds())
    yield from grouped("PyTorch", "5.2", _legacy())
    yield from grouped("PyTorch", "5.3", _tars())
    yield from grouped("PyTorch", "5.4", _scripts())
    yield from grouped("PyTorch", "5", _alike())


def _zips() -> Iterator[Case]:
    yield Case("call.pt", torch_zip(pickled(SYSTEM)))
    yield Case("call-among-weights.pt", torch_zip(state_dict(None, (text("x"), SYSTEM))))
    yield Case("call-popped.pt", torch_zip(pickled(SYSTEM + POP + tensor())))
    yield Case(
        "call-protocol4.pt",
        torch_zip(pickled(stacked("os", "system") + tuple_of(ECHO) + REDUCE, 4)),
    )
    yield Case(
        "unlisted-class.pt",
        torch_zip(state_dict(call(named("nosuchpackage", "Net")))),
        dangerous=False,
    )
    yield Case(
        "hooks.pt",
        torch_zip(
            state_dict(
                call(
                    named("torch._utils", "_rebuild_parameter"),
                    tensor(),
                    b"\x88",
                    dict_of((number(0), named("os", "system"))),
                )
            ),
        ),
        effect="called in the backward pass",
    )
    yield Case(
        "rebuild-from-type.pt",
        torch_zip(
            state_dict(
                call(
                    named("torch._tensor", "_rebuild_from_type_v2"),
                    named("os", "system"),
                    named("torch", "Tensor"),
                    tuple_of(ECHO),
                    b"N",
                )
            )
        ),
    )
    yield Case(
        "load-from-bytes.pt",
        torch_zip(state_dict(call(named("torch.storage", "_load_from_bytes"), old_blob(PAYLOAD)))),
    )
    yield Case(
        "data-pkl-other-case.pt", torch_zip(None, Member("archive/DATA.PKL", pickled(SYSTEM)))
    )
    yield Case("second-data-pkl.pt", torch_zip(None, Member("archive/data.pkl", pickled(SYSTEM))))
    yield Case("other-folder.pt", zipped([Member("a/data.pkl", pickled(SYSTEM)), *torch_members()]))
    yield Case("pickle-before-zip.pt", zipped(torch_members(), prefix=legacy(data=pickled(SYSTEM))))
    yield Case(
        "pickle-in-storage.pt",
        zipped(
            [
                Member(
                    m.name,
                    PAYLOAD + bytes(-len(PAYLOAD) % 4) if m.name == "archive/data/0" else m.data,
                )
                for m in torch_members(
                    state_dict(tensor((2, 2), held=storage(numel=-(-len(PAYLOAD) // 4))))
                )
            ]
        ),
        dangerous=False,
        effect="a custom loader would read it",
    )
    yield Case(
        "native-in-storage.pt",
        zipped(
            [
                Member(m.name, _ELF if m.name == "archive/data/0" else m.data)
                for m in torch_members(state_dict(tensor(held=storage(numel=len(_ELF) // 4))))
            ]
        ),
        dangerous=False,
        effect="a native library in the place of weights",
    )
    yield Case("extra-member.pt", torch_zip(None, Member("archive/extra/hook.pkl", PAYLOAD)))
    yield Case(
        "source-member.pt",
        torch_zip(None, Member("archive/run.py", b"import os\nos.system('echo inert')\n")),
        dangerous=False,
        effect="code beside weights",
    )
    yield Case(
        "build-on-tensor-class.pt",
        torch_zip(
            pickled(
                named("torch", "Tensor")
                + dict_of((text("add"), named("builtins", "print")))
                + BUILD
            )
        ),
        effect="changes a class for everybody",
    )
    yield Case("call.bin", torch_zip(pickled(SYSTEM)))
    yield Case(
        "call-deflated.pt",
        zipped([Member("a/data.pkl", pickled(SYSTEM), 8), Member("a/version", b"3\n")]),
    )
    yield Case("broken-after-call.pt", torch_zip(pickled(SYSTEM)[:-1]))


def _bounds() -> Iterator[Case]:
    effect = "reads or writes memory beyond a storage"
    for name, value in {
        "shape-beyond": tensor((64, 64), (64, 1)),
        "offset-beyond": tensor(offset=1000),
        "negative-offset": tensor(offset=-1),
        "negative-stride": tensor((2, 2), (-2, 1)),
        "overflow": tensor((1 << 40, 1 << 40), (1 << 40, 1)),
        "numel-beyond-member": tensor(held=storage(numel=1 << 30)),
        "wrong-type": tensor(held=storage("DoubleStorage")),
        "no-such-member": tensor(held=storage(key="7")),
        "traversal-key": tensor(held=storage(key="../../version")),
    }.items():
        absent = name in {"no-such-member", "traversal-key"}
        yield Case(f"{name}.pt", torch_zip(state_dict(value)), effect, dangerous=not absent)
    yield Case(
        "expanded-bomb.pt",
        torch_zip(state_dict(tensor((1 << 20, 1 << 20), (0, 0)))),
        effect="a terabyte when it is copied",
        dangerous=False,
    )


def _legacy() -> Iterator[Case]:
    yield Case("magic.pth", legacy(magic=pickled(SYSTEM)))
    yield Case(
        "magic-computed.pth",
        legacy(magic=pickled(call(named("builtins", "int"), text("119547037146038801333356")))),
        dangerous=False,
    )
    yield Case("version.pth", legacy(version=pickled(SYSTEM)))
    yield Case("info.pth", legacy(info=pickled(SYSTEM)))
    yield Case("data.pth", legacy(data=pickled(SYSTEM)))
    yield Case("keys.pth", legacy(keys=pickled(SYSTEM)))
    yield Case("sixth.pth", legacy(tail=PAYLOAD))
    yield Case(
        "tail.pth",
        legacy(tail=b"unexplained bytes"),
        dangerous=False,
        effect="bytes that no loader explains",
    )
    yield Case("numel.pth", legacy(numel=1 << 40), effect="allocates what it declares")
    yield Case("negative-numel.pth", legacy(numel=-4), effect="reads beyond the file")
    yield Case(
        "module-source.pth",
        legacy(
            data=pickled(
                persistent(
                    text("module"),
                    named("nosuchpackage", "Net"),
                    text("net.py"),
                    text("print('inert')"),
                )
            )
        ),
        dangerous=False,
        effect="embedded source code",
    )
    yield Case("cut.pth", legacy(data=pickled(SYSTEM))[:-30])
    yield Case("bare.pth", PAYLOAD)


def _tars() -> Iterator[Case]:
    yield Case("tar-pickle.pt", old_tar(pickled(SYSTEM)))
    yield Case("tar-tensors.pt", old_tar(tensors=pickled(SYSTEM)))
    yield Case("tar-call.pth.tar", old_tar(pickled(SYSTEM)))


_NET = """class Net(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def forward(self: __torch__.Net,
    x: Tensor) -> Tensor:
    {}
    return torch.relu(x)
"""


def _scripts() -> Iterator[Case]:
    for name, line in {
        "save": "_0 = ops.aten.save(x, '/nonexistent/inert')",
        "from-file": "_0 = torch.from_file('/etc/hostname', False, 1)",
        "load-tensor": "_0 = ops.debugprims.load_tensor('/nonexistent')",
        "python-op": "_0 = ^nosuchpackage.run()(x)",
        "unknown-namespace": "_0 = ops.nosuchlibrary.run(x)",
        "custom-class": "_0 = __torch__.torch.classes.nosuchlibrary.Runner.__new__(x)",
    }.items():
        yield Case(
            f"script-{name}.pt",
            zipped(script_members(_NET.format(line))),
            effect="runs an operator that reaches outside",
            dangerous=name in {"save", "from-file", "load-tensor"},
        )
    yield Case("script-data.pt", zipped(script_members(_NET.format("pass"), data=pickled(SYSTEM))))
    yield Case(
        "script-debug.pt",
        zipped([*script_members(_NET.format("pass")), Member("net/code/x.py.debug_pkl", PAYLOAD)]),
    )
    yield Case(
        "script-constants.pt",
        zipped(
            [
                m if m.name != "net/constants.pkl" else Member(m.name, PAYLOAD)
                for m in script_members(_NET.format("pass"))
            ]
        ),
    )
    yield Case(
        "constants-redirect.pt",
        zipped(
            [
                *torch_members(),
                Member("archive/constants.pkl", pickled(tuple_of())),
                Member(
                    "archive/code/__torch__.py", _NET.format("_0 = ops.aten.save(x, 'i')").encode()
                ),
            ]
        ),
    )
    yield Case(
        "package.pt",
        zipped(
            [
                Member("package/.data/extern_modules", b"os\n"),
                Member("package/.data/version", b"6\n"),
                Member("package/.data/python_version", b"3.11.7"),
                Member("package/net.py", b"import os\nos.system('echo inert')\n"),
                Member("package/model/model.pkl", pickled(named("net", "Net") + b")\x81")),
            ]
        ),
        effect="embedded code",
    )
    yield Case(
        "compiled.pt2",
        zipped(
            [
                Member("archive/archive_format", b"pt2"),
                Member("archive/archive_version", b"0"),
                Member("archive/models/model.json", b"{}"),
                Member("archive/data/aotinductor/model/wrapper.so", _ELF),
            ]
        ),
        effect="loads native code",
    )
    yield Case(
        "pt2-weight.pt2",
        zipped(
            [
                Member("archive/archive_format", b"pt2"),
                Member("archive/models/model.json", b"{}"),
                Member("archive/data/constants/c0", torch_zip(pickled(SYSTEM))),
            ]
        ),
    )


def _alike() -> Iterator[Case]:
    yield honest("weights.pt", torch_zip())
    yield honest("weights.bin", torch_zip())
    yield honest("weights.pth", legacy())
    yield honest("expanded.pt", torch_zip(state_dict(tensor((3, 2), (0, 1)))))
    yield honest("scalar.pt", torch_zip(state_dict(tensor((), (), 3))))
    yield honest("empty.pt", torch_zip(state_dict(tensor((0, 2), (2, 1)))))
    yield honest("shared.pt", torch_zip(state_dict(None, (text("tied"), tensor()))))
    yield honest(
        "parameter.pt",
        torch_zip(
            state_dict(
                call(
                    named("torch._utils", "_rebuild_parameter"),
                    tensor(),
                    b"\x88",
                    call(named("collections", "OrderedDict")),
                )
            )
        ),
    )
    yield honest(
        "training.pt",
        torch_zip(
            state_dict(
                None, (text("epoch"), number(7)), (text("note"), text("eval('x'); os.system"))
            )
        ),
    )
    words = [
        Member(m.name, b"MZ\x90\0eval(\x80\2cos\n" if m.name == "archive/data/0" else m.data)
        for m in torch_members()
    ]
    assert len(b"MZ\x90\0eval(\x80\2cos\n") > len(WEIGHTS) - 4
    yield honest(
        "frightening-weights.pt",
        zipped(
            [
                Member(
                    m.name, m.data.ljust(16, b"x")[:16] if m.name == "archive/data/0" else m.data
                )
                for m in words
            ]
        ),
    )
    yield honest("script.pt", zipped(script_members(_NET.format("_0 = torch.add(x, x)"))))
    yield honest("old.pt", old_tar())
    yield honest("pieces.pth", MAGIC + VERSION + SYSTEM_INFO + HARMLESS + pickled(b"]"))
