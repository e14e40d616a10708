"""Facts about constructor calls in the original's shapes: each one works, or is refused with the right call shown."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from fakes import context_of
from running import Start
from ssot_engine.bridge import AgentWebSocketBridge
from ssot_engine.container import ExecutionContainer
from ssot_engine.context import UserExecutionContext
from ssot_engine.emitter import UnifiedWebSocketEmitter
from ssot_engine.engine import UserExecutionEngine
from ssot_engine.errors import InvalidContext
from ssot_engine.factory import ExecutionEngineFactory
from ssot_engine.instances import AgentInstanceFactory
from ssot_engine.legacy.census import census
from ssot_engine.legacy.deprecation import LegacyWarning
from ssot_engine.registry import AgentRegistry
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.scoped import Scoped

#: Shapes that are taken warn as well; one test below is about that.
pytestmark = pytest.mark.filterwarnings("ignore::ssot_engine.legacy.deprecation.LegacyWarning")

CONTEXT = context_of()
BRIDGE = AgentWebSocketBridge(CONTEXT)
IDS = {"user_id": "alice", "thread_id": "t-1", "run_id": "run-1"}


class Foreign:
    """An object of the host that is none of ours: a manager, a client, a session."""


def call(target: Any, *positional: object, **named: object) -> Any:
    """One call, with the name it has in a test's id."""
    arguments = [type(one).__name__ for one in positional] + [f"{name}=" for name in named]
    return pytest.param(lambda: target(*positional, **named), id=f"{target.__name__}({', '.join(arguments)})")


#: Every shape in which the original's engine, emitter and factories are called.
REFUSED = [
    call(UserExecutionEngine),
    call(UserExecutionEngine, AgentRegistry(), BRIDGE),
    call(UserExecutionEngine, AgentRegistry(), BRIDGE, CONTEXT),
    call(UserExecutionEngine, Foreign(), AgentRegistry(), BRIDGE, CONTEXT),
    call(UserExecutionEngine, AgentRegistry(), BRIDGE, user_context=CONTEXT),
    call(UserExecutionEngine, registry=AgentRegistry(), websocket_bridge=BRIDGE, user_context=CONTEXT),
    call(UserExecutionEngine, agent_registry=AgentRegistry()),
    call(UserExecutionEngine, config={}, registry=AgentRegistry(), websocket_bridge=BRIDGE),
    call(UserExecutionEngine, user_context=CONTEXT),
    call(UserExecutionEngine, context=CONTEXT, agent_factory=Foreign(), websocket_emitter=Foreign()),
    call(UserExecutionEngine, CONTEXT, Foreign(), Foreign()),
    call(UserExecutionEngine, user_id="alice", session_id="s-1", websocket_manager=Foreign()),
    call(UserExecutionEngine, llm_client=Foreign()),
    call(UserExecutionEngine, *[Foreign()] * 9),
    call(UnifiedWebSocketEmitter),
    call(UnifiedWebSocketEmitter, Foreign(), "alice", CONTEXT),
    call(UnifiedWebSocketEmitter, manager=Foreign(), user_id="alice", context=CONTEXT),
    call(UnifiedWebSocketEmitter, Foreign(), "alice"),
    call(UnifiedWebSocketEmitter, redis_client=Foreign(), user_id="alice"),
    call(UnifiedWebSocketEmitter, **IDS, websocket_bridge=BRIDGE),
    call(ExecutionEngineFactory),
    call(ExecutionEngineFactory, BRIDGE),
    call(ExecutionEngineFactory, websocket_bridge=BRIDGE),
    call(ExecutionEngineFactory, websocket_bridge=BRIDGE, database_session_manager=Foreign(), redis_manager=Foreign()),
    call(ExecutionEngineFactory, config={}),
    call(AgentInstanceFactory),
    call(AgentInstanceFactory, agent_registry=AgentRegistry(), websocket_bridge=BRIDGE),
]
RIGHT_CALLS = {
    "UserExecutionEngine": "async with container.engine_factory().engine_for(context) as engine",
    "UnifiedWebSocketEmitter": "UnifiedWebSocketEmitter(AgentWebSocketBridge.create_for_user(context), context)",
    "ExecutionEngineFactory": "container.engine_factory()",
    "AgentInstanceFactory": "AgentInstanceFactory(registry, emitter)",
}


@pytest.mark.parametrize("shape", REFUSED)
def test_a_call_in_the_originals_shape_is_refused_with_the_right_one(shape: Callable[[], object]) -> None:
    """A TypeError that names the class, the arguments it does not take, and the call to write instead."""
    with pytest.raises(TypeError) as raised:
        shape()
    text = str(raised.value)
    name = text.partition("()")[0]
    assert RIGHT_CALLS[name] in text


