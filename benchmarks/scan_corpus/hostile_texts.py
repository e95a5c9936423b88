"""Templates, XML, YAML, JSON, R, msgpack, native code, and folders of a hub."""

import base64
import gzip
import json
import struct
from collections.abc import Iterator

from .archives import Member, tarred, zipped
from .case import Case, grouped, honest
from .opcodes import PAYLOAD, SYSTEM, pickled
from .templates import CHATML, TEMPLATES, TOOLS
from .torch_files import torch_zip
from .wire import msgpack_ext, rds, safetensors


def texts() -> Iterator[Case]:
    """All of them."""
    yield from grouped("chat templates", "7.3", _templates())
    yield from grouped("other formats", "7.9", _texts())
    yield from grouped("other formats", "7.9", _binaries())
    yield from grouped("Hub folders", "7.9", _hub())


def _templates() -> Iterator[Case]:
    effect = "runs code when the chat template is rendered"
    for name, template in TEMPLATES.items():
        yield Case(f"{name}.jinja", template.encode(), effect)
    walk = TEMPLATES["class-walk"]
    yield Case("tokenizer_config.json", json.dumps({"chat_template": walk}).encode(), effect)
    yield Case(
        "list/tokenizer_config.json",
        json.dumps(
            {
                "chat_template": [
                    {"name": "default", "template": CHATML},
                    {"name": "rag", "template": walk},
                ]
            }
        ).encode(),
        effect,
    )
    yield Case("chat_template.json", json.dumps({"chat_template": walk}).encode(), effect)
    yield Case("processor_config.json", json.dumps({"chat_template": walk}).encode(), effect)
    yield honest("chatml.jinja", CHATML.encode())
    yield honest("tools.jinja", TOOLS.encode())
    yield honest(
        "honest/tokenizer_config.json",
        json.dumps(
            {"chat_template": CHATML, "bos_token": "<s>", "model_max_length": 4096}
        ).encode(),
    )


_LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]><PMML>&b;</PMML>'
)


def _texts() -> Iterator[Case]:
    entity = '<?xml version="1.0"?><!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/hostname">]><PMML>&x;</PMML>'
    yield Case("entity.pmml", entity.encode(), "reads a file")
    yield Case(
        "entity-utf16.pmml",
        entity.replace('"1.0"', '"1.0" encoding="UTF-16"').encode("utf-16"),
        "reads a file",
    )
    yield Case("entities.xml", _LAUGHS.encode(), "expands without end")
    yield Case(
        "external-dtd.xml", b'<!DOCTYPE p SYSTEM "http://127.0.0.1:9/x.dtd"><p/>', "asks a server"
    )
    for name, line in {
        "block": "_target_: os.system\ncommand: echo inert",
        "flow": "{model: {_target_: os.system, command: echo inert}}",
        "quoted": '"_target_": "os.system"',
        "escaped": '"\\x5ftarget_": os.system',
        "anchor": "a: &a {_target_: os.system}\nb: *a",
        "merge": "base: &b\n  _target_: subprocess.Popen\nmodel:\n  <<: *b",
        "complex-key": "? _target_\n: os.system",
    }.items():
        yield Case(
            f"target-{name}.yaml",
            f"model:\n  name: x\n{line}\n".encode(),
            "calls what it names",
            dangerous=name not in {"escaped", "complex-key", "anchor", "merge"},
        )
    yield Case(
        "tag.yaml",
        b"model: !!python/object/apply:os.system ['echo inert']\n",
        "calls what it names",
    )
    yield Case(
        "tag-percent.yaml",
        b"%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!name:os.system ''\n",
        "calls what it names",
        dangerous=False,
    )
    nemo = [
        (b"model_config.yaml", b"encoder:\n  _target_: os.system\n"),
        (b"model_weights.ckpt", torch_zip()),
    ]
    yield Case("target.nemo", tarred(nemo), "calls what it names")
    yield Case("target-gz.nemo", gzip.compress(tarred(nemo), mtime=0), "calls what it names")
    yield Case(
        "weights.nemo",
        tarred(
            [
                (b"model_config.yaml", b"name: x\n"),
                (b"model_weights.ckpt", torch_zip(pickled(SYSTEM))),
            ]
        ),
    )
    yield Case(
        "deep.json",
        b"[" * 200_000 + b"]" * 200_000,
        "overflows the stack of whoever reads it",
        dangerous=False,
    )
    yield Case(
        "base64.json",
        json.dumps(
            {
                "data": {
                    ":type:": "<class 'function'>",
                    ":serialized:": base64.b64encode(PAYLOAD).decode(),
                }
            }
        ).encode(),
    )
    yield Case(
        "MLmodel",
        b"flavors:\n  python_function:\n    loader_module: nosuchpackage.loader\n    code: code\n",
        "imports a module",
        dangerous=False,
    )
    yield honest(
        "plain.pmml",
        b'<?xml version="1.0"?><PMML version="4.4"><Header/><DataDictionary/></PMML>\n',
    )
    yield honest(
        "plain.yaml", b"model:\n  name: x\n  layers: [1, 2]\n  note: 'os.system is a word'\n"
    )
    yield honest(
        "config.yaml", b"# comment\ntrainer: {max_epochs: 3, lr: 1.0e-4}\nlabels:\n- a\n- b\n"
    )


