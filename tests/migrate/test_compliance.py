"""One source of truth: what is constructed, defined or kept beside the canonical classes is found."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from old_code import OldCode, moved, removed

from ssot_engine.legacy.table import shipped_table
from ssot_engine.migrate.bindings import Bindings
from ssot_engine.migrate.draft import Draft
from ssot_engine.migrate.findings import Finding
from ssot_engine.migrate.lookup import Lookup
from ssot_engine.migrate.modules import place_of
from ssot_engine.migrate.source import Source
from ssot_engine.migrate.ssot.compliance import inspect, words

SHIPPED = Lookup(shipped_table())
HOST = "netra_backend/app/routes/agents.py"
SUPERVISOR = "netra_backend.app.agents.supervisor"
OLD_ENGINE = f"from {SUPERVISOR}.user_execution_engine import UserExecutionEngine"
OLD_FACTORY = f"from {SUPERVISOR}.execution_engine_factory import ExecutionEngineFactory"


def findings(code: str, path: str = HOST, lookup: Lookup = SHIPPED) -> list[Finding]:
    """What there is in a file of that path, by line."""
    raw = dedent(code).lstrip("\n").encode()
    source = Source(raw)
    draft = Draft(source, place_of(Path("/nowhere") / path, path), lookup, Bindings(source.tree))
    inspect(draft)
    return sorted(draft.findings, key=lambda one: (one.line, one.column))


def told(code: str, path: str = HOST, lookup: Lookup = SHIPPED) -> list[str]:
    """The same, each as its line, rule and name without the package all old ones are in."""
    return [
        f"{one.line} {one.rule.value} {one.old.removeprefix('netra_backend.app.')}"
        for one in findings(code, path, lookup)
    ]


# ------------------------------------------------------------------ engines outside the factory

ENGINES = {
    "by its canonical name": "from ssot_engine.engine import UserExecutionEngine\ne = f(UserExecutionEngine(c))",
    "from the package's face": "from ssot_engine import UserExecutionEngine\nf(UserExecutionEngine(c))",
    "by an old name": f"{OLD_ENGINE}\nf(UserExecutionEngine(c))",
    "under another name": f"{OLD_ENGINE} as Engine\nf(Engine(c))",
    "through an alias": f"{OLD_ENGINE}\nEngine = UserExecutionEngine; f(Engine(c))",
    "through its module": f"import {SUPERVISOR}.execution_engine\nf({SUPERVISOR}.execution_engine.ExecutionEngine(c))",
    "through a module's alias": f"import {SUPERVISOR}.execution_engine as m\nf(m.ExecutionEngine(c))",
    "through its package": f"from {SUPERVISOR} import execution_engine\nf(execution_engine.ExecutionEngine(c))",
    "relatively": "from ..agents.supervisor.execution_engine import ExecutionEngine\nf(ExecutionEngine(c))",
    "by a star import": f"from {SUPERVISOR}.execution_engine import *\nf(ExecutionEngine(c))",
    "of a class that was renamed": (
        f"from {SUPERVISOR}.request_scoped_execution_engine import RequestScopedExecutionEngine as R\nf(R(c))"
    ),
    "of a class that is gone": (
        f"from {SUPERVISOR}.execution_factory import IsolatedExecutionEngine\nf(IsolatedExecutionEngine(c))"
    ),
    "of one that advises no class": (
        f"from {SUPERVISOR}.mcp_execution_engine import MCPEnhancedExecutionEngine as M\nf(M(c))"
    ),
    "from another file of the host": "from netra_backend.tests.helpers import ExecutionEngine\nf(ExecutionEngine(c))",
    "from anywhere by a canonical name": "from conftest import UserExecutionEngine\nf(UserExecutionEngine(c))",
    "of a subclass": f"{OLD_ENGINE}\nclass Mine(UserExecutionEngine): pass\nf(Mine(c))",
    "in a function": f"{OLD_ENGINE}\ndef f():\n    return UserExecutionEngine(c)",
    "in a method that imports it": f"class A:\n  def f(self):\n    {OLD_ENGINE}\n    return UserExecutionEngine(c)",
    "in a lambda": f"{OLD_ENGINE}\nf(lambda c: UserExecutionEngine(c))",
    "in an f-string": f"{OLD_ENGINE}\nf'{{UserExecutionEngine(c)}}'",
    "in one branch of an import": (
        "try:\n    from other import E\nexcept ImportError:\n"
        f"    from {SUPERVISOR}.execution_engine import ExecutionEngine as E\nf(E(c))"
    ),
}


@pytest.mark.parametrize("code", ENGINES.values(), ids=ENGINES)
def test_an_engine_made_elsewhere_is_found(code: str) -> None:
    """A call of an engine class is found, whatever the file calls it, at its line."""
    line = max(number for number, text in enumerate(code.split("\n"), 1) if "(c)" in text)
    assert [(line, "engine_outside_factory")] == [(one.line, one.rule.value) for one in findings(code)]


def test_what_is_done_instead_is_said() -> None:
    """The finding names the class as it was imported, and the way to an engine."""
    (one,) = findings(f"{OLD_ENGINE} as E\nE(c)")
    assert f"{SUPERVISOR}.user_execution_engine.UserExecutionEngine" == one.old
    assert "get it from the factory: `async with factory.engine_for(context) as engine`" == one.todo
    assert one.by_hand


def test_a_relative_import_means_the_old_module() -> None:
    """A class that is imported relatively has the name the table knows, where that is among those it may have."""
    code = "from .execution_engine import ExecutionEngine\nExecutionEngine(c)"
    (one,) = findings(code, "netra_backend/app/agents/supervisor/other.py")
    assert f"{SUPERVISOR}.execution_engine.ExecutionEngine" == one.old


NO_ENGINES = {
    "another class of that name": "from great_expectations import ExecutionEngine\nf(ExecutionEngine(c))",
    "another module's": "import great_expectations as ge\nf(ge.ExecutionEngine(c))",
    "a near-miss": "from netra_backend.app.tools import ToolExecutionEngineConfig\nf(ToolExecutionEngineConfig(c))",
    "a parameter": f"{OLD_ENGINE}\ndef f(UserExecutionEngine): return UserExecutionEngine(c)",
    "a local name": f"{OLD_ENGINE}\ndef f():\n    UserExecutionEngine = g\n    return UserExecutionEngine(c)",
    "a class method": f"{OLD_ENGINE}\nf(UserExecutionEngine.create_from_legacy(c))",
    "a check": f"{OLD_ENGINE}\nassert isinstance(c, UserExecutionEngine)",
    "an annotation": f"{OLD_ENGINE}\ndef f(engine: UserExecutionEngine) -> UserExecutionEngine: ...",
    "an argument": f"{OLD_ENGINE}\nf = Mock(spec=UserExecutionEngine)",
    "a string": "f('UserExecutionEngine(c)')",
    "a configuration that is gone": (
        f"from {SUPERVISOR}.execution_factory import ExecutionFactoryConfig as C\nf(C(c))"
    ),
    "what never was an engine": (
        "from netra_backend.app.agents.execution_engine_interface import ExecutionEngineCapabilities as C\nf(C(c))"
    ),
}


@pytest.mark.parametrize("code", NO_ENGINES.values(), ids=NO_ENGINES)
def test_what_is_no_construction_is_not_found(code: str) -> None:
    """Other classes, shadowed names, and uses that construct nothing are let be."""
    assert [] == told(code)


def test_the_factory_makes_engines(old_names: Lookup) -> None:
    """The module of the canonical factory may construct engines; one that only calls itself so may not."""
    code = """
        from new.engine import UserExecutionEngine
        class ExecutionEngineFactory:
            def make(self, context): return UserExecutionEngine(context)
        """
    assert [] == told(code, "new/factory.py", old_names)
    assert [] == told(code, "new/factory/making.py", old_names)
    assert [
        "2 duplicate_definition ExecutionEngineFactory",
        "3 engine_outside_factory new.engine.UserExecutionEngine",
    ] == told(code, "new/other.py", old_names)


# ------------------------------------------------------------------ second definitions

DEFINITIONS = {
    "a class": "class ExecutionEngineFactory: ...",
    "a class with bases": "class UserExecutionEngine(Base): ...",
    "a function": "def get_execution_engine_factory(request): ...",
    "an async function": "async def create_request_scoped_engine(context): ...",
    "in a condition": "if sys.version_info > (3, 8):\n    class AgentRegistry: ...",
    "in a fallback": "try:\n    import x\nexcept ImportError:\n    class AgentWebSocketBridge: ...",
    "in a block": "with suppress(ImportError):\n    class UnifiedWebSocketEmitter: ...",
    "an alias": "UserExecutionContext = SomethingElse",
    "an alias of another one": (
        "from ssot_engine.legacy.execution import AgentExecutionContext as A\nAgentExecutionResult = A"
    ),
    "an alias with a type": "ExecutionEngineFactory: type = UnifiedExecutionEngineFactory",
    "an error": "class InvalidContextError(Exception): ...",
}


@pytest.mark.parametrize("code", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_second_definition_is_found(code: str) -> None:
    """A canonical name is defined once: any other definition of it at a module's level is found, tests' too."""
    for path in (HOST, "netra_backend/tests/fakes.py", "scripts/run.py"):
        (one,) = findings(code, path)
        assert "duplicate_definition" == one.rule.value
        assert one.new is not None
        name = one.new.rpartition(".")[2]
        assert (name, True) == (one.old, one.new.startswith("ssot_engine."))
        assert f"delete it, and import {name} from {one.new.rpartition('.')[0]}" == one.todo


NO_DEFINITIONS = {
    "an import": OLD_FACTORY,
    "a redirect": f"{OLD_FACTORY} as _Factory\nExecutionEngineFactory = _Factory",
    "a redirect to the new one": (
        "import ssot_engine.factory as _new\nExecutionEngineFactory = _new.ExecutionEngineFactory"
    ),
    "nothing": "try:\n    import x\nexcept ImportError:\n    UserExecutionEngine = None",
    "any type": "UserExecutionEngine = Any",
    "a mock": "UserExecutionContext = Mock()",
    "a fixture": "@pytest.fixture\ndef user_execution_engine(): ...",
    "a fixture with arguments": "@pytest_asyncio.fixture(scope='module')\nasync def user_execution_engine(): ...",
    "a method": "class A:\n    def get_execution_engine_factory(self): ...",
    "a class in a function": "def test_a():\n    class ExecutionEngineFactory: ...",
    "a near-miss": "class ExecutionEngineFactoryProtocol: ...\nclass MyUserExecutionContext: ...",
    "an old name in another module": "class ExecutionFactory: ...",
}


@pytest.mark.parametrize("code", NO_DEFINITIONS.values(), ids=NO_DEFINITIONS)
def test_what_defines_nothing_is_not_found(code: str) -> None:
    """Imports, redirects to the canonical class, fixtures and names that are not the module's are let be."""
    assert [] == told(code)


