"""Scopes: sharing, ending, entering, threads and coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import threading
import weakref

import pytest
from dependency_injector import providers
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from fakes_scoping import App, Bridge, Context, Emitter, Engine, checked_app
from ssot_engine.errors import ClosedError
from ssot_engine.scoping.checks import WiringError
from ssot_engine.scoping.providers import Scoped, ScopedContainer
from ssot_engine.scoping.scope import NoScope, Scope, ScopeClosed, ScopeError, current_scope

TIME_LIMIT_S = 5


class Closing:
    """An object whose end is written down, and may fail or wait."""

    def __init__(self, name: str, ended: list[str], failure: BaseException | None = None) -> None:
        self.name, self.ended, self.failure = name, ended, failure

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.ended.append(self.name)
        if self.failure is not None:
            raise self.failure


def chain(ended: list[str], **failures: BaseException) -> ScopedContainer:
    """A container of three objects, each built after the one before: first, second, third."""

    def make(name: str, before: object = None) -> Closing:
        return Closing(name, ended, failures.get(name))

    class Chain(ScopedContainer):
        first = Scoped(make, "first", close="aclose")
        second = Scoped(make, "second", first, close="aclose")
        third = Scoped(make, "third", second, close="aclose")

    return Chain()


async def test_one_object_per_scope() -> None:
    """Whoever asks in a scope gets the same object, through the scope or through the provider."""
    app = checked_app()
    async with app.open_scope(context=Context("u")) as scope:
        engine = scope.get(app.engine)
        assert engine is scope.get(app.engine)
        assert engine is app.engine()
        assert engine is await scope.aget(app.engine)
        assert engine.emitter is engine.agent_factory.emitter
        assert current_scope() is scope


async def test_objects_of_the_process_are_asked_for_through_a_scope_too() -> None:
    """`scope.get` of a singleton gives the process's object, or the one handed in."""
    app = checked_app()
    async with app.open_scope(context=Context("u")) as scope:
        assert app.registry() is scope.get(app.registry)
    mine = type(app.registry())(app.settings())
    async with app.open_scope(context=Context("u"), registry=mine) as scope:
        assert mine is scope.get(app.registry)


async def test_closing_is_in_reverse_order_of_building() -> None:
    """The newest object ends first."""
    ended: list[str] = []
    app = chain(ended)
    async with app.open_scope() as scope:
        scope.get(app.third)  # type: ignore[attr-defined]
    assert ended == ["third", "second", "first"]


async def test_on_close_runs_in_its_place_among_the_closers() -> None:
    """A callback runs after everything that was built or pushed after it, plain or async."""
    ended: list[str] = []
    app = chain(ended)

    async def later() -> None:
        await asyncio.sleep(0)
        ended.append("pushed first")

    async with app.open_scope() as scope:
        scope.on_close(later)
        scope.get(app.third)  # type: ignore[attr-defined]
        scope.on_close(lambda: ended.append("pushed last"))
    assert ended == ["pushed last", "third", "second", "first", "pushed first"]
    with pytest.raises(ScopeClosed):
        scope.on_close(later)


async def test_a_plain_close_may_return_anything() -> None:
    """What a synchronous close returns is not awaited unless it is awaitable."""

    class Plain:
        closed = False

        def close(self) -> bool:
            self.closed = True
            return True

    class Box(ScopedContainer):
        plain = Scoped(Plain, close="close")

    box = Box()
    async with box.open_scope() as scope:
        plain = scope.get(box.plain)
    assert plain.closed


async def test_nested_scopes_are_independent() -> None:
    """The innermost scope is the current one; leaving it brings the outer one back."""
    app = checked_app()
    async with app.open_scope(context=Context("a")) as outer:
        async with app.open_scope(context=Context("b")) as inner:
            assert app.engine().context.user_id == "b"
            assert current_scope() is inner
        assert app.engine().context.user_id == "a"
        assert current_scope() is outer
    with pytest.raises(NoScope, match="no scope is open here, so there is no Engine to give"):
        app.engine()
    with pytest.raises(NoScope):
        current_scope()


