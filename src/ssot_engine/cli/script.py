"""A Python program run in this process, the way `python` runs it: as `__main__`, with its own arguments and status."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import runpy
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from ssot_engine.errors import ConfigError

#: The file name that a program without a file has in a traceback.
_NO_FILE = "<string>"
_INTERRUPTED = 130


def run_file(path: str, arguments: Sequence[str]) -> int:
    """Run a script; its exit status.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"the script {path!r} cannot be read: {error.strerror}; name a Python file") from error
    file = os.path.abspath(path)
    return _run(lambda: compile(source, file, "exec", dont_inherit=True), file, path, arguments)


def run_code(code: str, arguments: Sequence[str]) -> int:
    """Run a program given as text, which may use `await` outside functions; its exit status."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return _run(lambda: compile(code, _NO_FILE, "exec", flags, dont_inherit=True), _NO_FILE, "-c", arguments)


def run_module(module: str, arguments: Sequence[str]) -> int:
    """Run a module, or a package's `__main__`, found from the working directory on; its exit status.

    Raises:
        ConfigError: there is no such module.
    """
    if not sys.flags.safe_path:
        sys.path[0] = os.getcwd()
    if not _is_found(module):
        raise ConfigError(f"the module {module!r} is not found; name one that can be imported from here")
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        return _status(leaving.code)
    except BaseException as error:
        # As in `_run`; what runs the module is the interpreter's own and belongs to the traceback.
        sys.excepthook(type(error), error, error.__traceback__)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _is_found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _run(compiled: Callable[[], CodeType], file: str, name: str, arguments: Sequence[str]) -> int:
    main = _become_main(None if file == _NO_FILE else file)
    sys.argv = [name, *arguments]
    if not sys.flags.safe_path:
        sys.path[0] = "" if file == _NO_FILE else str(Path(file).resolve().parent)
    try:
        begun = eval(compiled(), vars(main))
        if inspect.iscoroutine(begun):
            asyncio.run(_awaited(begun))
    except SystemExit as leaving:
        return _status(leaving.code)
    except BaseException as error:
        # The program may raise anything; what it does not catch is told as the interpreter tells it.
        told = error.with_traceback(_from(error.__traceback__, file))
        sys.excepthook(type(told), told, told.__traceback__)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _become_main(file: str | None) -> ModuleType:
    """A fresh `__main__`: what the program defines is found there by pickle and by whoever imports it."""
    main = ModuleType("__main__")
    vars(main).update(__builtins__=sys.modules["builtins"], __annotations__={})
    if file is not None:
        vars(main).update(__file__=file, __cached__=None)
    sys.modules["__main__"] = main
    return main


async def _awaited(program: Coroutine[Any, Any, Any]) -> None:
    await program


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _from(trace: TracebackType | None, file: str) -> TracebackType | None:
    """The part of a traceback that begins with the program; None if the program did not begin."""
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    return trace