def test_an_old_class_in_its_old_module_is_a_second_one() -> None:
    """Old modules are inspected too: each engine and factory of theirs is one too many, by whatever name."""
    code = """
        class IsolatedExecutionEngine: ...
        class ExecutionFactory: ...
        class ExecutionFactoryConfig: ...
        class Other: ...
        """
    found = findings(code, "netra_backend/app/agents/supervisor/execution_factory.py")
    assert [
        (1, "ssot_engine.engine.UserExecutionEngine",
         "delete it once nothing imports it; ssot_engine.engine.UserExecutionEngine is there instead"),
        (2, "ssot_engine.factory.ExecutionEngineFactory",
         "delete it once nothing imports it; ssot_engine.factory.ExecutionEngineFactory is there instead"),
    ] == [(one.line, one.new, one.todo) for one in found]  # fmt: skip


def test_a_file_the_host_keeps_is_its_own() -> None:
    """In a module that the table leaves to the host, a definition is deleted now, not with the module."""
    code = "def get_execution_engine_factory(request): ..."
    (one,) = findings(code, "netra_backend/app/dependencies.py")
    assert "delete it, and import get_execution_engine_factory from ssot_engine.legacy.entry_points" == one.todo


# ------------------------------------------------------------------ singletons of modules

BRIDGE = "from netra_backend.app.services.agent_websocket_bridge import *"
SINGLETONS = {
    "a bridge": f"{BRIDGE}\nx = AgentWebSocketBridge()",
    "a bridge from its function": f"{BRIDGE}\nx = create_agent_websocket_bridge()",
    "a bridge from a class method": f"{BRIDGE}\nx = AgentWebSocketBridge.create_for_user(c)",
    "a factory": f"{OLD_FACTORY}\nx = ExecutionEngineFactory(websocket_bridge=None)",
    "a factory with a type": f"{OLD_FACTORY}\nx: ExecutionEngineFactory = ExecutionEngineFactory()",
    "an emitter": "from ssot_engine.emitter import UnifiedWebSocketEmitter as E\nx = E(manager, 'u')",
    "a class that took over a whole module": (
        "import netra_backend.app.websocket.agent_websocket_bridge as m\nx = m.AgentWebSocketBridge()"
    ),
    "a place for a factory": f"{OLD_FACTORY}\nx: Optional[ExecutionEngineFactory] = None",
    "a place in quotes": f"{OLD_FACTORY}\nx: 'ExecutionEngineFactory | None' = None",
    "a place for one of two": f"{OLD_FACTORY}\nx: Union[None, 'ExecutionEngineFactory'] = None",
    "a place for many": f"{OLD_ENGINE}\nx: dict[str, UserExecutionEngine] = {{}}",
    "a place that is only declared": f"{OLD_FACTORY}\nx: ExecutionEngineFactory",
    "one of two names": f"{BRIDGE}\ny, x = 1, AgentWebSocketBridge()",
    "one of a list": f"{BRIDGE}\nx = [AgentWebSocketBridge()]",
    "one of a dictionary": f"{BRIDGE}\nx = {{'a': AgentWebSocketBridge()}}",
    "one or the other": f"{BRIDGE}\nx = AgentWebSocketBridge() if c else None",
    "one by default": f"{BRIDGE}\nx = c or AgentWebSocketBridge()",
    "in a block": f"{BRIDGE}\ntry:\n    x = AgentWebSocketBridge()\nexcept ValueError: pass",
    "in a class": f"{BRIDGE}\nclass A:\n    x = AgentWebSocketBridge()",
    "a place in a class for all": f"{OLD_FACTORY}\nclass A:\n    x: ClassVar[Optional[ExecutionEngineFactory]] = None",
    "by a function": f"{OLD_FACTORY}\nx = None\ndef f():\n    global x\n    x = ExecutionEngineFactory()",
    "by a function that waits": (
        f"from {SUPERVISOR}.execution_engine_factory import get_execution_engine_factory as g\n"
        "async def f():\n    global x\n    x = await g()"
    ),
    "by a function once": f"{BRIDGE}\n@lru_cache(maxsize=1)\ndef x():\n    return AgentWebSocketBridge()",
    "by an async function once": f"{BRIDGE}\n@functools.cache\nasync def x():\n    return AgentWebSocketBridge()",
}


