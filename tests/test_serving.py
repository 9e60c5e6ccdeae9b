"""What every server of ours does: on this machine alone, in OpenAI's words, or in one line not."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp import web

from corl_bench.errors import ConfigError
from corl_bench.serving import (
    LOOPBACK,
    MAX_BODY_BYTES,
    listening,
    new_app,
    require_place,
    serve_app,
)


def echo() -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"bytes": len(await request.read())})

    app = new_app()
    app.router.add_post("/v1/echo", answer)
    return app


async def test_it_is_reached_on_this_machine_while_it_is_open() -> None:
    app = echo()
    over: list[bool] = []

    async def close(app: web.Application) -> None:
        over.append(True)

    app.on_cleanup.append(close)
    async with aiohttp.ClientSession() as session:
        async with listening(app) as base_url:
            assert base_url.startswith(f"http://{LOOPBACK}:")
            async with session.post(f"{base_url}/echo", data=b"four") as answer:
                assert await answer.json() == {"bytes": 4}
            assert not over
        assert over
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.post(f"{base_url}/echo")


@pytest.mark.parametrize(
    ("path", "size", "status"), [("nosuch", 1, 404), ("echo", MAX_BODY_BYTES + 1, 413)]
)
async def test_what_the_framework_refuses_is_in_openais_form(
    path: str, size: int, status: int
) -> None:
    async with (
        listening(echo()) as base_url,
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/{path}", data=b"x" * size) as answer,
    ):
        assert answer.status == status
        error = (await answer.json())["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]


# An address that is taken, and one for documentation, which no machine has (RFC 5737).
@pytest.mark.parametrize("host", [LOOPBACK, "192.0.2.1"])
def test_a_place_that_cannot_be_had_is_a_line(host: str) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot serve at {host}:{port}: ") as refused:
            serve_app(echo(), host=host, port=port)
        with pytest.raises(ConfigError) as refused_early:
            require_place(host, port)
    assert str(refused_early.value) == str(refused.value)
    assert "\n" not in str(refused.value)
    assert "--port" in str(refused.value)


@pytest.mark.parametrize("host", [LOOPBACK, "localhost"])
async def test_a_place_that_was_tried_can_be_had(host: str) -> None:
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    require_place(host, port)
    async with listening(echo(), host=host, port=port) as base_url:
        assert base_url == f"http://{host}:{port}/v1"
        with pytest.raises(ConfigError, match="in use"):
            require_place(host, port)
