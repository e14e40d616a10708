"""Whether a call gives what its function takes."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ssot_engine.migrate.static.answers import Parameters


def wrong_arguments(call: ast.Call, takes: Parameters, *, instance_first: bool = False) -> str:
    """What is wrong with a call, "" if nothing is, or if `*` and `**` leave it open.

    `instance_first` if its first argument is the instance, as a method is called on the class itself.
    """
    given: Sequence[ast.expr] = call.args
    if instance_first and given and not isinstance(given[0], ast.Starred):
        given = given[1:]
    elif instance_first and not given:
        return "needs an instance"
    names = [one.arg for one in call.keywords if one.arg is not None]
    is_spread = any(isinstance(one, ast.Starred) for one in call.args) or len(names) < len(call.keywords)
    problems = [_unknown(names, takes)]
    if not is_spread:
        problems += [_too_many(given, takes), _twice(given, names, takes), _lacking(given, names, takes)]
    return " and ".join(filter(None, problems))


def _unknown(names: Sequence[str], takes: Parameters) -> str:
    known = {*takes.positional[takes.positional_only :], *takes.keyword_only}
    unknown = [] if takes.takes_more_keywords else [name for name in names if name not in known]
    return f"does not take {_listed(unknown)}" if unknown else ""


def _too_many(given: Sequence[ast.expr], takes: Parameters) -> str:
    most = len(takes.positional)
    if takes.takes_more or len(given) <= most:
        return ""
    return f"takes {most or 'no'} argument{'' if most == 1 else 's'} by position, not {len(given)}"


def _twice(given: Sequence[ast.expr], names: Sequence[str], takes: Parameters) -> str:
    by_position = takes.positional[takes.positional_only : len(given)]
    twice = [name for name in names if name in by_position]
    return f"is given {_listed(twice)} a second time" if twice else ""


def _lacking(given: Sequence[ast.expr], names: Sequence[str], takes: Parameters) -> str:
    by_position = takes.positional[: len(given)]
    lacking = [name for name in takes.required if name not in by_position and name not in names]
    return f"lacks {', '.join(lacking)}" if lacking else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{name}=" for name in names)


def shown(name: str, takes: Parameters) -> str:
    """The call as it can be made: `name(required, other=…)`."""
    parts = [_argument(one, takes) for one in takes.positional]
    if takes.positional_only:
        parts.insert(takes.positional_only, "/")
    if takes.takes_more or takes.keyword_only:
        parts.append("*more" if takes.takes_more else "*")
    parts += [_argument(one, takes) for one in takes.keyword_only]
    return f"{name}({', '.join([*parts, *(['**more'] if takes.takes_more_keywords else [])])})"


def _argument(name: str, takes: Parameters) -> str:
    return name if name in takes.required else f"{name}=…"