@pytest.mark.parametrize("code", SINGLETONS.values(), ids=SINGLETONS)
def test_what_a_module_keeps_is_found(code: str) -> None:
    """A name of a module or a class that holds an engine, bridge, emitter or factory is found, once."""
    kept = [one for one in findings(code) if one.rule.value == "module_singleton"]
    name = "A.x" if "class A" in code else "x"
    assert [name] == [one.old for one in kept]
    assert kept[0].by_hand


NO_SINGLETONS = {
    "in a function": f"{BRIDGE}\ndef f():\n    x = AgentWebSocketBridge()",
    "of an object": f"{BRIDGE}\nclass A:\n    def f(self):\n        self.x = AgentWebSocketBridge()",
    "a field": f"{OLD_FACTORY}\n@dataclass\nclass A:\n    x: Optional[ExecutionEngineFactory] = None",
    "a class": f"{OLD_FACTORY}\nx: type[ExecutionEngineFactory] = ExecutionEngineFactory",
    "a function's type": f"{OLD_FACTORY}\nx: Callable[[], ExecutionEngineFactory] = f",
    "one for each context": f"{OLD_FACTORY}\nx: ContextVar[ExecutionEngineFactory] = ContextVar('x')",
    "the registry": f"from {SUPERVISOR}.agent_registry import AgentRegistry\nx = AgentRegistry()",
    "a context": (
        "from netra_backend.app.services.user_execution_context import UserExecutionContext\nx = UserExecutionContext()"
    ),
    "a question to the class": f"{BRIDGE}\nx = AgentWebSocketBridge.is_ready()",
    "a name of its own": f"{BRIDGE}\nx = None\ndef f():\n    x = AgentWebSocketBridge()",
    "a script's": f"{BRIDGE}\nif __name__ == '__main__':\n    x = AgentWebSocketBridge()",
    "text in quotes": "x: 'no type at all' = None",
    "made at every call": f"{BRIDGE}\n@trace\ndef x():\n    return AgentWebSocketBridge()",
}


