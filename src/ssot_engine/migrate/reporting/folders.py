"""The folders of a tree that tell most: as many as fit into a table, the fuller ones in more detail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

#: Folders that fit into a table.
MOST = 12
#: Of everything, what a folder must hold to be a line of its own, and to be told in its parts.
_WORTH_A_LINE = 0.01
_WORTH_PARTS = 0.1

_Parts = tuple[str, ...]
_Groups = dict[_Parts, list[str]]


def folders(weights: Mapping[str, int]) -> dict[str, str]:
    """For each file the folder it is counted to, given what each file weighs; what is too small goes one folder up."""
    if not weights:
        return {}
    files = {path: PurePosixPath(path).parent.parts for path in sorted(weights)}
    groups: _Groups = {_common(files.values()): list(files)}
    total = sum(weights.values())
    ahead = list(groups)
    while ahead:
        folder = max(ahead, key=lambda one: (_weight(groups[one], weights), one))
        ahead.remove(folder)
        if _weight(groups[folder], weights) >= total * _WORTH_PARTS:
            parts = _parts(folder, groups[folder], files)
            worth = _worth_most(parts, folder, weights, total * _WORTH_A_LINE, MOST - len(groups))
            told = {path for one in worth for path in parts[one]}
            rest = [path for path in groups.pop(folder) if path not in told]
            groups |= {one: parts[one] for one in worth}
            if rest:
                groups[folder] = rest
            ahead += worth
    return {path: "/".join(folder) or "." for folder, paths in groups.items() for path in paths}


def _parts(folder: _Parts, paths: Iterable[str], files: Mapping[str, _Parts]) -> _Groups:
    """A folder's files by the next folder, each as deep as all files of it are."""
    parts: _Groups = defaultdict(list)
    for path in paths:
        parts[files[path][: len(folder) + 1]].append(path)
    return {_common(files[path] for path in one): one for one in parts.values()}


def _worth_most(parts: _Groups, folder: _Parts, weights: Mapping[str, int], least: float, count: int) -> list[_Parts]:
    """The fullest folders below one, at most `count`."""
    worth = [one for one in parts if one != folder and 0 < _weight(parts[one], weights) >= least]
    return sorted(worth, key=lambda one: (-_weight(parts[one], weights), one))[: max(count, 0)]


def _common(every: Iterable[_Parts]) -> _Parts:
    first, *others = every
    for depth, part in enumerate(first):
        if any(one[depth : depth + 1] != (part,) for one in others):
            return first[:depth]
    return first


def _weight(paths: Iterable[str], weights: Mapping[str, int]) -> int:
    return sum(weights[path] for path in paths)
