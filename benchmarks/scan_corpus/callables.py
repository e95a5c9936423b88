"""Importable names that a model file has no business to call, one ``module name`` a cell."""

_TABLE = """
builtins eval|builtins exec|builtins compile|builtins __import__|builtins open|builtins getattr
builtins setattr|builtins globals|builtins vars|builtins breakpoint|os popen|os execv|os spawnv
os remove|posix system|nt system|subprocess run|subprocess getoutput|pty spawn
multiprocessing.util spawnv_passfds|distutils.spawn spawn|setuptools._distutils.spawn spawn
asyncio run|runpy run_path|runpy run_module|code interact|code InteractiveInterpreter
marshal loads|types FunctionType|types CodeType|importlib import_module
importlib.util module_from_spec|pkgutil resolve_name|pydoc locate|pydoc pipepager|site addpackage
operator attrgetter|operator methodcaller|ctypes CDLL|_ctypes dlopen|cffi FFI
torch.ops load_library|torch.utils.cpp_extension load
torch.utils._config_module ConfigModule.load_config|torch.utils.collect_env run|torch.hub load
torch load|torch.serialization load|shelve open|dill loads|cloudpickle loads|numpy load
numpy.testing._private.utils runstring|numpy.f2py.crackfortran getlincoef|joblib load
pandas read_pickle|pandas eval|pandas.core.computation.eval eval|numexpr evaluate|sympy sympify
yaml unsafe_load|logging.config dictConfig|hydra.utils instantiate
transformers.dynamic_module_utils get_class_from_dynamic_module|pathlib Path.write_text
shutil rmtree|shutil copyfile|tempfile NamedTemporaryFile|sqlite3 connect|urllib.request urlopen
http.client HTTPConnection|smtplib SMTP|socket create_connection|requests get|webbrowser open
pip main|pip._internal main|ensurepip _run_pip|venv create|timeit timeit|profile run|cProfile run
pdb run|bdb Bdb.run|trace Trace.run|doctest debug_script|idlelib.run Executive.runcode
lib2to3.pgen2.pgen ParserGenerator.make_label|uuid _get_command_stdout|ssl get_server_certificate
imaplib IMAP4_stream|platform popen|webbrowser GenericBrowser
mlflow.projects.backend.local _run_entry_point|linecache getline|fileinput input|gc get_objects
sys settrace|signal alarm|threading Thread|concurrent.futures ThreadPoolExecutor|atexit register
nosuchpackage.tools run_model|__main__ Net|scipy.io loadmat|sklearn.externals.joblib load
sklearn.datasets load_files|numpy.ctypeslib load_library|numpy memmap|numpy fromfile|numpy savetxt
numpy.distutils.exec_command exec_command|torch save|torch from_file|torch FloatStorage.from_file
torch UntypedStorage.from_file|torch.jit load|torch.package PackageImporter
torch.fx.graph_module reduce_graph_module|torch.fx.graph_module _forward_from_src
torch.multiprocessing.reductions rebuild_storage_filename|torch._inductor.codecache compile_file
torch.nn.modules.module register_module_forward_hook|torch.nn Module.load_state_dict
torch.distributed.rpc.internal _run_function|torch.utils.data.datapipes.utils.decoder imagehandler
pandas.io.common get_handle|pandas.io.pickle read_pickle|pandas HDFStore
joblib.memory MemorizedFunc|joblib.externals.cloudpickle loads
joblib.externals.loky ProcessPoolExecutor|joblib.numpy_pickle load
sklearn.utils._testing TempMemmap|sklearn.utils.parallel _FuncWrapper
sklearn.utils.parallel Parallel|logging FileHandler|logging.handlers SocketHandler|zipfile ZipFile
tarfile open|gzip open|io FileIO|io open_code|_io FileIO|codecs open|dbm open|mmap mmap
xmlrpc.client ServerProxy|ftplib FTP|poplib POP3|tkinter Tk|readline read_init_file
resource setrlimit|faulthandler enable|pathlib Path.unlink|collections.abc Callable
functools lru_cache|functools cached_property|weakref finalize|contextlib ExitStack
typing get_type_hints|inspect getsource|ast literal_eval|string Formatter|random seed
datetime datetime.fromisoformat
"""

_UNLISTED = """
__main__ Net|ast literal_eval|collections.abc Callable|concurrent.futures ThreadPoolExecutor
contextlib ExitStack|faulthandler enable|functools cached_property|functools lru_cache
gc get_objects|inspect getsource|joblib.externals.loky ProcessPoolExecutor
joblib.memory MemorizedFunc|nosuchpackage.tools run_model|numpy fromfile|numpy savetxt
pandas HDFStore|random seed|resource setrlimit|scipy.io loadmat|signal alarm
sklearn.datasets load_files|sklearn.utils._testing TempMemmap|sklearn.utils.parallel Parallel
sklearn.utils.parallel _FuncWrapper|string Formatter|threading Thread|tkinter Tk|torch from_file
torch save|torch.nn.modules.module register_module_forward_hook
torch.utils.data.datapipes.utils.decoder imagehandler|typing get_type_hints
uuid _get_command_stdout|weakref finalize
"""


def _cells(table: str) -> list[str]:
    return [cell for cell in table.replace("\n", "|").split("|") if cell]


UNLISTED = frozenset(_cells(_UNLISTED))
"""Not harmless, but without a capability that a scanner must know by name: unknown is enough."""


def pairs() -> list[tuple[str, str]]:
    """Return all (module, name)."""
    return [(module, name) for module, _, name in (cell.partition(" ") for cell in _cells(_TABLE))]
