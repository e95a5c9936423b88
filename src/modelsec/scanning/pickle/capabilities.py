"""What known modules can do: a sharper word than "unknown".

The allow list decides what is permitted; this table only says why something is dangerous. It
speaks of families (module prefixes and meanings), never of a list of known exploits.
"""

_CODE = "runs source or code objects"
_IMPORT = "imports or resolves names at will"
_PROCESS = "starts processes"
_NATIVE = "loads native code"
_PICKLE = "unpickles or deserialises further bytes"
_FACTORY = "calls factories named in configuration"
_FILE = "reads, writes or deletes files"
_NETWORK = "opens network connections"
_COMPOSE = "builds a callable out of others"
_DEFENCE = "changes the interpreter, its hooks or its limits"
_EMBEDDED = "rebuilds functions from embedded code"

_MODULES = {
    _CODE: """code codeop runpy marshal py_compile compileall timeit cProfile profile pdb bdb trace
        doctest lib2to3 idlelib pydoc_data test unittest IPython jupyter numexpr sympy asteval
        ast dis inspect opcode rlcompleter pyclbr symtable tokenize linecache site sitecustomize
        usercustomize this antigravity venv ensurepip pip setuptools distutils pkg_resources
        numpy.testing numpy.f2py numpy.distutils pytest _pytest nose torch.fx
        torch._dynamo torch._inductor torch.utils.bottleneck torch.utils.benchmark torch.testing
        torch.jit torch.package torch.onnx pandas.core.computation pandas.eval numba jinja2 mako""",
    _IMPORT: """importlib imp pkgutil zipimport pydoc modulefinder zipapp inspect types _imp
        _frozen_importlib _frozen_importlib_external gc weakref""",
    _PROCESS: """os posix nt subprocess _posixsubprocess pty multiprocessing concurrent asyncio
        commands popen2 _winapi msvcrt webbrowser platform sched signal resource psutil pexpect sh
        plumbum fabric invoke paramiko torch.utils.collect_env torch.distributed
        torch.multiprocessing mlflow ptyprocess cmd shlex curses readline tkinter turtle""",
    _NATIVE: """ctypes _ctypes cffi _cffi_backend torch.ops torch._ops torch.classes torch._C
        torch.utils.cpp_extension torch.cuda tensorflow cython pyximport numpy.ctypeslib mmap
        _ctypes_test
        llvmlite triton cupy winreg _winreg""",
    _PICKLE: """pickle _pickle cPickle shelve dbm dill cloudpickle jsonpickle yaml ruamel
        torch.serialization torch.hub transformers.dynamic_module_utils joblib.numpy_pickle
        pandas.io sklearn.externals.joblib numpy.lib.npyio numpy.lib.format numpy.lib._npyio_impl
        xmlrpc plistlib srsly klepto hickle""",
    _FACTORY: "logging hydra omegaconf pyhocon gin fire click typer nemo",
    _FILE: """io _io _pyio shutil tempfile glob fileinput sqlite3 _sqlite3 zipfile tarfile gzip bz2
        lzma zlib codecs csv netrc configparser mailbox posixpath ntpath genericpath fnmatch
        filecmp stat fcntl pwd grp spwd crypt syslog getpass datasets huggingface_hub fsspec
        pathlib.Path numpy.memmap numpy.lib._datasource h5py pyarrow PIL cv2 imageio""",
    _NETWORK: """socket _socket ssl _ssl urllib urllib2 urllib3 http httplib ftplib smtplib poplib
        imaplib nntplib telnetlib socketserver SocketServer xmlrpclib requests httpx aiohttp email
        wsgiref selectors select boto3 botocore google azure""",
    _DEFENCE: """sys builtins __builtin__ faulthandler atexit threading _thread thread warnings
        tracemalloc ctypes.util copyreg audit sysconfig locale""",
    _COMPOSE: "functools _functools operator _operator itertools",
    _EMBEDDED: "cloudpickle dill _dill loky.cloudpickle_wrapper joblib.externals",
}

