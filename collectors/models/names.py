"""Which imports of a pickle are dangerous, which only build values. All others are unknown.

Both lists are of names: what a module re-exports under another name is unknown, not harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

COMPUTED = "?"  # a name put together while loading


@dataclass(frozen=True, slots=True)
class Name:
    """What a pickle imports: since protocol 4 the attribute may itself have dots."""

    module: str
    attribute: str

    def __str__(self) -> str:
        """Return it as Python writes it."""
        return f"{self.module}.{self.attribute}"


# Modules by which a pickle gets a shell, a file, a connection or more code.
_DANGEROUS = frozenset({
    "os", "posix", "nt", "subprocess", "_posixsubprocess", "sys", "socket", "_socket", "ssl",
    "shutil", "runpy", "importlib", "pty", "code", "codeop", "ctypes", "_ctypes", "multiprocessing",
    "asyncio", "http", "httplib", "urllib", "urllib2", "requests", "aiohttp", "httpx", "webbrowser",
    "pickle", "_pickle", "cPickle", "dill", "marshal", "types", "timeit", "cProfile", "profile",
    "pdb", "bdb", "trace", "doctest", "pydoc", "pip", "ensurepip", "venv", "site", "pkgutil",
    "zipimport", "signal", "threading", "_thread", "tempfile", "operator", "_operator", "inspect",
    "gc", "ftplib", "smtplib", "poplib", "imaplib", "telnetlib", "xmlrpc", "commands", "platform",
    "pathlib", "io", "_io", "fileinput", "linecache", "logging", "sqlite3", "mmap", "fcntl",
    "distutils", "setuptools", "idlelib", "lib2to3", "concurrent", "imp", "_frozen_importlib",
    "_frozen_importlib_external", "tarfile", "zipfile", "shelve", "dbm", "glob", "cffi", "nose",
    "IPython", "xonsh", "pexpect", "paramiko", "fabric", "invoke", "plumbum", "sh",
})  # fmt: skip
_BUILTIN_MODULES = frozenset({"builtins", "__builtin__"})
_DANGEROUS_BUILTINS = frozenset({
    "eval", "exec", "execfile", "compile", "open", "file", "__import__", "getattr", "setattr",
    "delattr", "breakpoint", "input", "globals", "locals", "vars", "apply", "help", "memoryview",
    "map", "filter", "exit", "quit",
})  # fmt: skip
# Members of libraries that loaders need, which load or compile code themselves.
_DANGEROUS_MEMBERS = (
    "torch.hub.*", "torch.load", "torch.serialization.*load*", "torch.storage._load_from_bytes",
    "torch.utils.cpp_extension.*",
    "torch.ops.load_library", "torch.classes.load_library", "torch._ops.*load_library*",
    "torch.utils.collect_env.*", "torch._inductor.*", "torch._dynamo.*", "torch.utils.bottleneck.*",
    "torch.distributed.rpc.*", "torch.package.*", "torch.jit.unsupported_tensor_ops.*",
    "torch.testing.*", "torch.utils.data.datapipes.*", "torch.fx.experimental.*",
    "numpy.testing.*", "numpy.f2py.*", "numpy.distutils.*", "numpy.load", "numpy.ctypeslib.*",
    "joblib.load", "joblib.numpy_pickle.load*", "cloudpickle.load*", "pandas.read_pickle",
    "pandas.io.*", "pandas.eval", "pandas.core.computation.*", "*joblib.load*",
    "numpy.save*", "numpy.fromfile", "numpy.loadtxt", "numpy.genfromtxt", "numpy.memmap",
    "numpy.lib.npyio.*", "numpy.lib._npyio_impl.*",
    "functools.reduce", "sklearn.utils._testing.*", "copy_reg.add_extension",
    "copyreg.add_extension", "*.cpp_extension.load*", "uuid._*", "keras.*load_model",
)  # fmt: skip
# What the usual savers of weights name; all of it builds values.
_HARMLESS = {
    "collections": ("OrderedDict", "defaultdict", "deque", "Counter"),
    "_codecs": ("encode",),
    "copyreg": ("_reconstructor",),
    "copy_reg": ("_reconstructor",),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "uuid": ("UUID",),
    "argparse": ("Namespace",),
    "builtins": ("set", "frozenset", "slice", "complex", "bytearray", "bytes", "list", "dict",
                 "tuple", "int", "float", "bool", "str", "range", "object"),
    "__builtin__": ("set", "frozenset", "slice", "complex", "bytearray", "list", "dict", "tuple",
                    "int", "long", "float", "bool", "str", "unicode", "object"),
    "torch._utils": ("_rebuild_tensor*", "_rebuild_parameter*", "_rebuild_sparse_tensor",
                     "_rebuild_qtensor", "_rebuild_meta_tensor_no_storage",
                     "_rebuild_device_tensor_from_numpy", "_rebuild_wrapper_subclass"),
    "torch._tensor": ("_rebuild_from_type_v2",),
    "torch": ("*Storage", "Size", "device", "bool", "int*", "uint*", "float*", "half", "double",
              "bfloat16", "complex*", "qint*", "quint*", "Tensor", "per_tensor_affine",
              "per_channel_affine", "strided", "sparse_coo"),
    "torch.storage": ("*Storage",),
    "torch.nn.parameter": ("Parameter", "Buffer"),
    "torch.jit._pickle": ("build_*list", "restore_type_tag"),
    "torch.nn.modules.*": ("[A-Z]*",),
    "torch.optim.*": ("[A-Z]*",),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.numeric": ("_frombuffer",),
    "numpy.random._pickle": ("__*_ctor",),
    "numpy.random.*": ("PCG64", "MT19937", "Philox", "SFC64", "SeedSequence", "__pyx_unpickle_*"),
    "numpy.dtypes": ("*DType",),
    "numpy.ma.core": ("_mareconstruct", "MaskedArray"),
    "numpy": ("ndarray", "dtype", "bool*", "int*", "uint*", "float*", "complex*", "str_", "bytes_",
              "matrix"),
    "joblib.numpy_pickle": ("NumpyArrayWrapper", "NDArrayWrapper"),
    "scipy.sparse.*": ("[a-z][a-z][a-z]_matrix", "[a-z][a-z][a-z]_array"),
    "sklearn.*": ("[A-Z]*", "__pyx_unpickle_*", "_*Binner*", "newObj"),
    "xgboost.*": ("XGB*", "Booster"),
    "lightgbm.*": ("LGBM*", "Booster"),
    "__torch__*": ("*",),
}  # fmt: skip


def is_dangerous(name: Name) -> bool:
    """Return whether no model needs this import."""
    if COMPUTED in {name.module, name.attribute}:
        return True  # no saver writes a name that has to be worked out first
    if name.module in _BUILTIN_MODULES and name.attribute in _DANGEROUS_BUILTINS:
        return True
    # "torch.serialization" + "os.system" walks from a harmless module into a dangerous one.
    parts = [name.module.partition(".")[0], *name.attribute.split(".")[:-1]]
    if any(part in _DANGEROUS for part in parts) or "__" in name.attribute.partition(".")[2]:
        return True
    return any(fnmatchcase(str(name), glob) for glob in _DANGEROUS_MEMBERS)


def is_harmless(name: Name) -> bool:
    """Return whether this import only builds values."""
    if "." in name.attribute or is_dangerous(name):
        return False
    return any(
        fnmatchcase(name.module, module) and any(fnmatchcase(name.attribute, g) for g in globs)
        for module, globs in _HARMLESS.items()
    )