async def test_a_thousand_concurrent_scopes_never_mix() -> None:
    """Every task gets its own request's objects, and so do the tasks it starts."""
    app = checked_app()

    async def request(number: int) -> Engine:
        async with app.open_scope(context=Context(f"u{number}")) as scope:
            await asyncio.sleep(0)

            async def child() -> Engine:
                await asyncio.sleep(0)
                return app.engine()

            first, second = await asyncio.gather(child(), child())
            assert first is second is scope.get(app.engine)
            assert f"u{number}" == first.emitter.bridge.context.user_id
            return first

    engines = await asyncio.gather(*(request(number) for number in range(1000)))
    assert len({id(engine) for engine in engines}) == 1000
    assert all(engine.closed for engine in engines)
    assert len({id(engine.agent_factory.registry) for engine in engines}) == 1


async def test_a_task_that_outlives_its_scope_is_refused() -> None:
    """After the end nothing is built or given, and the error names what was asked for."""
    app = checked_app()
    gate = asyncio.Event()

    async def late() -> Engine:
        await gate.wait()
        return app.engine()

    async with app.open_scope(context=Context("u")):
        task = asyncio.create_task(late())
    gate.set()
    with pytest.raises(ScopeClosed, match="'engine' was asked for after its scope ended") as refused:
        await task
    assert refused.value.provider == "engine"


async def test_a_closed_scope_is_not_entered() -> None:
    """A scope that has ended cannot become the current one."""
    scope = checked_app().open_scope(context=Context("u"))
    assert not scope.closed
    await scope.aclose()
    assert scope.closed
    with pytest.raises(ScopeClosed):
        await scope.__aenter__()


async def test_threads_of_a_scope_build_once() -> None:
    """Threads that ask at once get one object."""
    together = threading.Barrier(4)
    made: list[Bridge] = []

    class Slow(Bridge):
        def __init__(self, context: Context, hub: object) -> None:
            super().__init__(context, hub)  # type: ignore[arg-type]
            made.append(self)
            threading.Event().wait(0.01)

    app = checked_app()

    def ask() -> Engine:
        together.wait(TIME_LIMIT_S)
        return app.engine()

    with app.bridge.override(app.bridge.built_by(Slow)):
        async with app.open_scope(context=Context("u")):
            engines = await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(4)))
    assert len(made) == 1
    assert len({id(engine) for engine in engines}) == 1


async def test_a_plain_thread_has_no_scope_but_can_hold_one() -> None:
    """Only the ambient scope follows the task; an explicit one works anywhere, without entering."""
    app = checked_app()
    scope = app.open_scope(context=Context("u"))
    found: list[object] = []

    def work() -> None:
        with pytest.raises(NoScope):
            app.engine()
        found.append(scope.get(app.engine))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(TIME_LIMIT_S)
    engine = scope.get(app.engine)
    assert [engine] == found
    await scope.aclose()
    assert engine.closed


async def test_closing_waits_for_a_thread_that_builds() -> None:
    """What a thread opens while the scope closes is closed too."""
    entered, proceed = threading.Event(), threading.Event()

    class Slow(Bridge):
        def __init__(self, context: Context, hub: object) -> None:
            super().__init__(context, hub)  # type: ignore[arg-type]
            entered.set()
            proceed.wait(TIME_LIMIT_S)

    app = checked_app()
    with app.bridge.override(app.bridge.built_by(Slow)):
        scope = app.open_scope(context=Context("u"))
        building = asyncio.create_task(asyncio.to_thread(scope.get, app.bridge))
        await asyncio.to_thread(entered.wait, TIME_LIMIT_S)
        closing = asyncio.create_task(scope.aclose())
        await asyncio.sleep(0)
        assert not closing.done()
        proceed.set()
        await asyncio.wait_for(closing, TIME_LIMIT_S)
        assert (await building).closed


async def test_while_a_scope_builds_it_is_the_current_one() -> None:
    """A constructor that asks a provider gets its own scope's object, whichever scope surrounds the call."""
    app = checked_app()

    class Asking(Emitter):
        def __init__(self, bridge: Bridge, context: Context) -> None:
            super().__init__(app.bridge(), app.context())

    with app.emitter.override(app.emitter.built_by(Asking)):
        inner = app.open_scope(context=Context("inner"))
        async with app.open_scope(context=Context("outer")) as outer:
            assert inner.get(app.engine).emitter.context.user_id == "inner"
            assert current_scope() is outer
        await inner.aclose()


