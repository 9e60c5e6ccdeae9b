"""One HTTP exchange with a provider, and what can go wrong on the way, said in our terms.

A `Transport` holds the one connection pool of a run. `exchange` makes exactly one attempt:
nothing is retried here or by the library below, and no redirect is followed (a redirect would
carry the key to another host). It returns whatever the server answered, whole, or raises a
`ProviderError` that says whether the attempt can have been billed: when no connection came
about, nothing was sent; once one did, nobody knows.

    transport = Transport()
    reply = await transport.exchange(
        "POST", "https://api.openai.com/v1/chat/completions",
        headers={"Content-Type": "application/json"}, body=b"{}", timeout_s=600.0,
    )
    reply.status, reply.body
    await transport.aclose()

aiohttp because it is several times cheaper a call than the clients of the providers' packages
(`benchmarks/speed/calls.py` measures it); imported at the first exchange, since a run with
simulated or recorded experts needs no HTTP.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import corl_bench
from corl_bench.experts.base import ErrorStatus, ProviderError

if TYPE_CHECKING:
    import aiohttp

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of one decompressed answer; the longest replies known stay under 1 MiB."""

MAX_ERROR_BODY_BYTES = 64 * 1024

CONNECT_TIMEOUT_S = 30.0

# Below the five seconds after which uvicorn (vLLM, most gateways) drops an idle connection: a
# request that meets a connection being closed is an attempt whose bill nobody knows.
KEEPALIVE_S = 4.0


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A complete answer, of any status."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes
    """Decompressed. Of a status from 300 on, as much as arrived, possibly nothing."""
    latency_s: float
    """From the start of the attempt to the last byte."""


class Transport:
    """The connection pool that all experts of a run share; bound to the loop it is used in.

    Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`,
    in either case), as people behind a company's proxy expect; loopback addresses never use
    one. Passwords of `.netrc` are not looked at: keys come from where the pool says.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._environment = environment
        self._max_body_bytes = max_body_bytes
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float,
    ) -> HttpReply:
        """Sends one request and reads the whole answer.

        Raises:
            ProviderError: `unreachable` (nothing was sent, billing none), `timeout`, `cut`,
                or `malformed` for what is no HTTP or exceeds the size limit (billing unknown).
        """
        import aiohttp

        session = self._open_session()
        host = urlsplit(url).netloc
        started = time.perf_counter()
        try:
            async with session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy(url),
                timeout=aiohttp.ClientTimeout(
                    total=timeout_s, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s)
                ),
            ) as response:
                if response.status < 300:
                    content = await self._read(response)
                else:
                    content = await _read_error(response)
                return HttpReply(
                    status=response.status,
                    headers=response.headers,
                    body=content,
                    latency_s=time.perf_counter() - started,
                )
        except aiohttp.ConnectionTimeoutError:
            raise _unreachable(host, "no connection in time") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise _unreachable(host, f"TLS failed: {_reason(error)}", retryable=False) from None
        except aiohttp.ClientConnectorError as error:
            raise _unreachable(host, _reason(error)) from None
        except aiohttp.ClientHttpProxyError as error:
            detail = f"the proxy answered with status {error.status}"
            raise _unreachable(host, detail, retryable=error.status >= 500) from None
        except TimeoutError:
            raise _lost("timeout", f"no full answer in {timeout_s:g} s") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise _lost("cut", f"the answer ended early ({type(error).__name__})") from None
        except aiohttp.ClientError as error:
            raise _lost("malformed", f"the answer is no HTTP ({type(error).__name__})") from None

    async def aclose(self) -> None:
        """Closes all connections; the next exchange would open new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def open(self) -> None:
        """Gets ready to send, so that the first attempt is not announced long before it leaves."""
        self._open_session()

    def _open_session(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                # No limit here: how many requests are in flight is `limits`' decision.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip, deflate",
                    "User-Agent": f"corl-bench/{corl_bench.__version__}",
                },
            )
        return self._session

    def _proxy(self, url: str) -> str | None:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._proxies:
            self._proxies[origin] = proxy_for(url, self._environment)
        return self._proxies[origin]

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks: list[bytes] = []
        size = 0
        # Chunk by chunk, so that a gzip bomb is met at the limit and not after it.
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > self._max_body_bytes:
                response.close()
                limit_mib = self._max_body_bytes / 1024**2
                raise ProviderError(
                    "malformed",
                    f"the answer has more than {limit_mib:g} MiB",
                    billing="unknown",
                )
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that `environment` names for `url`, or None for a direct connection.

    `NO_PROXY` holds host names separated by commas; each stands for its subdomains too, and
    `*` for every host.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    for exception in (_variable(environment, "no_proxy") or "").split(","):
        domain = exception.strip().lower().lstrip(".")
        if domain == "*" or host == domain or (domain and host.endswith(f".{domain}")):
            return None
    return _variable(environment, f"{parts.scheme}_proxy") or _variable(environment, "all_proxy")


def _variable(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name) or environment.get(name.upper()) or None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: what is sent there crosses no network."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _read_error(response: aiohttp.ClientResponse) -> bytes:
    """What can be had of an error's body: the status alone already says what happened."""
    import aiohttp

    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_ERROR_BODY_BYTES:
                response.close()
                break
    except (aiohttp.ClientError, TimeoutError):
        response.close()
    return bytes(body)


def _unreachable(host: str, detail: str, *, retryable: bool = True) -> ProviderError:
    return ProviderError("unreachable", f"cannot reach {host}: {detail}", retryable=retryable)


def _lost(status: ErrorStatus, detail: str) -> ProviderError:
    return ProviderError(status, detail, retryable=True, billing="unknown")


def _reason(error: Exception) -> str:
    """The operating system's words. Never `str(error)`: it can hold a proxy's password."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    return (getattr(cause, "strerror", None) or type(cause or error).__name__).strip()
