"""Access to hosts: cookies and proxy, checked before anything is downloaded."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from talkingpose.io.documents import read_text
from talkingpose.io.errors import UserError

_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


class AccessError(UserError):
    """A cookies file or a proxy URL that cannot be used."""


@dataclass(frozen=True)
class Access:
    """Cookies as the text of a Netscape file, and the URL of a proxy."""

    cookies: str | None = None
    proxy: str | None = None


def read_access(cookies: Path | None = None, proxy: str | None = None) -> Access:
    """Check a cookies file and a proxy URL; the file is read, never written.

    Raises:
        DocumentError: the cookies file cannot be read.
        AccessError: it is not in Netscape's format or empty, or the proxy URL is invalid.
    """
    if proxy is not None:
        _check_proxy(proxy)
    return Access(None if cookies is None else _read_cookies(cookies), proxy)


def _check_proxy(proxy: str) -> None:
    try:
        parts = urlsplit(proxy)
        valid = parts.scheme in _PROXY_SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise AccessError("--proxy: invalid proxy URL: give http://HOST:PORT or socks5://HOST:PORT")


def _read_cookies(path: Path) -> str:
    from yt_dlp.cookies import YoutubeDLCookieJar

    jar = YoutubeDLCookieJar(io.StringIO(read_text(path, "cookies")))
    try:
        # The cookie jar warns of every line that it does not know.
        with contextlib.redirect_stderr(io.StringIO()):
            jar.load()
    except (OSError, ValueError) as error:
        raise AccessError(f"cookies {path}: not in Netscape's format: export them as cookies.txt") from error
    if not len(jar):
        raise AccessError(f"cookies {path}: no cookie in it: export them as cookies.txt")
    clean = io.StringIO()
    jar.save(clean)
    return clean.getvalue()