_BUILTINS = {
    **dict.fromkeys(("eval", "exec", "compile", "execfile", "breakpoint"), _CODE),
    **dict.fromkeys(
        ("__import__", "globals", "locals", "vars", "dir", "getattr", "setattr", "delattr",
         "hasattr", "type", "classmethod", "staticmethod", "property", "super", "reload",
         "__build_class__"),
        _IMPORT,
    ),
    **dict.fromkeys(("open", "file", "input", "raw_input", "print", "help", "license",
                     "credits", "copyright", "exit", "quit"), _FILE),
    **dict.fromkeys(("map", "filter", "apply", "reduce", "sorted", "min", "max", "sum", "iter",
                     "next", "zip", "enumerate", "reversed", "any", "all", "callable", "format",
                     "memoryview", "__loader__", "__spec__"), _COMPOSE),
}  # fmt: skip

_NAMES = {
    ("numpy", "load"): _PICKLE,
    ("numpy", "fromfile"): _FILE,
    ("numpy", "loadtxt"): _FILE,
    ("numpy", "genfromtxt"): _FILE,
    ("numpy", "save"): _FILE,
    ("numpy", "savetxt"): _FILE,
    ("numpy", "savez"): _FILE,
    ("numpy", "memmap"): _FILE,
    ("numpy", "vectorize"): _COMPOSE,
    ("numpy", "apply_along_axis"): _COMPOSE,
    ("numpy", "apply_over_axes"): _COMPOSE,
    ("numpy", "piecewise"): _COMPOSE,
    ("numpy", "fromfunction"): _COMPOSE,
    ("numpy", "frompyfunc"): _COMPOSE,
    ("pandas", "read_pickle"): _PICKLE,
    ("pandas", "eval"): _CODE,
    ("torch", "load"): _PICKLE,
    ("torch", "save"): _FILE,
    ("torch", "compile"): _CODE,
    ("joblib", "load"): _PICKLE,
    ("joblib", "dump"): _FILE,
    ("joblib", "Parallel"): _PROCESS,
    ("joblib", "Memory"): _FILE,
    ("sklearn.utils", "Bunch"): "",
    ("collections", "namedtuple"): _CODE,
}

_SEMANTIC = {
    **dict.fromkeys(("system", "popen", "spawn", "check_output", "check_call", "call_command",
                     "getoutput", "getstatusoutput", "run_command", "execvp"), _PROCESS),
    **dict.fromkeys(("eval", "exec", "execfile", "compile", "run_code", "runcode", "runctx",
                     "run_module", "run_path", "exec_module", "safe_eval", "literal_eval"), _CODE),
    **dict.fromkeys(("import_module", "__import__", "load_module", "resolve_name", "locate",
                     "import_string", "import_from_string", "dynamic_import", "load_class",
                     "get_class_from_dynamic_module", "getattr", "__getattribute__",
                     "__subclasses__", "__globals__", "__builtins__"), _IMPORT),
    **dict.fromkeys(("loads", "unpickle", "load_pickle", "read_pickle", "unsafe_load"), _PICKLE),
    **dict.fromkeys(("load_library", "CDLL", "dlopen", "LoadLibrary", "cdll"), _NATIVE),
    **dict.fromkeys(("open", "urlopen", "urlretrieve", "urlcleanup", "unlink", "rmtree",
                     "write_text", "write_bytes", "read_text", "read_bytes", "makedirs"), _FILE),
}  # fmt: skip

_BY_MODULE = {
    module: capability for capability, modules in _MODULES.items() for module in modules.split()
}
_LONGEST_ENTRY = max(module.count(".") for module in _BY_MODULE) + 1


def capability(module: str, name: str) -> str:
    """Return what ``module:name`` is known to be able to do, or ""."""
    if module in ("builtins", "__builtin__"):
        return _BUILTINS.get(name.partition(".")[0], "")
    for key in ((module, name), (module, name.partition(".")[0])):
        if key in _NAMES:
            return _NAMES[key]
    # No entry has more pieces, and a hostile name may have a million.
    pieces = f"{module}.{name}".split(".", _LONGEST_ENTRY)[:_LONGEST_ENTRY]
    while pieces:
        found = _BY_MODULE.get(".".join(pieces))
        if found is not None:
            return found
        pieces.pop()
    return _SEMANTIC.get(name.rpartition(".")[2], "")


def embeds_code(module: str, name: str) -> bool:
    """Return whether this is how cloudpickle and dill rebuild functions, honest or not."""
    pieces = module.split(".")
    if "cloudpickle" in pieces or pieces[0] in ("dill", "_dill", "cloudpickle"):
        return True
    return (module, name) in {("types", "CodeType"), ("types", "FunctionType")}
