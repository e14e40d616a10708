"""What a table of old names says: values, which a process that only reads source can load quickly."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What became of an old name."""

    #: The same object is elsewhere.
    MOVED = "moved"
    #: It is elsewhere, and is called otherwise.
    RENAMED = "renamed"
    #: Nothing answers it: importing it is refused, and says what to do instead.
    REMOVED = "removed"
    #: It is answered, and what answers behaves differently; the reason says how.
    BEHAVIOUR_CHANGED = "behaviour_changed"


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    reason: str
    #: Dotted name of what answers; for a removed one, what to do instead.
    replacement: str
    #: Versions of ssot-engine.
    since: str
    removed_in: str


class FormerName(_Entry, frozen=True, kw_only=True):
    """An old name of a module; one with * stands for every name of that form which is not listed."""

    module: str
    name: str

    @property
    def door(self) -> str:
        """Its whole old name."""
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def target(self) -> tuple[str, str]:
        """Module and name of what answers; of a removed one there is none."""
        module, _, name = self.replacement.rpartition(".")
        return module, name


class FormerModule(msgspec.Struct, frozen=True, kw_only=True):
    """An old module: `whole` if one thing became of all of it, else its `names`.

    A module moved whole is an alias: patching a name of it patches the replacement. One with names is not: patching an
    old name changes what importers of the old path see, and nothing else.
    """

    module: str
    whole: FormerName | None = None
    names: Mapping[str, FormerName] = {}
    #: Whether a file of that name in the host's own package is used instead.
    yields_to_host: bool = False


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Old modules by their names. `source` is where the table was read."""

    modules: Mapping[str, FormerModule]
    source: str
