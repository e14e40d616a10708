"""Which findings processes went through: the lines a census counted, put next to what the source says there."""

from __future__ import annotations

import ast
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from ssot_engine.legacy.census import Counting, Site, Tally
from ssot_engine.migrate.findings import Finding, Rule
from ssot_engine.migrate.scanning.scan import Scanned

#: Texts that code elsewhere may read and import by.
_READ_ELSEWHERE = (Rule.CONFIG, Rule.STRING)


class Hot(msgspec.Struct, frozen=True, kw_only=True):
    """A line that processes went through, and what the source says there."""

    path: str
    line: int
    door: str
    uses: int
    #: What was found there, or a text elsewhere from which the name may come; None if only the run showed it.
    finding: Finding | None


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What a census says of a tree. Without one there is no traffic, and nothing is cold."""

    #: The most used first.
    hot: tuple[Hot, ...] = ()
    #: Findings that no counted process can have gone through.
    cold: tuple[Finding, ...] = ()
    #: Sites in files that were not looked at, the most used first.
    outside: tuple[Site, ...] = ()
    #: Uses at lines that name something new by now.
    changed_since: int = 0


def traffic(scanned: Scanned, tally: Tally, root: Path, within: Sequence[Path] = ()) -> Traffic:
    """Join a census with what was found; `within` are the paths that were scanned, all of `root` if there are none."""
    return _Join(scanned, root, [_real(root, path) for path in within or [root]]).of(tally)


class _Join:
    """What was found, arranged for asking by file and line."""

    def __init__(self, scanned: Scanned, root: Path, within: Sequence[str]) -> None:
        self._root = root
        self._within = within
        self._findings = scanned.findings
        self._shown = {_real(root, one.path): one.path for one in scanned.examined}
        self._in_file: dict[str, list[Finding]] = defaultdict(list)
        for finding in scanned.findings:
            self._in_file[_real(root, finding.path)].append(finding)
        self._adopted = {_real(root, one.path): [line for _, line in one.adopted] for one in scanned.examined}
        self._statements: dict[str, Callable[[int], range]] = {}
        self._warm: set[int] = set()

    def of(self, tally: Tally) -> Traffic:
        """What this census says."""
        hot: dict[tuple[str, int, str], int] = defaultdict(int)
        outside, changed_since = [], 0
        for site in tally.sites:
            file = _real(self._root, site.file)
            # "<string>" is code that is in no file.
            if site.file.startswith("<") or not self._is_scanned(file):
                outside.append(site)
            elif self._is_changed(file, site):
                changed_since += site.count
            else:
                hot[file, site.line, site.door] += site.count
        every = sorted((self._hot(*place, uses) for place, uses in hot.items()), key=_order)
        texts = [one for one in self._findings if self._is_unexplained(one)]
        every = [self._explained(one, texts) for one in every]
        return Traffic(
            hot=tuple(every),
            cold=self._cold(tally),
            outside=tuple(outside),
            changed_since=changed_since,
        )

    def _is_scanned(self, file: str) -> bool:
        if file in self._shown:
            return True
        return any(file == path or file.startswith(path.rstrip(os.sep) + os.sep) for path in self._within)

    def _is_changed(self, file: str, site: Site) -> bool:
        """Whether the line names something new, and nothing old any more."""
        lines = self._statement(file, site.line)
        return self._near(file, lines, site.door) == [] and any(line in lines for line in self._adopted.get(file, ()))

    def _hot(self, file: str, line: int, door: str, uses: int) -> Hot:
        found = self._near(file, self._statement(file, line), door) or self._through(file, door)
        self._warm.update(id(one) for one in [*found, *self._through(file, door)])
        best = min(found, key=lambda one: (_distance(one, door), abs(one.line - line), one.column), default=None)
        return Hot(path=self._shown.get(file) or self._path(file), line=line, door=door, uses=uses, finding=best)

    def _is_unexplained(self, finding: Finding) -> bool:
        """Whether it is a text that some code elsewhere may read, and no target of a test's patch."""
        is_text = finding.rule in _READ_ELSEWHERE and id(finding) not in self._warm
        return is_text and not _is_test(self._path(_real(self._root, finding.path)))

    def _explained(self, hot: Hot, texts: Sequence[Finding]) -> Hot:
        """With the text the name comes from, if the line itself says nothing of it; configuration files count more."""
        named = [one for one in texts if _distance(one, hot.door) <= _BELOW] if hot.finding is None else []
        self._warm.update(id(one) for one in named)
        best = min(named, key=lambda one: one.rule is not Rule.CONFIG, default=hot.finding)
        return msgspec.structs.replace(hot, finding=best)

    def _near(self, file: str, lines: range, door: str) -> list[Finding]:
        """Findings of this door in the same statement."""
        return [one for one in self._in_file.get(file, ()) if one.line in lines and _distance(one, door) < _UNRELATED]

    def _through(self, file: str, door: str) -> list[Finding]:
        """The imports by which the file reaches a module whose name it uses."""
        return [one for one in self._in_file.get(file, ()) if _distance(one, door) == _ABOVE]

    def _cold(self, tally: Tally) -> tuple[Finding, ...]:
        # Of an alias only the first import of a process is seen: any of its lines may be used as well.
        unseen = {site.door for site in tally.sites if site.counting is Counting.FIRST_IMPORT}
        return tuple(
            one
            for one in self._findings
            if id(one) not in self._warm
            and one.rule is not Rule.CONFIG
            and not any(_distance(one, door) <= _BELOW for door in unseen)
        )

    def _statement(self, file: str, line: int) -> range:
        if file not in self._statements:
            self._statements[file] = _statements(file)
        return self._statements[file](line)

    def _path(self, file: str) -> str:
        return Path(os.path.relpath(file, _real(self._root, "."))).as_posix()


