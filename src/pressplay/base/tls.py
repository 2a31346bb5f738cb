"""The TLS settings of plain http, where nobody asks for them."""

from __future__ import annotations

import functools
import ssl


@functools.cache
def trusting_nobody() -> ssl.SSLContext:
    """A context by which no TLS could ever go unverified.

    An HTTP client wants one even where it is for http alone, and would read the machine's
    authorities for it, which takes 20 ms. One for all: making it takes a millisecond.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