def _binaries() -> Iterator[Case]:
    yield Case("closure.rds", rds(0x403, 0xFE, 0xFE, 0xFE), "runs when it is used")
    yield Case("promise.rds", rds(0x05, 0xFE, 0x06), "runs when the value is read")
    yield Case("bytecode.rds", rds(0x15, 1, 0), "runs when it is used")
    yield Case(
        "promise.rds.gz",
        gzip.compress(rds(0x05, 0xFE, 0x06), mtime=0),
        "runs when the value is read",
    )
    yield Case("pickle-ext.msgpack", b"\x81\xa1w" + msgpack_ext(42, PAYLOAD), dangerous=False)
    yield Case(
        "numpy-object.msgpack",
        b"\x83\xa2nd\xc3\xa4kind\xa1O\xa4data" + b"\xc4" + bytes((len(PAYLOAD),)) + PAYLOAD,
    )
    elf = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 3, 62, 1) + bytes(40)
    for name, head in {
        "elf.pt": elf,
        "pe.onnx": b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(64),
        "macho.gguf": b"\xcf\xfa\xed\xfe" + bytes(64),
        "script.pth": b"#!/bin/sh\necho inert\n",
        "fat.bin": b"\xca\xfe\xba\xbe\0\0\0\1" + bytes(64),
    }.items():
        yield Case(name, head, "native code under the name of a model")
    yield Case(
        "llamafile.llamafile",
        b"MZqFpD='\n" + bytes(64) + zipped([Member("model.gguf", b"GGUF")]),
        "native code",
    )
    yield Case("empty.pt", b"", "nothing to load", dangerous=False)
    yield Case(
        "noise.bin",
        bytes((n * 97 + 13) & 255 for n in range(4000)),
        "unknown bytes",
        dangerous=False,
    )
    yield Case(
        "truncated.safetensors",
        safetensors({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})[:-5],
        "cut",
        dangerous=False,
    )
    baselines = {
        "policy_class": {
            ":type:": "<class 'abc.ABCMeta'>",
            ":serialized:": base64.b64encode(PAYLOAD).decode(),
        }
    }
    yield Case(
        "agent.zip",
        zipped([Member("data", json.dumps(baselines).encode()), Member("policy.pth", torch_zip())]),
    )
    yield honest("integers.rds", rds(0x0D, 3, 1, 2, 3))
    yield honest("map.msgpack", b"\x82\xa1a\x01\xa1b\x93\x01\x02\x03")


def _hub() -> Iterator[Case]:
    remote = {"auto_map": {"AutoModel": "modeling_net.Net"}, "model_type": "net"}
    yield Case(
        "auto_map/config.json",
        json.dumps(remote).encode(),
        "runs code from the folder",
        dangerous=False,
        beside=(("modeling_net.py", b"print('inert')\n"),),
    )
    yield Case(
        "tokenizer_auto_map/tokenizer_config.json",
        json.dumps({"auto_map": {"AutoTokenizer": ["x--m.T", None]}}).encode(),
        "runs code from another repository",
        dangerous=False,
    )
    yield Case(
        "custom_pipeline/config.json",
        json.dumps({"custom_pipelines": {"p": {"impl": "pipe.P"}}}).encode(),
        "runs code from the folder",
        dangerous=False,
    )
    yield Case(
        "modules.json",
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "nosuchpackage.Net"}]).encode(),
        "imports a module",
        dangerous=False,
    )
    yield Case(
        "model_index.json",
        json.dumps({"_class_name": "P", "unet": ["nosuchpackage", "Net"]}).encode(),
        "imports a module",
        dangerous=False,
    )
    yield Case(
        "adapter_config.json",
        json.dumps(
            {
                "peft_type": "LORA",
                "auto_mapping": {"base_model_class": "Net", "parent_library": "nosuchpackage"},
            }
        ).encode(),
        "imports a module",
        dangerous=False,
    )
    index = {"metadata": {}, "weight_map": {"w": "../../outside.safetensors"}}
    yield Case(
        "model.safetensors.index.json",
        json.dumps(index).encode(),
        "reads a file outside the folder",
        dangerous=False,
    )
    yield Case(
        "pickled.safetensors.index.json",
        json.dumps({"weight_map": {"w": "/etc/hostname"}}).encode(),
        "reads a file outside the folder",
        dangerous=False,
    )
    yield honest(
        "plain/config.json",
        json.dumps(
            {"model_type": "llama", "hidden_size": 64, "architectures": ["LlamaForCausalLM"]}
        ).encode(),
    )
    yield honest(
        "plain/tokenizer.json",
        json.dumps(
            {
                "version": "1.0",
                "model": {"type": "BPE", "vocab": {"os.system": 0, "__class__": 1}, "merges": []},
            }
        ).encode(),
    )
    yield honest(
        "plain/model.safetensors.index.json",
        json.dumps(
            {"metadata": {"total_size": 16}, "weight_map": {"w": "model-1.safetensors"}}
        ).encode(),
        beside=(
            (
                "model-1.safetensors",
                safetensors({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}),
            ),
        ),
    )
    yield honest(
        "plain/sentence/modules.json",
        json.dumps(
            [
                {
                    "idx": 0,
                    "name": "0",
                    "path": "",
                    "type": "sentence_transformers.models.Transformer",
                }
            ]
        ).encode(),
    )
    yield honest(
        "plain/adapter_config.json",
        json.dumps({"peft_type": "LORA", "r": 8, "auto_mapping": None}).encode(),
    )
