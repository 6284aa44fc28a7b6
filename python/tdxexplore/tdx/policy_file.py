"""Policies and models in files of a user: importing a file, and running what it defines.

The file is code of somebody else in this process, so three things are kept apart from it:

* The standard output belongs to the result. What the file prints goes to the standard error.
* The end of the process is not the file's to decide. ``sys.exit()`` is a mistake in the file, with its line.
* The names of modules. The file imports its neighbours as a script does: the folder of the file comes before what is
  installed. While none of its code runs, its neighbours are not in ``sys.modules``, so that two folders can have modules
  of one name.

A file is imported again when it or one of its neighbours has changed. Contents are compared, and ``__pycache__`` is
neither read nor written: it tells two versions of a file apart by size and full seconds only.
"""

from __future__ import annotations

import inspect
import stat
import sys
import threading
import traceback
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import partial
from importlib.machinery import FileFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from tdxexplore.errors import BadModel, TdxExploreError, TimeIsUp, suggest
from tdxexplore.linux.state import Linux

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import CodeType, FunctionType

# Never taken from the folder of a file: a neighbour `json.py` must not become the `json` of the libraries in use.
RESERVED = sys.stdlib_module_names | {"tdxexplore"}

# sys.modules, sys.meta_path and sys.stdout belong to the whole process: one thread at a time changes them.
_ALONE = threading.RLock()


class _Source(SourceFileLoader):
    """Compiles what the file says now, and keeps it.

    Args:
        contents: Gets the content of each file that is imported.
    """

    def __init__(self, contents: dict[str, bytes], name: str, path: str) -> None:
        super().__init__(name, path)
        self.contents = contents

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        self.contents[path] = self.get_data(path)
        code: CodeType = self.source_to_code(self.contents[path], path)
        return code


class UserFile:
    """An imported file with its neighbours.

    Args:
        path: The file.
        name: Of its module, unlike that of any other.

    Attributes:
        module: The file as a module.
        contents: What the file and its neighbours said when they were imported, by path.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.contents: dict[str, bytes] = {}
        self._neighbours: dict[str, ModuleType] = {}
        spec = spec_from_file_location(name, path, loader=_Source(self.contents, name, str(path)))
        assert spec is not None
        assert spec.loader is not None
        self.module = module_from_spec(spec)
        # Stays there, unlike its neighbours: the modules `inspect` and `dataclasses` look for it.
        sys.modules[name] = self.module
        try:
            with self.running(), _blaming(path, f"file `{path}` does not import: "):
                spec.loader.exec_module(self.module)
        except BaseException:
            del sys.modules[name]
            raise

    def is_current(self) -> bool:
        """Whether the file and its neighbours still have the contents that were imported."""
        try:
            return all(Path(path).read_bytes() == content for path, content in self.contents.items())
        except OSError:
            return False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Code of the file may run: it finds its neighbours, and what it prints goes to the standard error."""
        with _ALONE, redirect_stdout(sys.stderr):
            others = self._take_out()
            sys.modules.update(self._neighbours)
            sys.meta_path.insert(0, self)
            try:
                yield
            finally:
                sys.meta_path.remove(self)
                self._neighbours = self._take_out()
                sys.modules.update(others)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """The module of this name in the folder, or in a package of it; called by ``import``."""
        folder = self.path.parent
        if name.partition(".")[0] in RESERVED:
            return None
        for place in [str(folder)] if path is None else path:
            if Path(place).is_relative_to(folder):
                source = cast("type[Loader]", partial(_Source, self.contents))
                spec = FileFinder(place, (source, [".py"])).find_spec(name)
                # A folder without `__init__.py` may share its name with a package that is installed.
                if spec is not None and spec.loader is not None:
                    return spec
        return None

    def _take_out(self) -> dict[str, ModuleType]:
        """Remove the modules from ``sys.modules`` whose names the folder claims, and return them."""
        folder = self.path.parent
        names = {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/__init__.py")}
        names -= RESERVED | {"__main__"}
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}


# By the name of the module, in the order of import. Earlier versions of a file stay: their classes may be in use.
_imported: dict[str, UserFile] = {}


def import_file(path: Path) -> ModuleType:
    """The module of a file, as the file and its neighbours are now.

    Raises:
        BadModel: It cannot be read or does not import.
    """
    _must_be_readable(path)
    path = path.resolve()
    with _ALONE:
        latest = next((file for file in reversed(_imported.values()) if file.path == path), None)
        if latest is None or not latest.is_current():
            latest = UserFile(path, f"tdxexplore_policy_{len(_imported)}")
            _imported[latest.module.__name__] = latest
        return latest.module


def module_of(code: type | FunctionType | ModuleType) -> str:
    """The name of the module that a class or a function is defined in, or that of the module."""
    return code.__name__ if isinstance(code, ModuleType) else code.__module__


def sources(home: str) -> dict[str, bytes] | None:
    """The contents of a file and of the neighbours that it has imported, by path; None of a module that is no such file."""
    file = _imported.get(home)
    return None if file is None else dict(file.contents)


@contextmanager
def running(code: type | FunctionType | ModuleType) -> Iterator[None]:
    """Code of a policy or a model runs; a mistake in a user's file is bad input, whatever Python calls it.

    Args:
        code: The class of the policy, the function of the model, or the file of either as a module.

    Raises:
        BadModel: Says the file, the line and the mistake. Errors in a built-in policy pass as they are.
    """
    home = module_of(code)
    if home.startswith("tdxexplore."):
        yield
        return
    path = Path(inspect.getfile(code))
    file = _imported.get(home)
    with file.running() if file else nullcontext(), _blaming(path, f"{path}: "):
        yield


def _must_be_readable(path: Path) -> None:
    if path.suffix != ".py":
        raise BadModel(f"file `{path}` is not a Python file; its name must end in `.py`")
    try:
        # A pipe would keep the reader waiting.
        if stat.S_ISREG(path.stat().st_mode):
            path.read_bytes()
            return
    except FileNotFoundError as error:
        raise BadModel(f"file `{path}` does not exist") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadModel(f"file {str(path)!r} cannot be read: {reason}") from error
    raise BadModel(f"file `{path}` is a folder or a device; name a file")


@contextmanager
def _blaming(path: Path, prefix: str) -> Iterator[None]:
    """Turns what goes wrong in a user's code into one line that says where; Ctrl-C and the limit on time are no mistakes."""
    try:
        yield
    except (KeyboardInterrupt, TimeIsUp):
        raise
    except BaseException as error:
        text = str(error) if isinstance(error, TdxExploreError) else _describe(error)
        raise BadModel(f"{prefix}{_where(error, path)}{text}") from error


def _where(error: BaseException, path: Path) -> str:
    """``line N: `` for the last line of the file, or of a neighbour by its name, that an error passed through."""
    places = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    for filename, line in reversed(places):
        inside = Path(filename).parent.resolve() == path.parent.resolve() and not filename.startswith("<")
        if inside and line is not None:
            same = Path(filename).name == path.name
            return f"line {line}: " if same else f"line {line} of `{Path(filename).name}`: "
    return ""


def _describe(error: BaseException) -> str:
    """An error in one line."""
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({'' if error.code is None else repr(error.code)}); the process is not its own"
    if isinstance(error, AttributeError) and isinstance(error.obj, Linux):
        return f"field `{error.name}` is not defined; {suggest(str(error.name), error.obj.names)}"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")
