"""`fastsr serve`: what it refuses, the password, and how it ends."""

import signal
import socket
import sys
import urllib.error
import urllib.request

import pytest
from support.web_server import PATIENT, serving

from fastsr.cli.command import main
from fastsr.web.settings import Settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0 lets everyone who reaches this machine use it; add --password"),
        (["--port", "99999"], "--port 99999 is not a port"),
        (["--max-megapixels", "0"], "--max-megapixels 0 is not a number above 0"),
        (["--keep-hours", "-1"], "--keep-hours -1 is not a number above 0"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_calls(options, message, capsys, monkeypatch):
    monkeypatch.delenv("FASTSR_PASSWORD", raising=False)
    assert main(["serve", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_port_that_is_taken(tmp_path, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port), "--folder", str(tmp_path)]) == 1
    assert f"cannot listen at 127.0.0.1, port {port} (Address already in use)" in capsys.readouterr().err


def test_without_gradio(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "fastsr.web.page", raising=False)
    monkeypatch.setattr("fastsr.web.server._quiet", lambda store: None)  # of the environment of all tests
    assert main(["serve", "--port", "0", "--folder", str(tmp_path)]) == 1
    assert 'pip install "fastsr[web]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)]
)
def test_which_addresses_are_local(host, local, tmp_path):
    assert Settings(host=host, password="p", folder=tmp_path).is_local == local


def test_ctrl_c_ends_it(tmp_path):
    pytest.importorskip("gradio", reason='Gradio is not installed: pip install "fastsr[web]"')
    with serving(tmp_path / "web") as (_, process):
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_password_is_asked_for(tmp_path):
    pytest.importorskip("gradio", reason='Gradio is not installed: pip install "fastsr[web]"')
    from gradio_client import Client

    with serving(tmp_path / "web", FASTSR_PASSWORD="open sesame") as (address, _):
        closed = ["/config", "/gradio_api/info", "/gradio_api/file=/etc/passwd"]
        for path in closed:
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(address + path, timeout=60)
            assert refused.value.code in (401, 404)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{address}/gradio_api/upload", b"x", timeout=60)
        with pytest.raises(Exception, match=r"(?i)auth|credentials|login"):
            Client(address, auth=("any", "sesame"), verbose=False, httpx_kwargs=PATIENT)
        client = Client(address, auth=("any", "open sesame"), verbose=False, httpx_kwargs=PATIENT)
        assert "fast-x4" in client.predict(api_name="/models")
