"""Drives a headless Chromium over the DevTools protocol, for tests of pages.

Keeps what a page must not do in silence: every network request, every console message and
every uncaught exception. The browser has a fresh profile and is ended with the context.

    async with Chromium.launch(tmp_path) as browser:
        page = await browser.open(report.as_uri())
        assert await page.evaluate("document.title") == "…"
        assert page.requests == [report.as_uri()]
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
START_S = 30.0
REPLY_S = 20.0

KEYS = {
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    "Space": 32,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
}


def chromium_path() -> str | None:
    """The browser's executable, or None where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return None


@dataclass
class Page:
    """One tab. `requests`, `console` and `errors` grow as the page acts."""

    _send: Any
    session: str
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    """Console messages and log entries (a blocked request, say), as `level: text`."""
    errors: list[str] = field(default_factory=list)
    """Uncaught exceptions."""
    _loaded: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        result: dict[str, Any] = await self._send(method, parameters, self.session)
        return result

    async def navigate(self, url: str) -> None:
        """Loads `url` and waits for its load event."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), REPLY_S)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited.

        Raises:
            AssertionError: it threw.
        """
        result = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"])
        return result["result"].get("value")

    async def wait_for(self, expression: str, timeout_s: float = 30.0) -> None:
        """Waits until a JavaScript expression is true.

        Raises:
            AssertionError: it did not become so in time.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not await self.evaluate(f"Boolean({expression})"):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not true within {timeout_s} s: {expression}")
            await asyncio.sleep(0.02)

    async def centre_of(self, selector: str) -> tuple[float, float]:
        """Middle of the first element that fits, scrolled into view and at rest there."""
        x, y = await self.evaluate(
            f"""(async () => {{
              const element = document.querySelector({json.dumps(selector)});
              element.scrollIntoView({{ block: "center", inline: "center", behavior: "instant" }});
              const frame = () => new Promise((done) => requestAnimationFrame(done));
              const place = () => {{
                const box = element.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
              }};
              let before = place();
              for (let still = 0; still < 3; ) {{
                await frame();
                const now = place();
                still = now[0] === before[0] && now[1] === before[1] ? still + 1 : 0;
                before = now;
              }}
              return before;
            }})()"""
        )
        return x, y

    async def hover(self, selector: str) -> None:
        x, y = await self.centre_of(selector)
        await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    async def click(self, selector: str) -> None:
        await self._press_and_release(selector)
        await self._painted()

    async def follow(self, selector: str) -> None:
        """Clicks a link and waits for the page that it leads to."""
        async with self.navigation():
            await self._press_and_release(selector)

    @contextlib.asynccontextmanager
    async def navigation(self) -> AsyncIterator[None]:
        """Waits at its end for the load event of the page that its body leads to."""
        self._loaded.clear()
        yield
        await asyncio.wait_for(self._loaded.wait(), REPLY_S)

    async def _press_and_release(self, selector: str) -> None:
        x, y = await self.centre_of(selector)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def _painted(self) -> None:
        """Waits until the page has drawn what an input has caused."""
        await self.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    async def press(self, key: str) -> None:
        """Presses and releases one of `KEYS`."""
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=" " if key == "Space" else key,
                code=key,
                windowsVirtualKeyCode=KEYS[key],
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    async def type(self, text: str) -> None:
        """Types into the focused field."""
        await self.call("Input.insertText", text=text)

    async def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    async def prefer(self, scheme: str) -> None:
        """Emulates a system set to `light` or `dark`."""
        await self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Writes a PNG of what is in view, or of the whole page."""
        result = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(result["data"]))

    def receive(self, method: str, parameters: dict[str, Any]) -> None:
        """Takes an event of this page."""
        if method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith("data:"):
                self.requests.append(url)
        elif method == "Runtime.consoleAPICalled":
            words = " ".join(str(a.get("value", a)) for a in parameters["args"])
            self.console.append(f"{parameters['type']}: {words}")
        elif method == "Log.entryAdded":
            entry = parameters["entry"]
            self.console.append(f"{entry['level']}: {entry['text']}")
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            thrown = details.get("exception", {}).get("description", "")
            self.errors.append(f"{details['text']}: {thrown}")
        elif method == "Page.loadEventFired":
            self._loaded.set()


class Chromium:
    """A running browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def launch(cls, profile_dir: Path) -> AsyncIterator[Self]:
        """Starts a browser with a new profile under `profile_dir`, and ends it afterwards."""
        path = chromium_path()
        if path is None:
            raise FileNotFoundError("no Chromium on PATH")
        profile = profile_dir / "chromium-profile"
        process = await asyncio.create_subprocess_exec(
            path,
            *FLAGS,
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await asyncio.wait_for(_address(profile, process), START_S)
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(address, max_msg_size=0) as socket,
            ):
                browser = cls(socket)
                listener = asyncio.create_task(browser._listen())
                try:
                    yield browser
                finally:
                    with contextlib.suppress(Exception):
                        await browser._send("Browser.close", {})
                    listener.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await listener
        finally:
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()

    async def open(self, url: str, *, width: int = 1280, height: int = 900) -> Page:
        """Opens a tab that is watched from its first request on."""
        target = await self._send("Target.createTarget", {"url": "about:blank"})
        attached = await self._send(
            "Target.attachToTarget", {"targetId": target["targetId"], "flatten": True}
        )
        page = Page(self._send, attached["sessionId"])
        self._pages[page.session] = page
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.call(f"{domain}.enable")
        await page.resize(width, height)
        await page.navigate(url)
        return page

    async def _send(
        self, method: str, parameters: dict[str, Any], session: str | None = None
    ) -> dict[str, Any]:
        number = next(self._numbers)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        await self._socket.send_json(message)
        return await asyncio.wait_for(future, REPLY_S)

    async def _listen(self) -> None:
        async for message in self._socket:
            data = json.loads(message.data)
            if "id" in data:
                future = self._waiting.pop(data["id"], None)
                if future is None or future.done():
                    continue
                if "error" in data:
                    future.set_exception(AssertionError(data["error"]))
                else:
                    future.set_result(data["result"])
            elif page := self._pages.get(data.get("sessionId", "")):
                page.receive(data["method"], data["params"])


async def _address(profile: Path, process: asyncio.subprocess.Process) -> str:
    """The browser's WebSocket, as it writes it into its profile once it listens."""
    file = profile / "DevToolsActivePort"
    while True:
        if process.returncode is not None:
            raise AssertionError(f"Chromium ended with {process.returncode} before it listened")
        if file.exists() and len(lines := file.read_text().splitlines()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        await asyncio.sleep(0.05)
