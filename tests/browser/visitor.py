"""A person before the page: what they do and see, and what their browser heard, asked for and complained of."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from playwright.async_api import ConsoleMessage, Locator, Page, Request, WebSocket, expect
from serving import Served

from ssot_engine.events import Event, ThreadKey

#: So much of a payload is shown in the list of events.
_SHOWN = 300

_LIST_EVENTS = """async () => {
    const box = document.getElementById('falls');
    const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const rows = new Map();
    const twice = [];
    let most = 0;
    for (let top = 0; ; top += box.clientHeight) {
        await drawn();
        for (let i = 0; i < 5; i += 1) {
            box.scrollTop = top;
            await drawn();
            if (box.scrollTop >= Math.min(top, box.scrollHeight - box.clientHeight) - 1 && box.scrollTop <= top) break;
        }
        const textOf = (row) => [...row.cells].map((cell) => cell.textContent);
        const lines = [...box.querySelectorAll('tbody tr:not(.edge)')].map(textOf);
        const seqs = lines.map(([seq]) => seq);
        twice.push(...seqs.filter((seq, i) => seqs.indexOf(seq) !== i));
        for (const [seq, , type, agent, payload] of lines) rows.set(Number(seq.slice(1)), [type, agent, payload]);
        most = Math.max(most, document.querySelectorAll('*').length);
        if (box.scrollTop + box.clientHeight >= box.scrollHeight - 1) break;
    }
    return { rows: [...rows], twice, most };
}"""

Row = tuple[int, str, str, Any]
"""An event as the list shows it: seq, type, agent, payload."""


class Visitor:
    """A page in a browser of its own. `sockets`, `asked` and `heard` are its connections, requests and frames."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.sockets: list[WebSocket] = []
        self.asked: list[str] = []
        self.heard: list[str] = []
        self.said: list[dict[str, Any]] = []
        self.console: list[str] = []
        self._forgiven: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))
        page.on("request", self._request)
        page.on("websocket", self._socket)

    # ---------------------------------------------------------------------------- what the browser tells

    def _console(self, message: ConsoleMessage) -> None:
        self.console.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)

    def _socket(self, socket: WebSocket) -> None:
        self.sockets.append(socket)
        self.asked.append(socket.url)
        socket.on("framereceived", lambda data: self.heard.append(str(data)))
        socket.on("framesent", lambda data: self.said.append(json.loads(data)))

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """Frames of a type that the page sent."""
        return [frame for frame in self.said if frame["type"] == kind]

    def forgive(self, pattern: str) -> None:
        """What the test itself breaks, browsers complain of."""
        self._forgiven.append(pattern)

    def check_is_content(self) -> None:
        """The console is empty, and nothing was asked of anybody but the server of the page."""
        complaints = [line for line in self.console if not any(re.search(one, line) for one in self._forgiven)]
        assert not complaints, complaints
        home = urlsplit(self.url).netloc
        elsewhere = [url for url in self.asked if urlsplit(url).netloc != home]
        assert not elsewhere, elsewhere

    # ---------------------------------------------------------------------------- what the person does

    async def open(self, fragment: str = "") -> None:
        """Go to the page."""
        await self.page.goto(f"{self.url}{fragment}")

    async def enter(self, user: str = "alice") -> Visitor:
        """Go to the page and sign in by name."""
        await self.open()
        await self.page.get_by_role("button", name=user).click()
        await self.is_live()
        return self

    async def is_live(self) -> None:
        """Until the socket is open and the conversation is shown."""
        await expect(self.page.locator("body[data-link=live][data-stage=in]")).to_be_attached()
        await expect(self["#send:enabled, #cancel:enabled"].first).to_be_attached()

    async def ask(self, question: str) -> None:
        """Write a question and send it by Enter."""
        await self.page.fill("#question", question)
        await self.page.press("#question", "Enter")

    async def reload(self) -> None:
        """Load the page again."""
        await self.page.reload()
        await self.is_live()

    # ---------------------------------------------------------------------------- what the person sees

    def __getitem__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    async def thread(self, user: str = "alice") -> ThreadKey:
        """The conversation that is shown."""
        fragment = urlsplit(await self.page.evaluate("location.href")).fragment
        return ThreadKey(user, unquote(fragment.partition("/")[2]))

    async def ended(self, status: str = "completed") -> None:
        """Until the last run has ended so."""
        await expect(self["article.run"].last.locator(f".run-status .icon.{status}")).to_be_attached()

    async def answer(self) -> str:
        """The text of the last answer."""
        return (await self[".answer"].last.inner_text()).strip()

    async def read_to(self, seq: int) -> None:
        """Until the page has read so far."""
        await expect(self["#link-pill"]).to_contain_text(f"#{seq}")

    async def fact(self, name: str) -> str:
        """A figure of the page's own stream."""
        row = self["#dashboard .facts > div"].filter(has=self.page.locator("dt", has_text=re.compile(f"^{name}$")))
        return (await row.locator("dd").text_content() or "").strip()

    async def listed(self) -> list[Row]:
        """All events, as the list shows them from its beginning to its end; none is there twice."""
        await self.page.get_by_role("button", name="List", exact=True).click()
        found = await self.page.evaluate(_LIST_EVENTS)
        assert [] == found["twice"]
        return [(seq, kind, agent, _payload(text)) for seq, (kind, agent, text) in found["rows"]]


def rows_of(events: Sequence[Event]) -> list[Row]:
    """What the list should show of these."""
    return [(one.seq, one.type, one.agent_name, _payload(_as_shown(one.payload))) for one in events]


def _as_shown(payload: Any) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"))


def _payload(text: str) -> Any:
    """A payload that is shown whole; of a longer one only what both languages write alike."""
    try:
        return json.loads(text) if len(text) < _SHOWN else text[:40]
    except ValueError:
        return text[:40]


Serve = Callable[..., Awaitable[Served]]
"""`await serve(agent, …, tools=[…], **sections)`: a site that is served until the test is over."""

Visit = Callable[..., Awaitable[Visitor]]
"""`await visit(url, …)`: somebody with a browser of their own, before the page."""