async def test_a_kept_scope_outlives_its_block() -> None:
    """`keep` hands the ending over; tasks of the block go on, and `aclose` ends everything."""
    app = checked_app()
    gate = asyncio.Event()

    async def late() -> Engine:
        await gate.wait()
        return app.engine()

    async def create() -> tuple[Engine, Scope, asyncio.Task[Engine]]:
        async with app.open_scope(context=Context("u")) as scope:
            return scope.get(app.engine), scope.keep(), asyncio.create_task(late())

    engine, scope, task = await create()
    assert not engine.closed
    gate.set()
    assert await task is engine
    with pytest.raises(NoScope):
        current_scope()
    await scope.aclose()
    assert engine.closed
    assert engine.emitter.bridge.closed


async def test_a_failing_constructor_unwinds_what_was_built() -> None:
    """The error leaves the block and what stood before it is closed."""
    built: list[Bridge] = []

    class Known(Bridge):
        def __init__(self, context: Context, hub: object) -> None:
            super().__init__(context, hub)  # type: ignore[arg-type]
            built.append(self)

    class Broken(Emitter):
        def __init__(self, bridge: Bridge, context: Context) -> None:
            raise RuntimeError("no socket")

    app = checked_app()
    with app.bridge.override(app.bridge.built_by(Known)), app.emitter.override(app.emitter.built_by(Broken)):
        with pytest.raises(RuntimeError, match="no socket"):
            async with app.open_scope(context=Context("u")) as scope:
                scope.get(app.engine)
        assert [bridge.closed for bridge in built] == [True]
    assert app.open_scopes == 0


async def test_one_failing_close_is_raised_as_it_is() -> None:
    """The others still close."""
    ended: list[str] = []
    app = chain(ended, second=ValueError("stuck"))
    with pytest.raises(ValueError, match="stuck"):
        async with app.open_scope() as scope:
            scope.get(app.third)  # type: ignore[attr-defined]
    assert ended == ["third", "second", "first"]
    assert app.open_scopes == 0


async def test_several_failing_closes_are_a_group() -> None:
    """Nothing is lost of two errors, newest object first."""
    ended: list[str] = []
    app = chain(ended, first=ValueError("one"), third=OSError("three"))
    scope = app.open_scope()
    scope.get(app.third)  # type: ignore[attr-defined]
    with pytest.raises(ExceptionGroup) as group:
        await scope.aclose()
    assert [repr(error) for error in group.value.exceptions] == ["OSError('three')", "ValueError('one')"]
    assert ended == ["third", "second", "first"]


async def test_a_cancelled_close_closes_the_rest_and_is_raised_alone() -> None:
    """The cancellation reaches the caller as such; what else failed are its notes."""
    ended: list[str] = []
    waiting = asyncio.Event()

    async def wait_for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    app = chain(ended, first=ValueError("one"), third=OSError("three"))
    scope = app.open_scope()
    scope.get(app.second)  # type: ignore[attr-defined]
    scope.on_close(wait_for_ever)
    scope.get(app.third)  # type: ignore[attr-defined]
    closing = asyncio.create_task(scope.aclose())
    await asyncio.wait_for(waiting.wait(), TIME_LIMIT_S)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await closing
    assert cancelled.value.__notes__ == [
        "also, while closing the scope: OSError('three')",
        "also, while closing the scope: ValueError('one')",
    ]
    assert ended == ["third", "second", "first"]
    assert closing.cancelled()
    assert app.open_scopes == 0


async def test_a_second_close_returns_when_the_scope_has_ended() -> None:
    """Two concurrent closes: each object ends once, and both calls return after the last."""
    ended: list[str] = []
    gate = asyncio.Event()
    app = chain(ended)
    scope = app.open_scope()
    scope.on_close(gate.wait)
    scope.get(app.third)  # type: ignore[attr-defined]
    first, second = asyncio.create_task(scope.aclose()), asyncio.create_task(scope.aclose())
    while len(ended) < 3:
        await asyncio.sleep(0)
    impatient = asyncio.create_task(scope.aclose())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    assert not first.done()
    assert not second.done()
    gate.set()
    await asyncio.wait_for(asyncio.gather(first, second), TIME_LIMIT_S)
    await scope.aclose()
    assert ended == ["third", "second", "first"]


