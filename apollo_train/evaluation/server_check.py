"""Whether anybody listens where a model is said to be: told before the first session, not by every one of them."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from apollo_train.evaluation.plan import BadEvaluation, Contender, check_url, without_password

SECONDS: Final = 10.0


def check_reachable(contenders: Iterable[Contender]) -> None:
    """Raises BadEvaluation, naming the first server that takes no connection. Servers behind a proxy are not tried."""
    for contender in contenders:
        url = contender.spec.base_url
        if url is None or contender.spec.provider not in ("openai", "anthropic"):
            continue
        check_url(url)
        parts = urlsplit(url)
        assert parts.hostname is not None
        if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname):
            continue
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname, port), SECONDS).close()
        except (OSError, UnicodeError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            raise BadEvaluation(
                f"nobody answers at {without_password(url)} ({contender.label}): {reason}; start the server, or give "
                "another --base-url"
            ) from None
