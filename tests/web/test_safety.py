"""What a server gives nobody: files that are not the visitor's, other sites' requests, addresses to fetch from."""

import http.client
import json
import re
import urllib.error
import urllib.request

import pytest

FILE = {"_type": "gradio.FileData"}
REFUSAL = re.compile(r"upload it again|was not uploaded by a user|null byte")


def ask(url, data=None, **headers):
    """Status and body of an answer."""
    body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
    headers = {"Content-Type": "application/json"} | {key.replace("_", "-"): value for key, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def upscale_of(address, path):
    """What a request for a file that the server already has ends in."""
    given = [{"path": path, "meta": FILE}, "bicubic", "2x", 1, 1, "png", 90]
    status, body = ask(f"{address}/gradio_api/call/upscale", {"data": given})
    if status != 200:
        return f"{status} {body}"
    return ask(f"{address}/gradio_api/call/upscale/{json.loads(body)['event_id']}")[1]


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", "/etc", "", "\0"])
def test_a_program_cannot_name_files_of_the_server(address, path):
    told = upscale_of(address, path)
    assert "root:" not in told
    assert "event: error" in told
    assert REFUSAL.search(told)


def test_the_secret_is_no_upload(address, folder):
    assert (folder / "secret").is_file()
    assert REFUSAL.search(upscale_of(address, str(folder / "secret")))
    (folder / "files" / "loose").write_text("x")
    assert REFUSAL.search(upscale_of(address, str(folder / "files" / "loose")))


@pytest.mark.parametrize("name", ["/etc/passwd", "{folder}/secret", "{folder}/files", "{folder}/files/../secret"])
def test_only_files_of_sessions_are_served(address, folder, name):
    assert ask(f"{address}/gradio_api/file={name.format(folder=folder)}")[0] in (403, 404)


def test_what_leads_out_of_a_session_is_not_served(address, folder):
    session = folder / "files" / ("s-" + "a" * 43)
    session.mkdir()
    (session / "own.txt").write_text("own")
    (session / "link.txt").symlink_to("/etc/passwd")
    (session / ".hidden").write_text("hidden")
    assert ask(f"{address}/gradio_api/file={session}/own.txt") == (200, "own")
    assert ask(f"{address}/gradio_api/file={session}/link.txt")[0] in (403, 404)
    assert ask(f"{address}/gradio_api/file={session}/.hidden")[0] in (403, 404)


def test_nothing_is_fetched_from_an_address(address):
    for url in ("http://127.0.0.1:9/x.png", "https://example.com/x.png", "file:///etc/passwd"):
        assert upscale_of(address, url) == "400 files are uploaded, not fetched from an address"
        assert ask(f"{address}/gradio_api/file={url}")[0] in (403, 404)
    assert ask(f"{address}/gradio_api/proxy=https://example.com/x.png")[0] == 404


@pytest.mark.parametrize(
    "name", ["file//etc/hostname", "deep_link?session_hash=x", "dev/reload", "runs", "stream/x/close"]
)
def test_doors_that_the_page_does_not_use_are_closed(address, name):
    assert ask(f"{address}/gradio_api/{name}") == (404, "not here")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_requests_of_other_sites_are_refused(address, origin):
    given = {"data": []}
    assert ask(f"{address}/gradio_api/call/models", given, Origin=origin)[0] == 403
    assert ask(f"{address}/gradio_api/call/models", given, Origin=address)[0] == 200


def test_a_name_of_another_site_does_not_lead_here(address):
    assert ask(address, Host="evil.example")[0] == 403
    assert ask(address, Host="localhost")[0] == 200


def test_bodies_are_bounded(address):
    assert ask(f"{address}/gradio_api/call/upscale", b'{"data": ["' + b"x" * (1 << 20) + b'"]}')[0] == 413


def test_uploads_are_bounded(address):
    boundary = "x" * 30
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body = f"{head}content\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    assert ask(f"{address}/gradio_api/upload", body, Content_Type=kind)[0] == 200
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    for length in ("5000000", "-1", "many"):
        connection.putrequest("POST", "/gradio_api/upload")
        for name, value in (("Content-Type", kind), ("Content-Length", length)):
            connection.putheader(name, value)
        connection.endheaders()  # the answer does not wait for what would follow
        assert connection.getresponse().status in (400, 413)
        connection.close()


def test_the_page_loads_nothing_from_elsewhere(address):
    status, page = ask(address)
    assert status == 200
    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(https?:)?//([^"]*)"', page)
    assert [host for _, host in loaded if not host.startswith("127.0.0.1")] == []
    with urllib.request.urlopen(address, timeout=60) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    theme = ask(f"{address}/theme.css")[1]
    assert "@import" not in theme
    assert "http" not in theme.replace("http://www.w3.org/2000/svg", "")  # the name of a format


def test_nothing_is_told_to_others(address):
    config = json.loads(ask(f"{address}/config")[1])
    assert config["analytics_enabled"] is False
    assert config.get("run_history") in (False, None)
    assert ask(f"{address}/monitoring")[0] == 404


def test_what_the_page_calls_is_no_api(client):
    names = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert {"/models", "/upscale"} <= set(names)
    assert not [name for name in names if name.startswith("/_")]
