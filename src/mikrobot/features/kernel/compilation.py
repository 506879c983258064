"""Compile the composed source to machine code, with a cache shared by all processes.

The source is written to a file named by the catalog's version and a hash of the source. Numba caches
the compiled entry points next to it. A changed definition gets a new file, so a stale
compilation is never loaded. Files are written atomically, so processes may start at the same time; one
of them compiles, the others wait for it.
"""

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from filelock import FileLock
from numba import float64, from_dtype, int64, uint8

from mikrobot.domain.errors import StoreError
from mikrobot.features.kernel.bars import BAR, BAR_FIELDS, BOOK
from mikrobot.features.kernel.composition import Catalog

_STAMP = 1_600_000_000
"""Modification time of every source file, because numba's cache rejects a file with another time."""

_loaded: dict[str, ModuleType] = {}


def kernel(catalog: Catalog) -> ModuleType:
    """Load the compiled entry points of a catalog: ``update``, ``fold`` and ``enter``.

    ``enter`` is ``update`` without numba's type dispatch, which takes longer than passing the
    arguments. It too raises TypeError for an argument that is not a number.

    The first load of a catalog on a machine compiles for some seconds; a load from the cache
    takes a fraction of a second.

    Raises
    ------
    StoreError
        If the cache folder cannot be written.
    """
    name = f"mikrobot_kernel_{catalog.version}_{hashlib.sha256(catalog.source.encode()).hexdigest()[:8]}"
    if name not in _loaded:
        module = _import(name, _written(cache_folder() / f"{name}.py", catalog.source))
        module.enter = module.update  # type: ignore[attr-defined]
        if not isinstance(module.update, FunctionType):  # it is one under NUMBA_DISABLE_JIT
            with _compiling_alone(Path(str(module.__file__))):
                _compile(module, catalog)
        _loaded[name] = module
    return _loaded[name]


def cache_folder() -> Path:
    """Return the cache folder: ``MIKROBOT_CACHE``, or ``mikrobot/kernels`` in the user's cache folder."""
    if given := os.environ.get("MIKROBOT_CACHE"):
        return Path(given)
    user = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(user) / "mikrobot" / "kernels"


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # numba's cache finds it by name
    try:
        spec.loader.exec_module(module)
    except RuntimeError as error:  # numba raises it when it cannot write its cache
        raise _unwritable(path.parent, error) from error
    return module


def _compile(module: ModuleType, catalog: Catalog) -> None:
    """Compile now and for these types only, so that no later call compiles."""
    layouts = (catalog.state, BAR, catalog.lead, BOOK, catalog.row)
    states, bars, leads, books, rows = map(_array, layouts)
    module.STATE = catalog.state  # type: ignore[attr-defined]
    try:
        module.update.compile((uint8[::1], int64, int64, int64, *[float64] * (len(BAR_FIELDS) - 1)))
        module.fold.compile((states, int64, bars, leads, books, int64, int64[::1], rows))
    except OSError as error:
        raise _unwritable(Path(str(module.__file__)).parent, error) from error
    (compilation,) = module.update.overloads.values()
    module.enter = compilation.entry_point  # type: ignore[attr-defined]
    module.update.disable_compile()
    module.fold.disable_compile()


@contextmanager
def _compiling_alone(source: Path) -> Iterator[None]:
    """Lock other processes out of a compilation, which takes them a minute too; they then load it from the cache."""
    if any(source.parent.glob(f"__pycache__/{source.stem}.fold-*.nbi")):
        yield
        return
    lock = FileLock(source.with_suffix(".lock"))
    try:
        lock.acquire()
    except OSError as error:
        raise _unwritable(source.parent, error) from error
    try:
        yield
    finally:
        lock.release()


def _array(layout: Any) -> Any:
    return from_dtype(layout)[::1]


def _written(path: Path, source: str) -> Path:
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
            file.write(source)
        os.utime(file.name, (_STAMP, _STAMP))
        os.replace(file.name, path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    return path


def _unwritable(folder: Path, error: Exception) -> StoreError:
    return StoreError(f"cannot keep compiled features in {folder}: {error}; set MIKROBOT_CACHE to a writable folder")