@pytest.mark.parametrize("code", NO_SINGLETONS.values(), ids=NO_SINGLETONS)
def test_what_no_module_keeps_is_not_found(code: str) -> None:
    """What belongs to a call, an object, a context or a script's run is let be, and so is the registry."""
    assert [] == told(code)


def test_what_to_do_depends_on_what_is_kept() -> None:
    """Each role has its own way out."""
    code = f"{BRIDGE}\n{OLD_FACTORY}\n{OLD_ENGINE}\na = AgentWebSocketBridge()\nb = ExecutionEngineFactory()\n"
    found = findings(code + "c: UserExecutionEngine")
    assert [
        "keep none for all users: each engine has its own, `engine.websocket_bridge`",
        "keep none in the module: the container in use has it, `container.engine_factory()`",
        "get it from the factory: `async with factory.engine_for(context) as engine`",
    ] == [one.todo for one in found]


# ------------------------------------------------------------------ the original

ORIGINAL = {
    "netra_backend/app/agents/supervisor/execution_engine_factory.py": """
        from netra_backend.app.agents.supervisor.user_execution_engine import UserExecutionEngine
        class ExecutionEngineFactory:
            async def create_for_user(self, context):
                return UserExecutionEngine(context, self.agent_factory, self.emitter)
        _factory_instance: Optional[ExecutionEngineFactory] = None
        async def get_execution_engine_factory():
            return _factory_instance
        async def configure_execution_engine_factory(websocket_bridge):
            global _factory_instance
            _factory_instance = ExecutionEngineFactory(websocket_bridge)
        """,
    "netra_backend/app/agents/execution_engine_unified_factory.py": """
        from netra_backend.app.agents.supervisor.execution_engine_factory import get_execution_engine_factory
        class UnifiedExecutionEngineFactory:
            @classmethod
            async def create_engine(cls, config=None): ...
        class ExecutionEngineFactory(UnifiedExecutionEngineFactory): ...
        """,
    "netra_backend/app/agents/supervisor/execution_factory.py": """
        class ExecutionEngineFactory:
            async def create_execution_engine(self, user_context):
                return IsolatedExecutionEngine(user_context)
        class IsolatedExecutionEngine: ...
        _execution_engine_factory: Optional[ExecutionEngineFactory] = None
        def get_execution_engine_factory():
            global _execution_engine_factory
            if _execution_engine_factory is None:
                _execution_engine_factory = ExecutionEngineFactory()
            return _execution_engine_factory
        """,
    "netra_backend/app/core/managers/execution_engine_factory.py": """
        try:
            from netra_backend.app.agents.execution_engine_unified_factory import ExecutionEngineFactory
        except ImportError:
            class ExecutionEngineFactory:
                async def create_engine(self): raise NotImplementedError
        """,
    "netra_backend/app/agents/supervisor/user_execution_engine.py": """
        class UserExecutionEngine:
            @classmethod
            async def create_from_legacy(cls, registry, websocket_bridge):
                return cls(context, factory, emitter)
        """,
}


