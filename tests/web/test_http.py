"""Runs, threads, agents and engines over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import httpx2
import msgspec
import pytest
from asking import ADMINS, PAGELESS, asking, endless, failing, greeter
from serving import Served, serving

from fakes import until
from running import Start
from ssot_engine.agents import RunContext, agent
from ssot_engine.tools import tool
from ssot_engine.web import frames


@asynccontextmanager
async def site(start: Start, *agents: object, web: Any = None, **sections: Any) -> AsyncIterator[Served]:
    container = await start(*agents, web={**PAGELESS, **(web or {})}, auth=ADMINS, **sections)
    async with serving(container) as served:
        yield served


async def begin(client: httpx2.AsyncClient, message: str = "Ann", **more: Any) -> dict[str, Any]:
    """Start a run."""
    answer = await client.post("/api/runs", json={"message": message, **more})
    assert 202 == answer.status_code, answer.text
    started: dict[str, Any] = answer.json()
    return started


async def ended(client: httpx2.AsyncClient, run_id: str) -> dict[str, Any]:
    """A run's record once it has ended."""
    record: dict[str, Any] = (await client.get(f"/api/runs/{run_id}", params={"wait_s": 5})).json()
    assert "running" != record["status"]
    return record


# -------------------------------------------------------------------------------- runs


async def test_a_run_is_started_and_its_record_tells_how_it_ended(start: Start) -> None:
    """202 with Location, which leads to the record: agent, message, result, usage, times."""

    @tool
    async def look(what: str) -> str:
        return what.upper()

    @agent("looker")
    async def looker(run: RunContext) -> str:
        return await run.tools.call("look", what=f"{run.message} {run.inputs['n']} {run.context.metadata['m']}")

    async with site(start, looker, tools=[look]) as served, asking(served) as client:
        body = {"message": "hi", "agent": "looker", "thread_id": "t-1", "inputs": {"n": 1}, "metadata": {"m": 2}}
        answer = await client.post("/api/runs", json=body)
        where = urljoin(str(answer.request.url), answer.headers["location"])
        assert f"{served.url}/api/runs/{answer.json()['run_id']}" == where
        record = (await client.get(where, params={"wait_s": 5})).json()
    assert (202, "t-1", 0) == (answer.status_code, answer.json()["thread_id"], answer.json()["position"]["seq"])
    assert ("looker", "hi", "completed", "HI 1 2", None, 1) == (
        record["agent"], record["message"], record["status"], record["result"], record["error"],
        record["usage"]["tool_calls"],
    )  # fmt: skip
    assert record["started_at"] <= record["ended_at"]


async def test_a_run_that_fails_has_its_error(start: Start) -> None:
    """The record names the exception and its text."""
    async with site(start, failing) as served, asking(served) as client:
        record = await ended(client, (await begin(client))["run_id"])
    assert ("failed", None) == (record["status"], record["result"])
    assert {"type": "LookupError", "message": "no such figure", "retryable": False} == record["error"]


async def test_an_open_run_is_shown_without_a_result_and_can_be_stopped(start: Start) -> None:
    """DELETE answers with the receipt once it has stopped; a second one says that it had."""
    async with site(start, endless) as served, asking(served) as client:
        run_id = (await begin(client))["run_id"]
        record = (await client.get(f"/api/runs/{run_id}", params={"wait_s": 0.01})).json()
        first, second = await client.delete(f"/api/runs/{run_id}"), await client.delete(f"/api/runs/{run_id}")
        after = await ended(client, run_id)
    assert ("running", None, None, None) == tuple(record[name] for name in ("status", "ended_at", "result", "usage"))
    assert {"run_id": run_id, "outcome": "stopped", "may_still_act": []} == first.json()
    assert (200, "already_ended") == (second.status_code, second.json()["outcome"])
    assert ("cancelled", first.json()) == (after["status"], after["receipt"])


async def test_a_client_that_goes_away_stops_nothing(start: Start) -> None:
    """A run goes on without the connection that started it, or one that waits for it."""
    go = asyncio.Event()

    @agent("waiter")
    async def waiter(run: RunContext) -> str:
        await go.wait()
        return "done"

    async with site(start, waiter) as served:
        async with asking(served) as client:
            run_id = (await begin(client))["run_id"]
            with pytest.raises(httpx2.ReadTimeout):
                await client.get(f"/api/runs/{run_id}", params={"wait_s": 30}, timeout=0.05)
        go.set()
        async with asking(served) as client:
            assert "done" == (await ended(client, run_id))["result"]


async def test_a_key_makes_it_safe_to_ask_twice(start: Start) -> None:
    """The same key is the same run, with 200 and where it is; another user's same key is that user's own run."""
    async with site(start, greeter) as served, asking(served) as alice, asking(served, "bob") as bob:
        key = {"Idempotency-Key": "order 1"}
        first = await alice.post("/api/runs", json={"message": "one"}, headers=key)
        again = await alice.post("/api/runs", json={"message": "two"}, headers=key)
        other = await bob.post("/api/runs", json={"message": "three"}, headers=key)
        record = await ended(alice, first.json()["run_id"])
        late = await alice.post("/api/runs", json={"message": "four", "thread_id": "t-9"}, headers=key)
    assert [202, 200, 202, 200] == [one.status_code for one in (first, again, other, late)]
    assert {**first.json(), "position": None} == again.json() == late.json()
    assert first.headers["location"] == again.headers["location"]
    assert first.json()["run_id"] != other.json()["run_id"]
    assert "one" == record["message"]