def _order(hot: Hot) -> tuple[int, str, int, str]:
    return -hot.uses, hot.path, hot.line, hot.door


def _is_test(path: str) -> bool:
    """Whether a file is one of tests, whose texts are targets of patches."""
    return any(part.startswith(("test", "conftest")) or part.endswith("_test.py") for part in path.split("/"))


#: How a finding relates to a door: it names it, something below it, or the module it is reached through.
_SAME, _BELOW, _ABOVE, _UNRELATED = range(4)


def _distance(finding: Finding, door: str) -> int:
    old = finding.old.removesuffix(".*")
    if old == door:
        return _SAME if finding.old == old else _BELOW
    if old.startswith(f"{door}."):
        return _BELOW
    return _ABOVE if door.startswith(f"{old}.") else _UNRELATED


def _real(root: Path, path: str | Path) -> str:
    return os.path.realpath(os.path.join(root, path))


def _statements(file: str) -> Callable[[int], range]:
    """For each line of a file the lines of the innermost statement it is in; of a block only its head."""
    known: dict[int, range] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return _one_line(known)
    ahead: list[ast.AST] = [tree]
    while ahead:
        node = ahead.pop()
        inner = list(_statements_in(node))
        ahead += inner
        if isinstance(node, ast.stmt):
            lines = _head(node, inner)
            known.update(dict.fromkeys(lines, lines))
    return _one_line(known)


def _one_line(known: Mapping[int, range]) -> Callable[[int], range]:
    return lambda line: known.get(line, range(line, line + 1))


def _statements_in(node: ast.AST) -> Iterable[ast.AST]:
    """The statements of a statement, and what else can have some."""
    return (one for one in ast.iter_child_nodes(node) if isinstance(one, (ast.stmt, ast.excepthandler, ast.match_case)))


def _head(node: ast.stmt, inner: Sequence[ast.AST]) -> range:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(one.lineno for one in decorators)])
    bodies = [_first_line(one) for one in inner]
    last = min(bodies) - 1 if bodies else (node.end_lineno or node.lineno)
    return range(first, max(first, last) + 1)


def _first_line(node: ast.AST) -> int:
    if isinstance(node, ast.match_case):
        return node.pattern.lineno
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([getattr(node, "lineno", 0), *(one.lineno for one in decorators)])
