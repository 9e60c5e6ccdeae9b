"""What every served request passes through, whatever is served: its host, its size, its errors.

Invariant: whatever is sent, the answer is JSON in OpenAI's form, and nothing of it says more
than its sender may know.

    app = web.Application(middlewares=[errors_as_json(say)])
    body = await read_body(request, most_bytes=1 << 20)
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from corl_bench.experts.transport import is_loopback
from corl_bench.serve.refusals import Refusal

READ_S = 30.0
"""How long a client may take to send its request, or to read a piece of a stream."""

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}


def require_loopback(request: web.Request) -> None:
    """Refuses a request that asks for another host than this machine's.

    For servers that ask for no key: a page of another site may have its name point here, but
    not change what it is.

    Raises:
        Refusal: 403.
    """
    try:
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise Refusal(403, "without keys only loopback is answered", code="forbidden_host")


def no_known_key() -> Refusal:
    """The answer to a request without a key, or with one that nobody knows."""
    return Refusal(
        401, "no known key: send one as `Authorization: Bearer KEY`", code="invalid_api_key"
    )


async def read_body(request: web.Request, *, most_bytes: int) -> bytes:
    """The body, if it is JSON by its header and not too large.

    Raises:
        Refusal: 400, 408, 413 or 415.
    """
    if request.content_type != "application/json":
        raise Refusal(
            415, "send JSON with Content-Type: application/json", code="unsupported_media_type"
        )
    too_large = Refusal(
        413, f"the request is larger than {most_bytes} bytes", code="request_too_large"
    )
    if request.content_length is not None and request.content_length > most_bytes:
        raise too_large
    try:
        async with asyncio.timeout(READ_S):
            body = await request.read()
    except TimeoutError:
        raise Refusal(
            408, f"the request did not arrive within {READ_S:g} s", code="request_timeout"
        ) from None
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except web.RequestPayloadError:
        raise Refusal(400, "the body cannot be decoded", code="invalid_body") from None
    if len(body) > most_bytes:
        raise too_large
    return body


def errors_as_json(say: Callable[[str], None]) -> Middleware:
    """Every error in OpenAI's form; a defect of the server says where it is, to its log alone.

    Args:
        say: the log.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return _answer(refusal)
        except web.HTTPException as error:
            code = _HTTP_CODES.get(error.status, "bad_request")
            return _answer(Refusal(error.status, error.reason, code=code))
        except ConnectionError:
            # The client is gone, or does not read: no news for a log, and nobody to be told.
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            say(f"defect: {type(error).__name__} at {place.filename}:{place.lineno}")
            return _answer(Refusal(500, "an error of the server", code="internal_error"))

    return middleware


def _answer(refusal: Refusal) -> web.Response:
    return web.json_response(refusal.body(), status=refusal.status, headers=refusal.headers)