def test_the_originals_own_chaos_is_found() -> None:
    """The code base the table is for had five factories, two engines and two singletons; all are violations."""
    every = {path.removeprefix("netra_backend/app/"): findings(code, path) for path, code in ORIGINAL.items()}

    def names(rule: str) -> list[tuple[str, str]]:
        return [(path, one.old) for path, found in every.items() for one in found if one.rule.value == rule]

    assert [
        ("agents/supervisor/execution_engine_factory.py", f"{SUPERVISOR}.user_execution_engine.UserExecutionEngine"),
        ("agents/supervisor/execution_factory.py", "IsolatedExecutionEngine"),
    ] == names("engine_outside_factory")
    assert [
        ("agents/supervisor/execution_engine_factory.py", "_factory_instance"),
        ("agents/supervisor/execution_factory.py", "_execution_engine_factory"),
    ] == names("module_singleton")
    assert [
        ("agents/supervisor/execution_engine_factory.py", "ExecutionEngineFactory"),
        ("agents/execution_engine_unified_factory.py", "UnifiedExecutionEngineFactory"),
        ("agents/execution_engine_unified_factory.py", "ExecutionEngineFactory"),
        ("agents/supervisor/execution_factory.py", "ExecutionEngineFactory"),
        ("agents/supervisor/execution_factory.py", "IsolatedExecutionEngine"),
        ("core/managers/execution_engine_factory.py", "ExecutionEngineFactory"),
        ("agents/supervisor/user_execution_engine.py", "UserExecutionEngine"),
    ] == [(path, name) for path, name in names("duplicate_definition") if name[0].isupper()]