def test_the_refusal_names_what_is_not_taken() -> None:
    """All of it, so that nobody mends one argument after the other."""
    with pytest.raises(TypeError, match="does not take llm_client=, model=;"):
        call(UserExecutionEngine, llm_client=1, model=2).values[0]()


async def test_an_argument_too_many_is_refused_beside_the_right_ones(start: Start) -> None:
    """It is never swallowed."""
    container = await start()
    async with container.engine_factory().engine_for(CONTEXT) as engine:
        emitter, agents, tools = engine.websocket_emitter, engine.agent_factory, engine.tool_registry
        makers: list[tuple[Any, tuple[object, ...]]] = [
            (UserExecutionEngine, (CONTEXT, agents, emitter, tools, engine.control)),
            (UnifiedWebSocketEmitter, (engine.websocket_bridge, CONTEXT)),
            (AgentInstanceFactory, (AgentRegistry(), emitter)),
            (
                ExecutionEngineFactory,
                (container.open_scope, container.engine, container.bridge, container.admission(), container.metrics(),
                 container.settings()),
            ),
        ]  # fmt: skip
        for make, right in makers:
            assert isinstance(make(*right), make)
            with pytest.raises(TypeError, match="does not take llm_client="):
                make(*right, llm_client=Foreign())
            with pytest.raises(TypeError, match="too many"):
                make(*right, *[None] * 9)


async def test_the_calls_that_are_shown_work(start: Start) -> None:
    """Each refusal's text is a call that can be made."""
    container = await start()
    factory = container.engine_factory()
    async with factory.engine_for(CONTEXT) as engine:
        assert isinstance(engine, UserExecutionEngine)
        emitter = UnifiedWebSocketEmitter(AgentWebSocketBridge.create_for_user(CONTEXT), CONTEXT)
        assert "alice" == emitter.user_id
        assert [] == AgentInstanceFactory(AgentRegistry(), emitter).available()


# ------------------------------------------------------------------ bridge, registry


def test_a_bridge_needs_no_arguments() -> None:
    """It is unbound then; a context makes it that context's, by position or under the original's name."""
    assert AgentWebSocketBridge().user_context is None
    assert AgentWebSocketBridge(CONTEXT).user_context is CONTEXT
    assert AgentWebSocketBridge(user_context=CONTEXT).user_context is CONTEXT  # type: ignore[call-arg]
    assert AgentWebSocketBridge(user_context=None).user_context is None  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("positional", "named", "problem"),
    [
        ((), {"websocket_manager": Foreign()}, "does not take websocket_manager="),
        ((CONTEXT,), {"user_context": CONTEXT}, "too many"),
        ((), {"user_context": "alice"}, "is no UserExecutionContext"),
    ],
)
def test_a_bridge_refuses_what_it_cannot_use(
    positional: tuple[object, ...], named: dict[str, object], problem: str
) -> None:
    """A manager of connections, two contexts, or something else in a context's place."""
    target: Any = AgentWebSocketBridge
    with pytest.raises((TypeError, InvalidContext), match=problem):
        target(*positional, **named)


def test_a_registry_needs_no_arguments() -> None:
    """It is empty then; the original's model and tool factory are refused."""
    assert [] == AgentRegistry().names()
    target: Any = AgentRegistry
    for positional, named in [((Foreign(),), {}), ((), {"llm_manager": None}), (((), Foreign()), {})]:
        with pytest.raises(TypeError, match=r"call AgentRegistry\(\) and then register\(agent\)"):
            target(*positional, **named)


# ---------------------------------------------------------------------------- context

MAKERS = [UserExecutionContext, UserExecutionContext.from_request, UserExecutionContext.from_request_supervisor]
each_maker = pytest.mark.parametrize("make", MAKERS, ids=["UserExecutionContext", "from_request", "supervisor"])


@each_maker
def test_agent_context_and_audit_metadata_are_metadata(make: Any) -> None:
    """They are merged; where two name one key the audit metadata is right, and `metadata` before both."""
    made = make(
        **IDS,
        agent_context={"task": "triage", "kept": 1, "both": 1},
        audit_metadata={"ip": "::1", "kept": 2, "both": 2},
        metadata={"both": 3},
    )
    assert {"task": "triage", "ip": "::1", "kept": 2, "both": 3} == made.metadata


