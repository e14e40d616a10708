"""A host application as its developer writes it: own lifespan, own sign-in, own routes, and `install`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse
from starlette.requests import HTTPConnection

from running import small_settings
from ssot_engine import RunContext, UserExecutionEngine, agent, get_engine, install
from ssot_engine.web.access import UserAccess
from ssot_engine.web.dependencies import get_access


@agent("greeter")
async def greeter(run: RunContext) -> AsyncIterator[str]:
    """Greets whoever asks, word by word."""
    yield "Hello, "
    yield f"{run.user_id}"


def signed_in(connection: HTTPConnection) -> str:
    """The host's own sign-in."""
    if (name := connection.headers.get("x-user")) is None:
        raise HTTPException(401, "sign in")
    return name


Engine = Annotated[UserExecutionEngine, Depends(get_engine)]


def make(told: list[str] | None = None, **more: Any) -> FastAPI:
    """The application; what its lifespan does is told."""
    lines = [] if told is None else told

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        lines.append("host up")
        yield {"greeting": "Hello"}
        lines.append("host down")

    app = FastAPI(title="greeting", lifespan=lifespan)

    @app.get("/state")
    async def state(request: Request) -> dict[str, str]:
        return {"greeting": request.state.greeting}

    @app.get("/ask/{thread_id}")
    @app.get("/ask")
    async def ask(engine: Engine, agent: str = "greeter") -> dict[str, Any]:
        result = await engine.run(agent, "hi")
        context = engine.user_context
        return {"output": result.output, "thread_id": context.thread_id, "run_id": context.run_id}

    @app.get("/stream")
    async def stream(engine: Engine) -> StreamingResponse:
        async def words() -> AsyncIterator[str]:
            async for event in engine.stream("greeter", "hi"):
                if event.type == "message_delta":
                    yield event.payload["text"]

        return StreamingResponse(words())

    @app.get("/mine")
    async def mine(access: Annotated[UserAccess, Depends(get_access)]) -> list[str]:
        return [thread.thread_id for thread in await access.threads()]

    @app.websocket("/chat")
    async def chat(socket: WebSocket, engine: Engine) -> None:
        await socket.accept()
        result = await engine.run("greeter", await socket.receive_text())
        await socket.send_text(str(result.output))
        await socket.close()

    more.setdefault("settings", small_settings())
    install(app, agents=[greeter], user=signed_in, **more)
    return app


app = make()