async def test_of_many_requests_with_one_key_at_the_same_time_one_starts_the_run(start: Start) -> None:
    """The others are told of that run and of its thread."""
    async with site(start, endless) as served, asking(served) as client:
        answers = await asyncio.gather(
            *(client.post("/api/runs", json={"message": "x"}, headers={"Idempotency-Key": "k"}) for _ in range(8))
        )
        told = {(one.json()["run_id"], one.json()["thread_id"]) for one in answers}
        threads = (await client.get("/api/threads")).json()["threads"]
        for run_id, _ in told:
            await client.delete(f"/api/runs/{run_id}")
    assert [200] * 7 + [202] == sorted(one.status_code for one in answers)
    assert [(run_id, thread["thread_id"]) for (run_id, _), thread in zip(told, threads, strict=True)] == list(told)


async def test_a_run_id_is_used_once_and_may_hold_any_character(start: Start) -> None:
    """A second run of that id is a conflict; a slash or a space in an id leads to its run all the same."""
    run_id = "a/b:c d?é"
    async with site(start, greeter) as served, asking(served) as client:
        answer = await client.post("/api/runs", json={"message": "x", "run_id": run_id})
        where = urljoin(str(answer.request.url), answer.headers["location"])
        record = (await client.get(where)).json()
        again = await client.post("/api/runs", json={"message": "x", "run_id": run_id})
        both = await client.post("/api/runs", json={"message": "x", "run_id": "r"}, headers={"Idempotency-Key": "k"})
    assert (202, run_id) == (answer.status_code, record["run_id"])
    assert (409, "run_conflict") == (again.status_code, again.json()["code"])
    assert (400, "request_error") == (both.status_code, both.json()["code"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"message": "x", "agent": "nobody"}, 404, "unknown_agent"),
        ({"message": "x", "run_id": "none"}, 400, "invalid_context"),
        ({"message": "x", "thread_id": "a\nb"}, 400, "invalid_context"),
        ({"message": "x", "metadata": {"n": "x" * 70_000}}, 400, "invalid_context"),
        ({"message": "x", "user_id": "bob"}, 422, "invalid_request"),
        ({"message": "x", "timeout_s": 0}, 422, "invalid_request"),
        ({"message": 7}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
    ],
)
async def test_an_order_that_cannot_be_carried_out_is_refused(
    start: Start, body: dict[str, Any], status: int, code: str
) -> None:
    """Nothing of it is done; who the user is, is no part of it."""
    async with site(start, greeter) as served, asking(served) as client:
        answer = await client.post("/api/runs", json=body)
        assert (status, code) == (answer.status_code, answer.json()["code"])
        assert [] == (await client.get("/api/threads")).json()["threads"]


async def test_limits_are_refused_with_when_to_ask_again(start: Start) -> None:
    """A full cap and a rate are 429 with Retry-After; other users are not touched."""
    engine = {"max_engines_per_user": 1}
    async with (
        site(start, endless, engine=engine, web={"runs_rate": "2/hour"}) as served,
        asking(served) as alice,
        asking(served, "bob") as bob,
    ):
        run_id = (await begin(alice))["run_id"]
        full = await alice.post("/api/runs", json={"message": "x"})
        fast = await alice.post("/api/runs", json={"message": "x"})
        other = await begin(bob)
        await alice.delete(f"/api/runs/{run_id}")
        await bob.delete(f"/api/runs/{other['run_id']}")
    assert [(429, "engine_limit_reached"), (429, "too_many_requests")] == [
        (one.status_code, one.json()["code"]) for one in (full, fast)
    ]
    assert "1" == full.headers["retry-after"]
    assert 3500 < int(fast.headers["retry-after"]) <= 3600


async def test_no_client_gets_more_time_than_the_operator_gives(start: Start) -> None:
    """`timeout_s` may be shorter than `engine.run_timeout_s`, not longer."""
    limits: list[float] = []

    @agent("clock")
    async def clock(run: RunContext) -> None:
        limits.append(run.deadline - asyncio.get_running_loop().time())

    async with site(start, clock, engine={"run_timeout_s": 9.0}) as served, asking(served) as client:
        for timeout_s in (1e9, 2.0, None):
            await ended(client, (await begin(client, timeout_s=timeout_s))["run_id"])
    assert [9, 2, 9] == [round(limit) for limit in limits]