@each_maker
def test_a_connection_id_is_metadata(make: Any) -> None:
    """Under one key, whichever of its two names the call has."""
    assert {"websocket_client_id": "ws-1"} == make(**IDS, websocket_client_id="ws-1").metadata
    assert {"websocket_client_id": "ws-1"} == make(**IDS, websocket_connection_id="ws-1").metadata


@each_maker
def test_arguments_that_say_nothing_change_nothing(make: Any) -> None:
    """None is what most callers pass."""
    given = ("db_session", "agent_context", "audit_metadata", "websocket_client_id", "parent_request_id")
    assert {} == make(**IDS, request_id="req-1", **dict.fromkeys(given)).metadata


@each_maker
def test_a_session_is_refused_with_the_provider_to_use(make: Any) -> None:
    """A context can be written down and sent; a session cannot."""
    with pytest.raises(InvalidContext, match="database_session_manager") as raised:
        make(**IDS, db_session=Foreign())
    assert "db_session" == raised.value.field


@each_maker
def test_a_session_by_position_is_refused(make: Any) -> None:
    """Where the original had it there is the metadata."""
    with pytest.raises(InvalidContext, match="is no mapping"):
        make("alice", "t-1", "run-1", "req-1", Foreign())


@pytest.mark.parametrize("field", ["created_at", "operation_depth", "parent_request_id", "cleanup_callbacks"])
def test_fields_that_no_caller_sets_are_refused(field: str) -> None:
    """The text says what does it."""
    target: Any = UserExecutionContext
    with pytest.raises(InvalidContext, match="is no part of a context"):
        target(**IDS, **{field: [1]})


@each_maker
def test_a_misspelt_argument_is_refused(make: Any) -> None:
    """It is not taken for something of the original."""
    with pytest.raises(TypeError, match="does not take metdata="):
        make(**IDS, metdata={})


@each_maker
@pytest.mark.parametrize("field", ["agent_context", "audit_metadata"])
def test_merged_values_are_checked_like_metadata(make: Any, field: str) -> None:
    """A live object is refused, a list of pairs too."""
    with pytest.raises(InvalidContext, match="not a plain JSON value"):
        make(**IDS, **{field: {"session": Foreign()}})
    with pytest.raises(InvalidContext, match=f"{field} .* is no mapping"):
        make(**IDS, **{field: [("a", 1)]})


def test_a_context_made_so_is_like_any_other() -> None:
    """What was merged cannot be changed from outside, and survives a copy by pickle."""
    task = {"name": "triage"}
    made = UserExecutionContext(**IDS, agent_context={"task": task})
    task["name"] = "other"
    assert {"task": {"name": "triage"}} == pickle.loads(pickle.dumps(made)).metadata


@pytest.mark.parametrize(
    ("shape", "door"),
    [
        (lambda: UserExecutionContext(**IDS, agent_context={}), "UserExecutionContext(agent_context=)"),
        (
            lambda: UserExecutionContext.from_request(**IDS, db_session=None, audit_metadata={"ip": "::1"}),
            "UserExecutionContext(audit_metadata=, db_session=)",
        ),
        (lambda: AgentWebSocketBridge(user_context=CONTEXT), "AgentWebSocketBridge(user_context=)"),  # type: ignore[call-arg]
    ],
)
def test_a_shape_that_is_taken_is_told(shape: Callable[[], object], door: str) -> None:
    """It warns at the caller's line, and the census counts it."""
    census.clear()
    with pytest.warns(LegacyWarning, match=re.escape(door)) as told:
        shape()
    assert [__file__] == [one.filename for one in told]
    assert [door] == [site.door for site in census.sites()]


# ---------------------------------------------------------------------- who else reads


@pytest.mark.parametrize(
    "kind", [UserExecutionEngine, UnifiedWebSocketEmitter, AgentInstanceFactory, ExecutionEngineFactory]
)
def test_a_signature_shows_no_former_arguments(kind: type) -> None:
    """What reads it, such as the container's check, sees what is taken and required, and nothing else."""
    kinds = {one.kind for one in inspect.signature(kind).parameters.values()}
    assert {inspect.Parameter.POSITIONAL_OR_KEYWORD} == kinds
    with pytest.raises(TypeError, match="missing a required argument"):
        inspect.signature(kind).bind()


def test_the_containers_check_still_finds_wrong_arguments() -> None:
    """A provider that names an argument of the original is refused at the start, not when a user connects."""

    class Wrong(ExecutionContainer):
        emitter = Scoped(UnifiedWebSocketEmitter, manager=ExecutionContainer.bridge, context=ExecutionContainer.context)

    with pytest.raises(WiringError, match="'emitter' cannot call UnifiedWebSocketEmitter"):
        Wrong().check()
