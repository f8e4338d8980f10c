"""Small texts from those who publish artifacts, over TLS alone: asked from this machine."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping

import httpx

from binderbox.errors import BrokenOff, NoAnswer, TooLong, reason_of, without_query
from binderbox.output.requests import Said

CONNECT_S, ANSWER_S = 10, 60
REDIRECTS = 5
MB = 1_000_000


class Publishers:
    """Asks from this machine; `extra_ca` are authorities trusted beside the system's. Close it after use."""

    def __init__(self, extra_ca: Iterable[str] = ()) -> None:
        tls = ssl.create_default_context()
        for pem in extra_ca:
            tls.load_verify_locations(cadata=pem)
        self._client = httpx.Client(verify=tls, timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S))

    def close(self) -> None:
        self._client.close()

    def __call__(self, url: str, headers: Mapping[str, str], limit_mb: float) -> Said:
        """One GET, all of it within a time and a size; raises NoAnswer.

        It follows redirects to https alone, and to another host without the header Authorization.
        """
        deadline = time.monotonic() + ANSWER_S
        sent = dict(headers)
        for _ in range(REDIRECTS + 1):
            if httpx.URL(url).scheme != "https":
                raise NoAnswer(f"{without_query(url)}: it is no https, and was not asked")
            said = self._once(url, sent, limit_mb, deadline)
            if not (300 <= said.status < 400 and "location" in said.headers):
                return said
            try:
                there = httpx.URL(url).join(said.headers["location"])
            except (httpx.InvalidURL, ValueError) as error:
                raise NoAnswer(f"{without_query(url)}: a redirect to what is no address") from error
            if (there.host, there.port) != (httpx.URL(url).host, httpx.URL(url).port):
                sent.pop("Authorization", None)
            url = str(there)
        raise NoAnswer(f"{without_query(url)}: more than {REDIRECTS} redirects")

    def _once(self, url: str, headers: Mapping[str, str], limit_mb: float, deadline: float) -> Said:
        try:
            with self._client.stream("GET", url, headers={"User-Agent": "binderbox", **headers}) as response:
                body = bytearray()
                for block in response.iter_bytes():
                    body += block
                    if len(body) > limit_mb * MB:
                        raise TooLong(f"{without_query(url)}: expected at most {limit_mb:g} MB, found more")
                    if time.monotonic() > deadline:
                        raise NoAnswer(f"{without_query(url)}: not finished within {ANSWER_S} s")
                return Said(url, response.status_code, dict(response.headers), bytes(body))
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise BrokenOff(f"{without_query(url)}: {reason_of(error)}") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise NoAnswer(f"{without_query(url)}: {reason_of(error)}") from error
