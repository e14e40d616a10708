"""Says whether a migration was right by running the host before and after it; it knows nothing of how a tool works.

What a file tells must be what is new, or a person must be told of it and it goes on as it was. Nothing else may change.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import os
import re
import sys
import typing
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Protocol

import corpus_world
from corpus import Module, Placed
from corpus_shapes import doors

from ssot_engine.legacy.table import load_table
from ssot_engine.migrate.applying.apply import apply, rollback
from ssot_engine.migrate.findings import Finding
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.scanning.examine import Task
from ssot_engine.migrate.scanning.scan import Scanned, scan

#: Rules about uses of what is new.
_FITTING = ("missing_attribute", "wrong_arguments", "not_awaited")
_marks = re.compile("[‹›⟦⟧]")
#: `import oldapp.whole`, but not `import oldapp.whole as x`.
_binds_root = re.compile(r"\bimport (?:[\w.]+, )*oldapp(?:\.\w+)*(?! as|[\w.])")
#: Packages of the host, which each run loads anew.
HOST = frozenset({"oldapp", "newapp", "oldtop", "marks", "consumers"})


class Tool(Protocol):
    """What is judged."""

    def scan(self, host: Path) -> Scanned:
        """Look at the host."""
        ...

    def apply(self, host: Path, scanned: Scanned) -> Sequence[str]:
        """Change it; what was refused."""
        ...

    def rollback(self, host: Path) -> Sequence[str]:
        """Put it back; what was refused."""
        ...


class Ours:
    """The toolkit, called as a library."""

    def __init__(self, **options: object) -> None:
        self.options = options

    def scan(self, host: Path) -> Scanned:
        """Look at the host, in this process."""
        lookup = Lookup(load_table(host / "table.yaml"))
        task = Task(lookup=lookup, roots=(str(host),), **self.options)  # type: ignore[arg-type]
        return scan([host], task, processes=1)

    def apply(self, host: Path, scanned: Scanned) -> Sequence[str]:
        """Write the edits."""
        done = apply([host], scanned.examined, table=str(host / "table.yaml"))
        return [f"{one.path}: {one.reason}" for one in done.refused]

    def rollback(self, host: Path) -> Sequence[str]:
        """Undo the last apply."""
        return [f"{one.path}: {one.reason}" for one in rollback(host).refused]


@dataclass(frozen=True)
class Wrong:
    """A promise that was not kept: by which file and shape, and how."""

    what: str
    module: Module
    detail: str
    placed: Placed | None = None
    after: bytes = b""

    def __str__(self) -> str:
        names = f"{self.placed.name} (row {self.placed.row}) in {self.placed.wraps}" if self.placed else "-"
        head = f"{self.what}: {self.module.path}, {names}\n  {self.detail}"
        if not self.placed:
            return f"{head}\n--- before\n{_shown(self.module.raw)}--- after\n{_shown(self.after)}"
        lines = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", self.module.raw)
        before = _shown(b"".join(lines[self.placed.first - 1 : self.placed.last]))
        return f"{head}\n--- before\n{before}\n--- after (whole file)\n{_shown(self.after)}"


def _shown(raw: bytes) -> str:
    """To be read: every line has its end."""
    return "\n".join(raw.decode(errors="replace").splitlines()) + "\n"


# ------------------------------------------------------------------ running


@functools.lru_cache(maxsize=4096)
def _code(raw: bytes, path: str) -> Any:
    """A module's code: the world's own files are run many times over."""
    return compile(raw, path, "exec", dont_inherit=True)


def _code_of(_: object, raw: bytes, path: str, **options: object) -> Any:
    return _code(bytes(raw), os.fspath(path))


@contextlib.contextmanager
def _fresh(host: Path) -> Iterator[None]:
    """Modules of the host are loaded anew inside, and forgotten behind it."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] in HOST]:
            del sys.modules[name]
        # typing keeps `Optional["Engine"]` with what it once meant.
        for clean_up in typing._cleanups:  # type: ignore[attr-defined]
            clean_up()

    compiled = SourceFileLoader.source_to_code
    wrote, checking = sys.dont_write_bytecode, typing.TYPE_CHECKING
    SourceFileLoader.source_to_code = _code_of  # type: ignore[assignment]
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(host))
    typing.TYPE_CHECKING = True
    importlib.invalidate_caches()
    forget()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        forget()
        sys.path.remove(str(host))
        SourceFileLoader.source_to_code = compiled  # type: ignore[method-assign]
        sys.dont_write_bytecode = wrote
        typing.TYPE_CHECKING = checking


