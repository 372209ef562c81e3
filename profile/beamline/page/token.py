"""Who may look at a page that other machines can reach: whoever has the token.

The token comes once in the address, `http://host:5006/?token=…`, and is kept in a cookie that no script can read and no
other site can send; the address is then shown without it.
"""

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from tornado.web import HTTPError, RequestHandler

from whiteline.beamline.page.addresses import is_loopback

COOKIE = "whiteline_token"
SHORTEST = 16
"""Characters that a token must have at least."""


class TokenError(ValueError):
    """A page that would be open to others without a token."""


def token_of(file: Path | None, address: str) -> str | None:
    """Return the token of a page; None where only this machine can reach it, and none is given.

    Parameters
    ----------
    file : Path or None
        Holds it in its first line.
    address : str
        To which the page is bound.

    Raises
    ------
    TokenError
        If one is needed and not given, or is too short.
    """
    make = 'python3 -c "import secrets; print(secrets.token_urlsafe())" > page.token; chmod 600 page.token'
    if file is None:
        if is_loopback(address):
            return None
        raise TokenError(
            f"address {address} can be reached from other machines, and no token is given: make one by `{make}`, and "
            "pass --token-file page.token"
        )
    try:
        lines = file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise TokenError(f"token file {file} cannot be read: {reason}; make one by `{make}`") from error
    if not lines or len(lines[0]) < SHORTEST:
        found = len(lines[0]) if lines else 0
        raise TokenError(
            f"token in {file} has {found} characters and must have at least {SHORTEST}; make one by `{make}`"
        )
    return lines[0]


class TokenProvider(AuthProvider):
    """Lets those in who have the token.

    Parameters
    ----------
    token : str
        The token.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], str | None]:
        """What names the viewer of a request, or refuses it."""
        return self._viewer

    @property
    def login_url(self) -> str:
        """Where those go who are not let in; none comes here, as they are refused before."""
        return "/refused"

    def _viewer(self, handler: RequestHandler) -> str:
        given = handler.get_query_argument("token", "")
        if self._right(given):
            # Strict: no page of another site can open a connection with it
            handler.set_cookie(
                COOKIE, given, httponly=True, samesite="Strict", secure=handler.request.protocol == "https"
            )
            return "viewer"
        kept = handler.get_cookie(COOKIE, "") or ""
        if self._right(str(kept)):
            return "viewer"
        raise HTTPError(403, reason="a token is needed: open the address that ends in ?token=...")

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())
