"""The page is served to those who may see it; what it cannot do is one sentence with a remedy."""

import http.client
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from whiteline.beamline.cli import live
from whiteline.beamline.page.addresses import is_loopback
from whiteline.beamline.page.token import COOKIE, SHORTEST, TokenError, token_of

PROGRAM = [sys.executable, "-c", "from whiteline.beamline.cli import main; main()", "live", "--zmq"]
LONGEST_S = 120.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def token() -> str:
    return secrets.token_urlsafe()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, token: str) -> Iterator[int]:
    """A page that asks for a token, and its port."""
    folder, port = tmp_path_factory.mktemp("page"), free_port()
    (folder / "token").write_text(token + "\n")
    command = [*PROGRAM, f"ipc://{folder}/documents", "--data", f"{folder}/data", "--port", str(port)]
    with subprocess.Popen([*command, "--token-file", f"{folder}/token"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert f"page at http://127.0.0.1:{port}/?token=" in told
        assert token not in told  # whoever looks over a shoulder, or keeps a log
        yield port
        process.terminate()
        assert process.wait(LONGEST_S) == 0


def get(port: int, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_S)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.getheaders())


def test_the_page_is_for_those_who_have_the_token(guarded: int, token: str) -> None:
    wrong = ("/", ""), ("/?token=", ""), (f"/?token={token[:-1]}", ""), ("/?token=%C3%A9", ""), ("/", f"{COOKIE}=wrong")
    for path, cookie in wrong:
        status, text, _ = get(guarded, path, Cookie=cookie)
        assert status == 403, path
        assert "docs_json" not in text
    status, text, headers = get(guarded, f"/?token={token}")
    assert status == 200
    assert "docs_json" in text
    kept = headers["Set-Cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=Strict" in kept
    status, text, _ = get(guarded, "/", Cookie=kept.split(";")[0])
    assert status == 200
    for elsewhere in ("http://cdn", "https://cdn", "https://unpkg", "https://fonts"):
        assert f'src="{elsewhere}' not in text
        assert f'href="{elsewhere}' not in text


def test_a_stranger_opens_no_connection_for_documents(guarded: int, token: str) -> None:
    _, _, headers = get(guarded, f"/?token={token}")
    for cookie, origin in (
        ("", f"http://127.0.0.1:{guarded}"),
        (headers["Set-Cookie"].split(";")[0], "http://elsewhere"),
    ):
        asked = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Origin": origin,
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "bokeh, x", "Cookie": cookie,
        }  # fmt: skip
        assert get(guarded, "/ws", **asked)[0] == 403


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"zmq": "tcp://0.0.0.0:5577"}, "is not on loopback"),
        ({"zmq": "tcp://127.0.0.1"}, "with a port of 1 to 65535"),
        ({"beamline": "no.toml"}, "no.toml"),
        ({"address": "0.0.0.0"}, "no token is given: make one by"),
        ({"address": "0.0.0.0", "token_file": Path("none.token")}, "none.token cannot be read: no such"),
        ({"address": "192.0.2.7", "token_file": Path("good")}, "page cannot listen at 192.0.2.7"),
        ({"reference": ["NiO"]}, "must be NAME=FILE.xdi"),
        ({"reference": ["NiO=none.xdi"]}, "none.xdi cannot be read"),
        ({"catalog": "nowhere"}, "catalog 'nowhere' cannot be opened"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    options: dict[str, Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good").write_text("x" * SHORTEST)
    with pytest.raises((ValueError, OSError)) as refused:
        live.live(**{"port": free_port(), **options})
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"at 127.0.0.1:{port}: address already in use; choose another by --port"):
            live.live(port=port)


def test_a_token_must_be_hard_to_guess(tmp_path: Path) -> None:
    file = tmp_path / "token"
    for text in ("", "short\n"):
        file.write_text(text)
        with pytest.raises(TokenError, match=f"must have at least {SHORTEST}"):
            token_of(file, "0.0.0.0")
    file.write_text("x" * SHORTEST + "\n")
    assert token_of(file, "0.0.0.0") == "x" * SHORTEST
    assert token_of(None, "127.0.0.1") is None
    for address in ("0.0.0.0", "::", "10.1.2.3", "example.org"):
        assert not is_loopback(address)
    for address in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert is_loopback(address)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "find_spec", lambda name: None if name == "panel" else object())
    with pytest.raises(OSError, match=r"needs panel, not installed: pip install -e '\.\[live\]'"):
        live.live()