def run(host: Path, module: Module) -> dict[int, str] | str:
    """What a file tells by its keys; or why it could not run."""
    with _fresh(host):
        try:
            importlib.import_module(module.dotted)
        except BaseException as error:  # whatever a file raises is what is to be told of it
            at = error.__traceback__
            line = 0
            while at is not None:
                line = at.tb_lineno if at.tb_frame.f_code.co_filename.endswith(module.path) else line
                at = at.tb_next
            return f"line {line}: {type(error).__name__}: {error}"
        marks = sys.modules.get("marks")
        return {} if marks is None else dict(marks.seen)


def _compiles(raw: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(raw, "any", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


# ------------------------------------------------------------------ files


Snapshot = dict[str, tuple[str, int]]


def snapshot(host: Path) -> Snapshot:
    """sha256 and mode bits of every file by its path; hidden folders are not the host's."""
    found = {}
    for folder, folders, files in os.walk(host):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in files:
            path = Path(folder, name)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(host).as_posix()] = (digest, path.stat().st_mode)
    return found


def write(host: Path, modules: Sequence[Module]) -> None:
    """Write the host and its consumers; some of their modes are unusual."""
    corpus_world.build(host)
    for index, module in enumerate(modules):
        path = host / module.path
        for folder in reversed(path.relative_to(host).parents):
            (host / folder).mkdir(exist_ok=True)
            if folder.parts and not (host / folder / "__init__.py").exists():
                (host / folder / "__init__.py").write_bytes(b"")
        path.write_bytes(module.raw)
        path.chmod((0o644, 0o755, 0o600, 0o664)[index % 4])


def keeps(after: bytes, kept: Sequence[bytes]) -> bytes | None:
    """The first run of bytes that is not there any more in its turn; None if all are."""
    if len(kept) == 1:
        return None if after == kept[0] else kept[0]
    first, *middle, last = kept
    if not after.startswith(first):
        return first
    at = len(first)
    for one in middle:
        found = after.find(one, at)
        if found < 0:
            return one
        at = found + len(one)
    return None if after.endswith(last) and len(after) - len(last) >= at else last


def twice(after: bytes) -> list[str]:
    """Imports that stand twice in one function of a file."""
    found = []
    for function in ast.walk(ast.parse(after)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Try):
            names = Counter(
                (getattr(one, "module", None), getattr(one, "level", 0), alias.name, alias.asname)
                for one in ast.walk(function) if isinstance(one, ast.Import | ast.ImportFrom) for alias in one.names
            )  # fmt: skip
            found += [str(key) for key, count in names.items() if count > 1]
    return found


def falls_back_to_old(after: bytes) -> bool:
    """Whether a try imports what is old in one branch, and something in the other."""
    for one in ast.walk(ast.parse(after)):
        if isinstance(one, ast.Try) and one.handlers:
            branches = [one.body, [line for handler in one.handlers for line in handler.body]]
            names = [[line.module for line in lines if isinstance(line, ast.ImportFrom)] for lines in branches]
            if all(names) and any(module in doors() for branch in names for module in branch):
                return True
    return False


# ------------------------------------------------------------------ judging


def judge(host: Path, modules: Sequence[Module], tool: Tool, *, uses_stay: bool = True) -> list[Wrong]:
    """Migrate a host that holds these modules, and say what was wrong; `host` must not exist yet.

    Raises:
        AssertionError: the modules themselves do not tell what they should, before anything has changed.
    """
    write(host, modules)
    _prove(host, modules)
    return _Judge(host, modules, tool, uses_stay).judge()


def _prove(host: Path, modules: Sequence[Module]) -> None:
    for module in modules:
        if not module.is_sound:
            assert not _compiles(module.raw)
            continue
        told = run(host, module)
        assert not isinstance(told, str), f"{module.path} cannot run: {told}\n{module.raw.decode(errors='replace')}"
        expected = {probe.key: probe.before for placed in module.placed for probe in placed.piece.probes}
        assert expected == {key: told.get(key) for key in expected}, module.raw.decode(errors="replace")


class _Judge:
    """One migration of one host."""

    def __init__(self, host: Path, modules: Sequence[Module], tool: Tool, uses_stay: bool) -> None:
        self.host = host
        self.modules = modules
        self.tool = tool
        self.uses_stay = uses_stay
        self.wrong: list[Wrong] = []

    def judge(self) -> list[Wrong]:
        """All that is wrong."""
        before = snapshot(self.host)
        scanned = self.tool.scan(self.host)
        self._files("changed by a scan", before)
        self._problems(scanned)
        findings = self._by_path(scanned.findings)
        refused = self.tool.apply(self.host, scanned)
        if refused:
            self._add("refused to write", self.modules[0], "; ".join(refused))
        after = {module.path: (self.host / module.path).read_bytes() for module in self.modules}
        self._others(before)
        for module in self.modules:
            self._judge(module, after[module.path], findings.get(module.path, []))
        self._second(scanned)
        self._without_the_old(findings, after)
        refused = self.tool.rollback(self.host) if any(after[one.path] != one.raw for one in self.modules) else []
        if refused:
            self._add("refused to roll back", self.modules[0], "; ".join(refused))
        self._files("not as before after the rollback", before)
        return self.wrong

    def _add(self, what: str, module: Module, detail: str, placed: Placed | None = None) -> None:
        path = self.host / module.path
        self.wrong.append(Wrong(what, module, detail, placed, path.read_bytes() if path.exists() else b""))

    def _module(self, path: str) -> Module:
        return next((one for one in self.modules if one.path == path), Module(path, b"", (), ()))

    def _by_path(self, findings: Sequence[Finding]) -> dict[str, list[Finding]]:
        found: dict[str, list[Finding]] = {}
        for one in findings:
            found.setdefault(Path(one.path).resolve().relative_to(self.host.resolve()).as_posix(), []).append(one)
        return found

    def _files(self, what: str, before: Snapshot) -> None:
        now = snapshot(self.host)
        for path in sorted({*before, *now}):
            if before.get(path) != now.get(path):
                self._add(what, self._module(path), f"{before.get(path)} -> {now.get(path)}")

    def _others(self, before: Snapshot) -> None:
        """Old modules, the table and whatever else is there stay; and every file keeps its mode."""
        now = snapshot(self.host)
        own = {module.path for module in self.modules}
        for path in sorted({*before, *now}):
            old, new = before.get(path), now.get(path)
            if (old != new) if path not in own else (old is None or new is None or old[1] != new[1]):
                self._add("changed though it is no consumer, or in its mode", self._module(path), f"{old} -> {new}")

    def _problems(self, scanned: Scanned) -> None:
        told = {Path(one.path).resolve().relative_to(self.host.resolve()).as_posix() for one in scanned.problems}
        for module in self.modules:
            if module.is_sound == (module.path in told):
                reasons = [one.reason for one in scanned.problems if one.path.endswith(module.path)]
                self._add("told as a problem, or not told", module, f"is_sound={module.is_sound}, problems: {reasons}")

    # -------------------------------------------------------------- one module

    def _judge(self, module: Module, after: bytes, findings: list[Finding]) -> None:
        if not module.is_sound:
            if after != module.raw:
                self._add("changed though it cannot be parsed", module, "")
            return
        if not _compiles(after):
            self._add("does not parse any more", module, "")
            return
        self._bytes(module, after, any(one.by_hand for one in findings))
        self._told(module, findings)
        told = run(self.host, module)
        if isinstance(told, str):
            self._add("does not run any more", module, told, module.placed[0] if len(module.placed) == 1 else None)
            return
        for placed in module.placed:
            self._probes(module, placed, told, findings)

    def _bytes(self, module: Module, after: bytes, told: bool) -> None:
        lost = keeps(after, module.kept) if self.uses_stay else None
        if lost is not None:
            self._add("changed outside of what may change", module, repr(lost), _only(module))
        for comment in module.comments:
            if after.count(comment) != module.raw.count(comment):
                self._add("lost or repeated a comment", module, repr(comment), _only(module))
        for found in re.findall(rb"\b(\w+) as \1\b", after):
            if not re.search(rb"\b" + found + rb" as " + found + rb"\b", module.raw):
                self._add("calls a thing as it is called", module, repr(found), _only(module))
        if any(placed.piece.once for placed in module.placed):
            for one in twice(after):
                if one not in twice(module.raw):
                    self._add("imports a thing twice", module, one, _only(module))
            if falls_back_to_old(after) and not told:
                self._add("still tries what is old", module, "nobody is told", _only(module))

    def _told(self, module: Module, findings: list[Finding]) -> None:
        """Exactly what a person has to do is told, where it is, and by what it is called."""
        left = [one for one in findings if one.by_hand]
        for placed in module.placed:
            within = [one for one in findings if placed.first <= one.line <= placed.last]
            if _may_stay(module, placed):
                left = [one for one in left if one not in within]
                continue
            for (old, rules), (first, last) in zip(placed.piece.by_hand, placed.by_hand, strict=True):
                fits = [one for one in left if one.old == old and one.rule in rules and first <= one.line <= last]
                # A module that stays is told where it is imported, and where it is used.
                if len(fits) != 1 and not (fits and "scattered_module" in rules):
                    close = [(one.line, str(one.rule), one.old, one.todo) for one in within]
                    detail = f"{old} as {rules} in lines {first} to {last}, found {len(fits)} of {close}"
                    self._add("not told, or told twice", module, detail, placed)
                left = [one for one in left if one not in fits and not _goes_along(one, within, old)]
            changes = any(probe.before != probe.after for probe in placed.piece.probes) and not placed.piece.companions
            if changes and "‹" in placed.piece.text and not any(not one.by_hand for one in within):
                self._add("changed and not told", module, "no finding without todo", placed)
        for one in left:
            placed = next((one_of for one_of in module.placed if one_of.first <= one.line <= one_of.last), None)
            self._add("told without cause", module, f"line {one.line}: {one.rule} {one.old}: {one.todo}", placed)
        changed = (self.host / module.path).read_bytes() != module.raw
        if changed != any(not one.by_hand for one in findings):
            self._add("changed without a finding, or found without a change", module, str(findings), _only(module))

    def _probes(self, module: Module, placed: Placed, told: dict[int, str], findings: list[Finding]) -> None:
        is_told = any(one.by_hand and placed.first <= one.line <= placed.last for one in findings)
        for probe in placed.piece.probes:
            value = told.get(probe.key)
            if value == probe.after or (_may_stay(module, placed) and is_told and value == probe.before):
                continue
            detail = f"key {probe.key}: expected {probe.after}, got {value}, before {probe.before}; told: {is_told}"
            self._add("means something else", module, detail, placed)

    # -------------------------------------------------------------- the whole

    def _second(self, first: Scanned) -> None:
        """A second run finds only what a person has to do, and the same as the first."""
        second = self._by_path(self.tool.scan(self.host).findings)
        for path, findings in second.items():
            for one in findings:
                if not one.by_hand:
                    self._add("found again in a second run", self._module(path), str(one))
        before = {path: _kinds(found) for path, found in self._by_path(first.findings).items()}
        for path in sorted({*before, *second}):
            now = _kinds(second.get(path, []))
            if before.get(path, Counter()) != now:
                self._add("other things to do in a second run", self._module(path), f"{before.get(path)} -> {now}")

    def _without_the_old(self, findings: dict[str, list[Finding]], after: dict[str, bytes]) -> None:
        """Files in which nothing was left to a person run in a host that has no old module any more."""
        for path in corpus_world.OLD_FILES:
            (self.host / path).unlink()
        for module in self.modules:
            if module.is_sound and _compiles(after[module.path]) and not self._leans(module, findings):
                told = run(self.host, module)
                if isinstance(told, str):
                    self._add("does not run without the old modules", module, told, _only(module))
        for path in corpus_world.OLD_FILES:
            (self.host / path).write_text(corpus_world.FILES[path], encoding="utf-8")

    def _leans(self, module: Module, findings: dict[str, list[Finding]]) -> bool:
        """Whether something of it is left to a person, or of one of its companions."""
        own = {path for placed in module.placed for path, _ in placed.piece.companions}
        return any(one.by_hand for path in (module.path, *own) for one in findings.get(path, []))


def _only(module: Module) -> Placed | None:
    return module.placed[0] if len(module.placed) == 1 else None


def _goes_along(one: Finding, within: Sequence[Finding], old: str) -> bool:
    """Whether it tells of a module that stays imported, as something of it is left to a person."""
    return one in within and one.rule == "scattered_module" and old.startswith(f"{one.old}.")


def _may_stay(module: Module, placed: Placed) -> bool:
    """Whether a reference may also be left to a person: also where one name is bound by several imports of a file."""
    text = _marks.sub("", placed.piece.text)
    return placed.piece.either or (len(module.placed) > 1 and bool(_binds_root.search(text)))


def _kinds(findings: Sequence[Finding]) -> Counter[tuple[str, str, str]]:
    """What is left to a person, but for uses that do not fit: of those less is known once the import is new."""
    return Counter((str(one.rule), one.old, one.todo) for one in findings if one.by_hand and one.rule not in _FITTING)
