"""Forms of the addresses that settings hold."""

import re
from urllib.parse import unquote, urlsplit

_UNESCAPED = re.compile("%(?!(?!00)[0-9a-fA-F]{2})|[# ]|[@/?].*@", re.DOTALL)
"""In a database URL after its scheme: where Python and PostgreSQL do not find the same host, or PostgreSQL none."""

_OPTIONS = re.compile("([^=&]+=[^=&]*(&[^=&]+=[^=&]*)*)?")

_WEB_ADDRESS = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d+)?(/[\w.~%-]*)*")


def has_unescaped_marks(database_url: str) -> bool:
    """Return True if a user or password in a database URL has marks that must be escaped.

    >>> has_unescaped_marks("postgresql://me:50%@host/db"), has_unescaped_marks("postgresql://me:50%25@host/db")
    (True, False)
    """
    return bool(_UNESCAPED.search(database_url.partition("://")[2]))


def is_postgresql_url(text: str) -> bool:
    """Return True for a URL of a PostgreSQL database.

    >>> is_postgresql_url("postgresql://me:mine@host:5432/db?sslmode=require"), is_postgresql_url("mysql://host/db")
    (True, False)
    """
    return _is_url(text, "postgresql", "postgres") and bool(_OPTIONS.fullmatch(urlsplit(text).query))


def is_web_address(text: str) -> bool:
    """Return True for an HTTP address without a user, a query or a fragment.

    >>> is_web_address("https://api.binance.com/api"), is_web_address("https://api.binance.com/api?limit=5")
    (True, False)
    """
    return _is_url(text, "https", "http") and bool(_WEB_ADDRESS.fullmatch(text))


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        host = unquote(parts.hostname or "").encode("idna")
        return parts.scheme in schemes and bool(host) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False