async def test_a_closer_may_close_its_own_scope() -> None:
    """A close that ends in `aclose` again neither waits for itself nor closes anything twice."""
    ended: list[str] = []
    app = chain(ended)
    scope = app.open_scope()

    async def cleanup() -> None:
        await scope.aclose()
        ended.append("cleanup")

    scope.get(app.first)  # type: ignore[attr-defined]
    scope.on_close(cleanup)
    await asyncio.wait_for(scope.aclose(), TIME_LIMIT_S)
    assert ended == ["cleanup", "first"]


async def test_a_scope_is_entered_by_one_task_at_a_time() -> None:
    """The second task is refused and the first leaves cleanly, with its own context restored."""
    app = checked_app()
    scope = app.open_scope(context=Context("u"))
    entered, leave = asyncio.Event(), asyncio.Event()

    async def holder() -> None:
        async with app.open_scope(context=Context("outer")) as outer:
            async with scope:
                entered.set()
                await leave.wait()
            assert current_scope() is outer

    task = asyncio.create_task(holder())
    await asyncio.wait_for(entered.wait(), TIME_LIMIT_S)
    with pytest.raises(ScopeError, match="entered already"):
        await scope.__aenter__()
    with pytest.raises(NoScope):
        current_scope()
    assert scope.get(app.engine).context.user_id == "u"
    leave.set()
    await asyncio.wait_for(task, TIME_LIMIT_S)
    assert scope.closed


async def test_a_scope_left_in_another_task_still_closes() -> None:
    """A fixture may be set up in one task and torn down in another."""
    app = checked_app()
    scope = app.open_scope(context=Context("u"))
    engine = scope.get(app.engine)
    await asyncio.create_task(_enter(scope))
    await scope.__aexit__(None, None, None)
    assert engine.closed


async def _enter(scope: Scope) -> None:
    await scope.__aenter__()


async def test_open_scopes_counts_what_has_not_ended() -> None:
    """However a scope ends, the count comes back; a scope handed on still counts."""
    app = checked_app()
    assert app.open_scopes == 0
    kept = app.open_scope(context=Context("u"))
    async with app.open_scope(context=Context("u")) as scope:
        assert app.open_scopes == 2
        await scope.aclose()
        assert app.open_scopes == 1
    with pytest.raises(WiringError):
        app.open_scope(context="u")
    assert app.open_scopes == 1
    await kept.aclose()
    await kept.aclose()
    assert app.open_scopes == 0


async def test_open_scopes_counts_right_across_threads() -> None:
    """Threads that open at once do not lose a count."""
    app = checked_app()

    def open_many() -> list[Scope]:
        return [app.open_scope(context=Context("u")) for _ in range(500)]

    scopes = [
        scope for many in await asyncio.gather(*(asyncio.to_thread(open_many) for _ in range(4))) for scope in many
    ]
    assert app.open_scopes == 2000
    for scope in scopes:
        await scope.aclose()
    assert app.open_scopes == 0


connected: list[str] = []


async def connect(context: Context, hub: object) -> Bridge:
    await asyncio.sleep(0)
    connected.append(context.user_id)
    return Bridge(context, hub)  # type: ignore[arg-type]


class Connected(App):
    """The bridge is built by a coroutine."""

    bridge = Scoped(connect, context=App.context, hub=App.hub, close="aclose")


async def test_coroutines_build_through_aget() -> None:
    """Two tasks that ask at once share one object; `get` says what to use instead, and gives what is built."""
    app = Connected()
    app.check()
    connected.clear()
    async with app.open_scope(context=Context("u")) as scope:
        with pytest.raises(ScopeError, match=r"'engine' is built by a coroutine; use `await scope.aget"):
            scope.get(app.engine)
        first, second = await asyncio.gather(scope.aget(app.engine), scope.aget(app.engine))
        assert first is second is scope.get(app.engine)
    assert first.emitter.bridge.closed
    assert len(connected) == 1
    with pytest.raises(ScopeClosed):
        await scope.aget(app.engine)


async def test_a_coroutine_may_ask_the_scope_it_is_built_in() -> None:
    """A coroutine function that asks for another object of its scope does not wait for itself."""

    async def nested(context: Context) -> Bridge:
        return await current_scope().aget(app.bridge)

    class Nested(Connected):
        outer = Scoped(nested, context=App.context)

    app = Nested()
    app.check()
    async with app.open_scope(context=Context("u")) as scope:
        outer = await asyncio.wait_for(scope.aget(app.outer), TIME_LIMIT_S)
        assert outer is scope.get(app.bridge)