async def test_a_run_that_waits_for_its_turn_is_shown_as_queued(start: Start) -> None:
    """It is known to whoever has its key, and its submitter is answered when it has begun."""
    engine = {"max_concurrent_runs_per_user": 1, "when_full": "wait"}
    async with site(start, endless, greeter, engine=engine) as served, asking(served) as client:
        before = (await begin(client, agent="endless"))["run_id"]
        beginning = asyncio.create_task(begin(client, agent="greeter", run_id="run-2"))
        await until(lambda: ("alice", "run-2") in served.site.container.control().live)
        queued = (await client.get("/api/runs/run-2")).json()
        queue = (await client.get("/api/engines")).json()["queue"]
        await client.delete(f"/api/runs/{before}")
        assert "run-2" == (await beginning)["run_id"]
        assert "Hello, Ann" == (await ended(client, "run-2"))["result"]
    assert ("queued", "greeter", "Ann", None) == tuple(
        queued[name] for name in ("status", "agent", "message", "result")
    )
    assert [{"user_id": "alice", "place": 1, "what": "run"}] == queue


# --------------------------------------------------------------- threads, agents, engines


async def test_threads_are_listed_by_their_runs_the_one_used_last_first(start: Start) -> None:
    """The title is the first message; `limit` cuts the list."""
    async with site(start, greeter) as served, asking(served) as client:
        for thread, message in (("t-1", "one"), ("t-2", "two"), ("t-1", "three")):
            await ended(client, (await begin(client, message, thread_id=thread))["run_id"])
        threads = (await client.get("/api/threads")).json()["threads"]
        newest = (await client.get("/api/threads", params={"limit": 1})).json()["threads"]
    assert [("t-1", "one", 2, False), ("t-2", "two", 1, False)] == [
        (one["thread_id"], one["title"], one["runs"], one["is_running"]) for one in threads
    ]
    assert threads[:1] == newest


async def test_agents_are_listed_with_what_they_do(start: Start) -> None:
    """By name; listing them leaves no engine behind."""
    async with site(start, greeter, failing) as served, asking(served) as client:
        answer = await client.get("/api/agents")
    assert [("failing", "Fails."), ("greeter", "Greets whoever asks.")] == [
        (one["name"], one["description"]) for one in answer.json()["agents"]
    ]


async def test_engines_are_the_users_own_and_everybodys_for_an_admin(start: Start) -> None:
    """Totals and figures of delivery are of the whole process, so only an admin has them; the lag everybody has."""
    async with (
        site(start, endless) as served,
        asking(served) as alice,
        asking(served, "bob") as bob,
        asking(served, "carol") as carol,
    ):
        mine, theirs = await begin(alice, thread_id="t-1"), await begin(bob, thread_id="t-1")
        own, all_of_them = [(await one.get("/api/engines")).json() for one in (alice, carol)]
        await alice.delete(f"/api/runs/{mine['run_id']}")
        await bob.delete(f"/api/runs/{theirs['run_id']}")
        await until(lambda: not served.site.container.engine_factory().engines())
        empty = (await alice.get("/api/engines")).json()
    assert [("alice", "t-1", "running", ["endless"])] == [
        (one["user_id"], one["thread_id"], one["state"], one["agents"]) for one in own["engines"]
    ]
    assert [{"user_id": "alice", "engines": 1, "runs": 1}] == own["users"]
    assert (None, None) == (own["totals"], own["deliveries"])
    assert "bob" not in str(own)
    assert ["alice", "bob"] == [one["user_id"] for one in all_of_them["engines"]]
    assert [("alice", 1), ("bob", 1), ("carol", 0)] == [(one["user_id"], one["runs"]) for one in all_of_them["users"]]
    assert (2, 0) == (all_of_them["totals"]["runs_started"], all_of_them["deliveries"]["events"])
    assert {"p50_ms": 0.0, "p99_ms": 0.0} == own["lag"]
    assert 0 <= own["engines"][0]["age_s"] < 60
    assert ([], [{"user_id": "alice", "engines": 0, "runs": 0}]) == (empty["engines"], empty["users"])


# ---------------------------------------------------------------------- what describes it


async def test_the_protocol_is_the_schema_of_its_frames(start: Start) -> None:
    """Whoever writes a client gets it without signing in."""
    async with site(start, greeter) as served, asking(served, None) as client:
        answer = await client.get("/api/protocol")
    assert msgspec.json.decode(msgspec.json.encode(frames.schema())) == answer.json()


async def test_openapi_describes_every_answer(start: Start) -> None:
    """Each reference leads somewhere, each operation names its problems, each that needs a user says so."""
    async with site(start, greeter) as served, asking(served, None) as client:
        document = (await client.get("/api/openapi.json")).json()
        assert document == (await client.get("/api/openapi.json")).json()
    kinds = document["components"]["schemas"]
    assert set() == set(references(document)) - {f"#/components/schemas/{name}" for name in kinds}
    operations = [one for path in document["paths"].values() for one in path.values()]
    for operation in operations:
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert "422" not in operation["responses"]
        assert ("401" in operation["responses"]) == ("security" in operation)
    assert {"/api/runs", "/api/runs/{run_id}", "/api/threads", "/api/agents", "/api/engines"} <= {
        path for path, operations in document["paths"].items() if any("security" in one for one in operations.values())
    }
    assert {"title", "status", "detail", "code"} == set(kinds["Problem"]["required"])


def references(part: Any) -> Iterator[str]:
    """Every `$ref` below a part of a document."""
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)