# ------------------------------------------------------------------ a host's own table


@pytest.fixture
def old_names(tmp_path: Path) -> Lookup:
    """A table whose new modules are the host's own."""
    table = OldCode(tmp_path).table({
        "old.engine": {"names": {
            "FastEngine": moved("new.engine.UserExecutionEngine"),
            "SlowEngine": removed("use new.engine.UserExecutionEngine"),
            "Gone": removed("delete it"),
        }},
        "old.other": {"names": {"SlowEngine": removed("it drives nothing"), "*ExecutionEngine": removed("none")}},
        "old.factory": {"names": {"ExecutionEngineFactory": moved("new.factory.ExecutionEngineFactory")}},
        "old.bridge": moved("new.bridge"),
    })  # fmt: skip
    return Lookup(table)


def test_a_hosts_own_table_has_the_same_roles(old_names: Lookup) -> None:
    """Classes that come from the host's own tree are known by the canonical names they have there."""
    code = """
        from old.engine import FastEngine, SlowEngine as Slow, Gone
        from old.bridge import AgentWebSocketBridge
        import new.engine, old.other
        bridge = AgentWebSocketBridge()
        gone = Gone(), old.other.SlowEngine()
        def f(): return FastEngine(), Slow(), new.engine.UserExecutionEngine()
        class UserExecutionEngine: ...
        """
    assert [
        "4 module_singleton bridge",
        "6 engine_outside_factory old.engine.FastEngine",
        "6 engine_outside_factory old.engine.SlowEngine",
        "6 engine_outside_factory new.engine.UserExecutionEngine",
        "7 duplicate_definition UserExecutionEngine",
    ] == told(code, "app/x.py", old_names)
    assert [] == told("class UserExecutionEngine: ...", "new/engine.py", old_names)


def test_a_hosts_own_factory_is_named(old_names: Lookup) -> None:
    """What to do instead names the host's factory, not one of another package."""
    (one,) = findings("from old.engine import FastEngine\nFastEngine()", "app/x.py", old_names)
    assert "get it from new.factory.ExecutionEngineFactory, for one request at a time" == one.todo


def test_a_module_moved_whole_is_known_by_canonical_names(tmp_path: Path) -> None:
    """Where a table only moves modules, what they define is known by its name, and belongs to any of them."""
    lookup = Lookup(OldCode(tmp_path).table({"old.engines": moved("new.engines")}))
    code = (
        "class ExecutionEngineFactory:\n    def f(self): return UserExecutionEngine()\nclass UserExecutionEngine: ..."
    )
    assert [] == told(code, "new/engines.py", lookup)
    assert ["duplicate_definition", "engine_outside_factory", "duplicate_definition"] == [
        one.split()[1] for one in told(code, "other/engines.py", lookup)
    ]


# ------------------------------------------------------------------ which files need a look

EVERYTHING = {**ENGINES, **DEFINITIONS, **SINGLETONS}


@pytest.mark.parametrize("code", EVERYTHING.values(), ids=EVERYTHING)
def test_no_file_with_a_finding_is_passed_over(code: str) -> None:
    """Every file in which there is something to find holds one of the words."""
    assert findings(code)
    assert any(word in code for word in words(SHIPPED))


def test_words_are_few() -> None:
    """None is part of another, and names that stand in most files are wanted only where they are defined."""
    every = list(words(SHIPPED))
    assert [] == [one for one in every if any(other in one for other in every if other != one)]
    assert not any(word in "def f(context: UserExecutionContext) -> AgentRegistry: ..." for word in every)


def test_a_name_with_a_star_is_no_word(old_names: Lookup) -> None:
    """An entry that stands for many names says of none what it does."""
    assert [] == [word for word in words(old_names) if "*" in word]
