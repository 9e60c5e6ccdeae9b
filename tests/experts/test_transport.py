"""The wire itself: one attempt each, nothing leaked, every failure told apart."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from corl_bench.experts.base import ProviderError
from corl_bench.experts.transport import HttpReply, Transport, proxy_for
from corl_bench.experts.wire import clean_detail, retry_after_s
from servers.byte_server import ByteServer, http

PROXY = "http://proxy.example:3128"


async def fetch(url: str, transport: Transport | None = None, **changes: object) -> HttpReply:
    transport = transport or Transport({})
    fields: dict[str, object] = {"headers": {}, "body": b"{}", "timeout_s": 5.0, **changes}
    try:
        return await transport.exchange("POST", url, **fields)  # type: ignore[arg-type]
    finally:
        await transport.aclose()


async def failure(url: str, transport: Transport | None = None, **changes: object) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await fetch(url, transport, **changes)
    return caught.value


async def test_a_whole_answer_comes_back_with_status_headers_and_latency() -> None:
    async with ByteServer([http('{"a": 1}', headers={"X-Thing": "yes"})]) as server:
        reply = await fetch(f"{server.url}/v1/x", headers={"Authorization": "Bearer k"})
    assert (reply.status, reply.body, reply.headers["x-thing"]) == (200, b'{"a": 1}', "yes")
    assert reply.latency_s > 0
    [(line, headers)] = server.requests
    assert line == "POST /v1/x HTTP/1.1"
    assert headers["authorization"] == "Bearer k"
    assert headers["accept-encoding"] == "gzip, deflate"
    assert headers["user-agent"].startswith("corl-bench/")
    assert "cookie" not in headers


async def test_connections_are_reused_and_opened_anew_after_closing() -> None:
    transport = Transport({})
    async with ByteServer([http()] * 4) as server:
        for _ in range(3):
            await transport.exchange("POST", server.url, headers={}, body=b"{}", timeout_s=5)
        assert server.connections == 1
        await transport.aclose()
        await fetch(server.url, transport)
        assert server.connections == 2


async def test_cookies_are_not_kept() -> None:
    transport = Transport({})
    async with ByteServer([http(headers={"Set-Cookie": "session=1"}), http()]) as server:
        await transport.exchange("POST", server.url, headers={}, body=b"{}", timeout_s=5)
        await fetch(server.url, transport)
    assert "cookie" not in server.requests[1][1]


async def test_nobody_there_is_unreachable_and_free() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        error = await failure(f"http://127.0.0.1:{reserved.getsockname()[1]}/")
    assert (error.status, error.retryable, error.billing) == ("unreachable", True, "none")
    error = await failure("http://nowhere.invalid/")
    assert (error.status, error.billing) == ("unreachable", "none")
    assert "nowhere.invalid" in error.detail


async def test_tls_that_fails_is_not_tried_again() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http(status=400))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        error = await failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert (error.status, error.retryable, error.billing) == ("unreachable", False, "none")
    assert "TLS" in error.detail


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    kind = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1")
    files = ("-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run(["openssl", "req", *kind, *files], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_an_untrusted_certificate_is_not_tried_again(self_signed: ssl.SSLContext) -> None:
    async with await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=self_signed
    ) as server:
        error = await failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert (error.status, error.retryable, error.billing) == ("unreachable", False, "none")
    assert "certificate" in error.detail.lower()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, "cut"),
        (http(b"{}", headers={"Content-Length": "500"}), "cut"),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n', "cut"),
        (http(b"no gzip at all", headers={"Content-Encoding": "gzip"}), "cut"),
        (b"220 smtp.example ESMTP\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", "malformed"),
    ],
    ids=["hang-up", "short", "chunked", "bad-gzip", "smtp", "negative-length"],
)
async def test_what_breaks_after_sending_may_have_been_billed(
    answer: bytes | None, status: str
) -> None:
    async with ByteServer([answer]) as server:
        error = await failure(server.url)
    assert (error.status, error.retryable, error.billing) == (status, True, "unknown")
    assert len(server.requests) == 1


async def test_a_dropped_connection_is_not_silently_tried_again() -> None:
    """HTTP clients like to repeat a request on a fresh connection; that would be unbooked."""
    transport = Transport({})
    async with ByteServer([http(), None, http()]) as server:
        await transport.exchange("POST", server.url, headers={}, body=b"{}", timeout_s=5)
        error = await failure(server.url, transport)
    assert (error.status, error.billing) == ("cut", "unknown")
    assert len(server.requests) == 2


async def test_a_slow_body_times_out() -> None:
    stalled = http(b"{", headers={"Content-Length": "1"}).replace(b"Length: 1", b"Length: 9")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(stalled)
        await reader.read()  # until the client gives up
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        error = await failure(url, body=None, timeout_s=0.2)
    assert (error.status, error.retryable, error.billing) == ("timeout", True, "unknown")


async def test_redirects_are_not_followed() -> None:
    async with ByteServer([http()]) as target:
        location = {"Location": f"{target.url}/steal"}
        async with ByteServer([http(status=307, headers=location)]) as server:
            reply = await fetch(server.url, headers={"Authorization": "Bearer k"})
    assert reply.status == 307
    assert target.requests == []


async def test_a_huge_answer_stops_at_the_limit() -> None:
    transport = Transport({}, max_body_bytes=1000)
    async with ByteServer([http(b"x" * 1000), http(b"x" * 1001)]) as server:
        reply = await transport.exchange("POST", server.url, headers={}, body=b"", timeout_s=5)
        assert len(reply.body) == 1000
        error = await failure(server.url, transport)
    assert (error.status, error.retryable, error.billing) == ("malformed", False, "unknown")


async def test_the_limit_counts_decompressed_bytes() -> None:
    bomb = http(gzip.compress(b"0" * 40 * 1024**2), headers={"Content-Encoding": "gzip"})
    assert len(bomb) < 50_000
    async with ByteServer([bomb]) as server:
        error = await failure(server.url)
    assert error.status == "malformed"
    assert "32 MiB" in error.detail


@pytest.mark.parametrize("declared", [20, 10**6], ids=["whole", "cut"])
async def test_an_error_keeps_its_status_even_if_its_body_breaks(declared: int) -> None:
    answer = http(b'{"error": "later"}  ', status=503, headers={"Content-Length": str(declared)})
    async with ByteServer([answer]) as server:
        reply = await fetch(server.url)
    assert reply.status == 503
    assert reply.body.startswith(b'{"error"')


async def test_the_proxy_of_the_environment_is_used_and_netrc_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine provider.invalid login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with ByteServer([http('{"via": "proxy"}')]) as proxy:
        transport = Transport({"HTTP_PROXY": proxy.url})
        reply = await fetch("http://provider.invalid/v1/x", transport)
    assert reply.body == b'{"via": "proxy"}'
    [(line, headers)] = proxy.requests
    assert line == "POST http://provider.invalid/v1/x HTTP/1.1"
    assert "authorization" not in headers


async def test_a_proxy_that_refuses_is_unreachable_and_its_password_stays_secret() -> None:
    async with ByteServer([http(status=407)]) as proxy:
        transport = Transport({"https_proxy": f"http://me:hunter2@127.0.0.1:{proxy.port}"})
        error = await failure("https://provider.invalid/v1/x", transport)
    assert (error.status, error.retryable, error.billing) == ("unreachable", False, "none")
    assert "407" in error.detail
    assert "hunter2" not in error.detail
    assert proxy.requests[0][0].startswith("CONNECT provider.invalid:443")


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://a.example/v1", {}, None),
        ("https://a.example/v1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://a.example/v1", {"http_proxy": PROXY}, None),
        ("https://a.example/v1", {"all_proxy": PROXY}, PROXY),
        ("https://a.example/v1", {"https_proxy": PROXY, "NO_PROXY": "example"}, None),
        ("https://a.example/v1", {"https_proxy": PROXY, "no_proxy": "b.c, .a.example"}, None),
        ("https://a.example/v1", {"https_proxy": PROXY, "no_proxy": "*"}, None),
        ("https://ba.example/v1", {"https_proxy": PROXY, "no_proxy": "a.example"}, PROXY),
        ("http://127.0.0.1:8000/v1", {"http_proxy": PROXY}, None),
        ("http://localhost:8000/v1", {"all_proxy": PROXY}, None),
        ("http://[::1]:8000/v1", {"all_proxy": PROXY}, None),
    ],
)
def test_which_proxy(url: str, environment: dict[str, str], expected: str | None) -> None:
    assert proxy_for(url, environment) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "0.25"}, 0.25),
        ({"Retry-After": "-4"}, 0.0),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 40.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:27:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 99 Oct 99999 07:28:00 GMT"}, None),
        ({"retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"retry-after-ms": "x", "Retry-After": "9"}, 9.0),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    # 2015-10-21 07:27:20 UTC
    assert retry_after_s(CIMultiDict(headers), now_s=1445412440.0) == expected


@pytest.mark.parametrize("clock_s", [0.0, 1445412440.0, 2e9])
def test_a_retry_after_date_is_held_against_the_servers_own_clock(clock_s: float) -> None:
    headers = CIMultiDict(
        {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", "Date": "Wed, 21 Oct 2015 07:27:57 GMT"}
    )
    assert retry_after_s(headers, now_s=clock_s) == 3.0
    headers["Date"] = "once"
    assert retry_after_s(headers, now_s=1445412440.0) == 40.0


@given(st.text(max_size=60))
def test_retry_after_is_never_anything_but_a_sane_number(value: str) -> None:
    wait_s = retry_after_s({"retry-after": value}, now_s=0.0)
    assert wait_s is None or 0.0 <= wait_s < float("inf")


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_detail_is_one_short_printable_line_without_the_key(before: str, after: str) -> None:
    detail = clean_detail(f"{before}s3cret-Key{after}", "s3cret-Key")
    assert "s3cret-Key" not in detail
    assert len(detail) <= 200
    assert detail.isprintable()


def test_what_looks_like_a_key_is_taken_out_too() -> None:
    words = "Incorrect API key provided: sk-proj-abc***************wxyz. Header: Bearer abc.def"
    assert clean_detail(words, None) == "Incorrect API key provided: *** Header: Bearer ***"


def test_aiohttp_is_not_imported_before_the_first_exchange() -> None:
    """A run with simulated or recorded experts must not pay for it."""
    code = (
        "import sys; from corl_bench.experts import anthropic, openai, providers, transport;"
        "transport.Transport({}); assert not {'aiohttp', 'openai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
