"""What is found in a host's source: values, which mean the same in a process, in JSON and in SARIF."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Rule(StrEnum):
    """What kind of thing was found."""

    # ------------------------------------------------------------------ references to old names
    #: An import of an old module or name.
    IMPORT = "import"
    #: A use of an old name through its module: `old.module.Name`.
    USE = "use"
    #: A dotted name in a string: the target of a patch, an argument of `import_module`.
    STRING = "string"
    #: A dotted name in a YAML, TOML or INI file.
    CONFIG = "config"
    #: A star import of a module whose names went to several places.
    STAR_IMPORT = "star_import"
    #: A module whose names went to several places, used as one thing.
    SCATTERED_MODULE = "scattered_module"
    #: The table knows the module and says nothing of the name.
    UNKNOWN_NAME = "unknown_name"
    #: Nothing answers the old name any more.
    REMOVED = "removed"
    #: What answers the old name behaves differently.
    BEHAVIOUR_CHANGED = "behaviour_changed"
    #: Both branches of a try would import the same.
    DUPLICATE_BRANCH = "duplicate_branch"
    # ------------------------------------------------------------------ uses that the new name does not bear
    #: The new module does not bind the name that is patched or imported.
    UNBOUND_NAME = "unbound_name"
    #: The new class has no such attribute.
    MISSING_ATTRIBUTE = "missing_attribute"
    #: The new signature does not take the call's arguments.
    WRONG_ARGUMENTS = "wrong_arguments"
    #: A call of an async function which nobody awaits.
    NOT_AWAITED = "not_awaited"
    # ------------------------------------------------------------------ one source of truth
    #: An engine is constructed elsewhere than in the factory.
    ENGINE_OUTSIDE_FACTORY = "engine_outside_factory"
    #: A canonical name is defined a second time.
    DUPLICATE_DEFINITION = "duplicate_definition"
    #: A module keeps an engine, bridge, emitter or factory for all users.
    MODULE_SINGLETON = "module_singleton"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something at one place of one file. Without `todo` the tool makes the change itself."""

    #: As it was given or found below what was given; "/" between its parts.
    path: str
    #: From 1.
    line: int
    #: In characters, from 1.
    column: int
    rule: Rule
    #: The old dotted name, or what else was found.
    old: str
    #: The new dotted name, if there is one.
    new: str | None = None
    #: What a person has to change, in one sentence without a full stop; empty if the tool does it.
    todo: str = ""
    #: Why the change has the form it has, where one could wonder.
    note: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether a person has to make the change."""
        return bool(self.todo)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be examined or written; the others were."""

    path: str
    #: Why, and what to do about it.
    reason: str
    line: int | None = None


class LeftAlone(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder that is not looked at, and why."""

    path: str
    reason: str
    #: The old module that the file itself is, if it is one.
    module: str | None = None