async def test_closing_waits_for_a_coroutine_that_builds() -> None:
    """What a task opens while the scope closes is closed too, even if the close is cancelled meanwhile."""
    entered, proceed = asyncio.Event(), asyncio.Event()

    async def slow(context: Context) -> Closing:
        entered.set()
        await proceed.wait()
        return Closing("slow", ended)

    class Slow(ScopedContainer):
        slow_one = Scoped(slow, None, close="aclose")

    ended: list[str] = []
    app = Slow()
    scope = app.open_scope()
    building = asyncio.create_task(scope.aget(app.slow_one))
    await asyncio.wait_for(entered.wait(), TIME_LIMIT_S)
    closing = asyncio.create_task(scope.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.sleep(0)
    assert not closing.done()
    proceed.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(closing, TIME_LIMIT_S)
    await building
    assert ended == ["slow"]


async def test_a_scope_is_weakly_referenceable_and_nothing_outlives_it() -> None:
    """When the block is left, its objects are gone without a garbage collection."""
    app = checked_app()
    async with app.open_scope(context=Context("u")) as scope:
        dead = [weakref.ref(each) for each in (scope, scope.get(app.engine), scope.get(app.bridge))]
    del scope
    assert [reference() for reference in dead] == [None, None, None]


async def fail() -> None:
    """A close that always fails."""
    raise ValueError("stuck")


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_scopes_leave_no_reference_cycle(failures: int) -> None:
    """After 1,000 scopes there is nothing for the garbage collector to find, not even when closes fail."""
    app = chain([])

    async def explicit() -> None:
        scope = app.open_scope()
        scope.get(app.third)  # type: ignore[attr-defined]
        for _ in range(failures):
            scope.on_close(fail)
        await scope.aclose()

    async def entered() -> None:
        async with app.open_scope() as scope:
            scope.get(app.second)  # type: ignore[attr-defined]
            for _ in range(failures):
                scope.on_close(fail)

    async def both() -> None:
        for one in (explicit, entered):
            with contextlib.suppress(ValueError, ExceptionGroup):
                await one()

    await both()
    gc.collect()
    gc.disable()
    try:
        for _ in range(1000):
            await both()
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("error", [NoScope("Engine"), NoScope(), ScopeClosed("engine"), ScopeClosed(), ScopeError("x")])
def test_errors_pickle_and_say_who_acts(error: ScopeError) -> None:
    """A scope's errors are of our life cycle, are RuntimeErrors, and cross a process boundary."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(error), str(error)) == (type(again), str(again))
    assert getattr(error, "provider", None) == getattr(again, "provider", None)
    assert isinstance(error, ClosedError)
    assert isinstance(error, RuntimeError)


async def test_a_request_is_a_scope() -> None:
    """One ASGI middleware gives each request its scope, for async endpoints and for those that run in threads."""
    app = checked_app()
    seen: list[Engine] = []

    class ScopePerRequest:
        """Pure ASGI: Starlette's BaseHTTPMiddleware would run the endpoint in another task."""

        def __init__(self, inner: Starlette) -> None:
            self.inner = inner

        async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
            async with app.open_scope(context=Context(scope["path"])):
                await self.inner(scope, receive, send)

    def answer() -> PlainTextResponse:
        engine = app.engine()
        seen.append(engine)
        return PlainTextResponse(engine.context.user_id)

    def in_thread(request: Request) -> PlainTextResponse:
        return answer()

    async def in_loop(request: Request) -> PlainTextResponse:
        return answer()

    web = ScopePerRequest(Starlette(routes=[Route("/thread", in_thread), Route("/loop", in_loop)]))
    httpx = pytest.importorskip("httpx2", reason="needs httpx2; pip install 'ssot-engine[test]'")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://app") as client:
        paths = ["/thread", "/loop"] * 20
        answers = await asyncio.gather(*(client.get(path) for path in paths))
    assert paths == [each.text for each in answers]
    assert len({id(engine) for engine in seen}) == 40
    assert all(engine.closed for engine in seen)


def test_a_scope_of_another_container_is_refused() -> None:
    """A provider must be of the container that opened the scope; the class's own is a common slip."""
    app, other = checked_app(), checked_app()
    scope = app.open_scope(context=Context("u"))
    for foreign in (other.engine, App.engine, providers.Object(1)):
        with pytest.raises(WiringError, match="is not a provider of the container that opened this scope"):
            scope.get(foreign)
