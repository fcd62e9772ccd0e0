"""Photos on the page, as visitors use it: by mouse, keys and fingers, several at once, and over a restart."""

import io
import re
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.browser import Watched
from support.small_models import SAMPLE
from support.web_server import serving

import fastsr

BUSY = 180_000  # milliseconds that a shared machine may take for what is a matter of seconds


@pytest.fixture
def photo(tmp_path):
    return sample(tmp_path / "photo.png", (64, 48))


def sample(path, size):
    with Image.open(SAMPLE) as image:
        image.convert("RGB").resize(size).save(path)
    return path


@pytest.fixture
def visit(browser, address):
    """Opens the page for a new visitor; at the end nothing may have been asked of others, or complained of."""
    visits = []
    lost = re.compile("ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING)")  # of a server that a test killed

    def opened(url=address, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(BUSY)
        page = context.new_page()
        visits.append((context, Watched(page)))
        open_page(page, url)
        return page

    yield opened
    for context, watched in visits:
        assert watched.elsewhere == []
        assert [text for text in watched.complaints if not lost.search(text)] == []
        context.close()


def open_page(page, url):
    page.goto(url)
    page.get_by_role("button", name="Enlarge").wait_for()


def drop(page, *paths):
    """Hand files to the page and wait until they were taken; where it was not ready for them, once more."""
    from playwright.sync_api import TimeoutError

    for patience in (5_000, 20_000, BUSY):
        page.locator("#photos input[type=file]").set_input_files([str(path) for path in paths])
        try:
            page.locator(f'#photos [aria-label="{paths[-1].name}"]').wait_for(timeout=patience)
            return
        except TimeoutError:
            if patience == BUSY:
                raise


def preview(page):
    """Wait for what is shown of a photo before it is enlarged."""
    page.get_by_text("This is a part of it").wait_for()
    page.get_by_role("slider", name="Divider").wait_for()


def choose(page, label, value):
    box = page.get_by_label(label, exact=True)
    box.click()
    box.fill(value)
    page.get_by_role("option", name=re.compile(f"^{value}( |$)")).click()


def enlarge(page, name):
    """Enlarge what was dropped; returns the result of this name as an array, downloaded as a visitor would."""
    page.get_by_role("button", name="Enlarge").click()
    return downloaded(page, name)


def downloaded(page, name):
    link = page.locator(f'#photo-results a[download="{name}"]')
    link.wait_for()
    with page.expect_download() as download:
        link.click()
    return np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes())))


def expected(path, **options):
    return np.asarray(fastsr.upscale(path, **options))


def test_a_photo_is_seen_enlarged_and_downloaded(visit, photo):
    page = visit()
    drop(page, photo)
    preview(page)
    assert np.array_equal(enlarge(page, "photo-x4.png"), expected(photo))
    page.get_by_text("256 x 192 pixels by fast-x4").wait_for()
    assert page.locator("fastsr-viewer").get_attribute("after") == "fast-x4"


def test_the_divider_moves_over_the_result(visit, photo):
    page = visit()
    drop(page, photo)
    preview(page)
    divider = page.get_by_role("slider", name="Divider")
    box = divider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] - 100, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    moved = int(divider.get_attribute("aria-valuenow"))
    assert moved < 45
    enlarge(page, "photo-x4.png")
    page.get_by_role("button", name="Show its pixels").click()
    page.get_by_text("100 %").wait_for()


def test_another_model_and_size(visit, photo):
    page = visit()
    drop(page, photo)
    preview(page)
    choose(page, "Model", "fast-x2")
    page.locator('fastsr-viewer[after="fast-x2"]').wait_for()
    choose(page, "Size", "2x")
    assert np.array_equal(enlarge(page, "photo-x2.png"), expected(photo, model="fast-x2", scale=2))


def test_several_photos_and_a_zip_of_their_results(visit, tmp_path):
    paths = [sample(tmp_path / f"{name}.png", size) for name, size in (("one", (40, 30)), ("two", (30, 40)))]
    page = visit()
    drop(page, *paths)
    preview(page)
    page.get_by_text("the first of 2").wait_for()
    assert np.array_equal(enlarge(page, "two-x4.png"), expected(paths[1]))
    assert np.array_equal(downloaded(page, "one-x4.png"), expected(paths[0]))
    with page.expect_download() as download:
        page.get_by_role("button", name="All as a zip").click()
    assert Path(download.value.path()).read_bytes().startswith(b"PK")


def test_a_long_run_is_stopped_and_the_next_one_goes_on(visit, photo, tmp_path):
    large = sample(tmp_path / "large.jpg", (1600, 1200))
    page = visit()
    drop(page, large)
    preview(page)
    choose(page, "Model", "srgan-x4")
    page.get_by_role("button", name="Enlarge").click()
    page.get_by_role("progressbar").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert page.locator("#photo-results a").count() == 0
    page.get_by_role("button", name="Enlarge").is_enabled()
    choose(page, "Model", "fast-x4")
    page.get_by_label("Clear").first.click()
    drop(page, photo)
    preview(page)
    assert np.array_equal(enlarge(page, "photo-x4.png"), expected(photo, model="fast-x4"))


def bomb():
    """A PNG of a few bytes that says it has four thousand megapixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">2I5B", 65000, 65000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("text.png", b"This is a letter to my aunt, not a photo.\n" * 9, "text.png: not an image"),
        ("bomb.png", bomb(), "bomb.png: is larger than the 2 megapixels"),
        ("empty.png", b"", "empty.png: the file is empty"),
        ("cut.png", None, "cut.png: damaged or cut short"),
    ],
)
def test_a_wrong_file_is_told_on_the_page(visit, photo, tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(photo.read_bytes()[:400] if data is None else data)
    page = visit()
    drop(page, path)
    page.get_by_text(message).first.wait_for()
    assert str(tmp_path) not in page.inner_text("body")
    page.get_by_role("button", name="Enlarge").click()
    page.get_by_role("alert").get_by_text(message).first.wait_for()
    drop(page, photo)  # and all goes on


def test_a_good_photo_beside_a_wrong_one(visit, photo, tmp_path):
    (tmp_path / "text.png").write_bytes(b"no photo")
    page = visit()
    drop(page, photo, tmp_path / "text.png")
    preview(page)
    assert np.array_equal(enlarge(page, "photo-x4.png"), expected(photo))
    page.get_by_role("alert").get_by_text("text.png: not an image").first.wait_for()


def test_two_visitors_at_once_see_their_own(visit, tmp_path):
    paths = [sample(tmp_path / f"{name}.png", (120, 90)) for name in ("hers", "his")]
    Image.open(paths[1]).transpose(Image.Transpose.ROTATE_180).save(paths[1])
    pages = [visit() for _ in paths]
    for page, path in zip(pages, paths, strict=True):
        drop(page, path)
    for page in pages:
        preview(page)
        page.get_by_role("button", name="Enlarge").click()
    for page, path in zip(pages, paths, strict=True):
        assert np.array_equal(downloaded(page, f"{path.stem}-x4.png"), expected(path))
        assert page.locator("#photo-results a").count() == 1


def test_one_visitor_does_not_reach_what_another_has(visit, photo):
    """Not by an address with a part left out, or another in its place."""
    page, other = visit(), visit()
    drop(page, photo)
    preview(page)
    enlarge(page, "photo-x4.png")
    address = page.locator("#photo-results a").get_attribute("href")
    session = next(part for part in address.split("/") if part.startswith("s-"))
    assert other.request.get(address).status == 200, "whoever is given the address may see it"
    for wrong in (
        address.replace(session, "s-" + "a" * 43),
        address.split(session)[0],
        address.split(session)[0] + session,
    ):
        assert other.request.get(wrong).status in (403, 404)
    assert other.locator("#photo-results a").count() == 0


def test_results_outlive_a_killed_server(visit, photo, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    folder = tmp_path / "web"
    with serving(folder, "--port", port) as (url, process):
        page = visit(url)
        drop(page, photo)
        preview(page)
        enlarge(page, "photo-x4.png")
        process.kill()
        process.wait()
    with serving(folder, "--port", port) as (url, _):
        open_page(page, url)
        assert np.array_equal(downloaded(page, "photo-x4.png"), expected(photo))
        page.locator("#photo-results td").first.click()
        page.get_by_role("slider", name="Divider").wait_for()


def test_everything_by_keys(visit, photo):
    page = visit()
    focus(page, lambda at: "upload" in at)
    choose_files(page, photo)
    preview(page)
    focus(page, lambda at: "model" in at)
    page.keyboard.press("Control+a")
    page.keyboard.type("fast-x4")
    page.keyboard.press("Enter")
    focus(page, lambda at: at.startswith("enlarge"))
    page.keyboard.press("Enter")
    page.locator("#photo-results a").wait_for()
    focus(page, lambda at: "divider" in at)
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("slider", name="Divider").get_attribute("aria-valuenow") == "52"
    focus(page, lambda at: "photo-x4.png" in at)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert np.array_equal(np.asarray(Image.open(download.value.path())), expected(photo))


def choose_files(page, path):
    """Open the dialog for files by a key; a busy browser now and then opens none, so more than once."""
    from playwright.sync_api import TimeoutError

    for attempts in reversed(range(5)):
        try:
            with page.expect_file_chooser(timeout=5_000) as chooser:
                page.keyboard.press("Enter")
            break
        except TimeoutError:
            if not attempts:
                raise
    chooser.value.set_files(str(path))


def focus(page, wanted):
    """Press Tab until what has the focus is what is wanted, by its name."""
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => {
                let at = document.activeElement;
                while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
                return `${at.ariaLabel ?? ""} ${at.title ?? ""} ${at.innerText ?? ""} ${at.download ?? ""}`.trim();
            }"""
        ).lower()
        if wanted(name):
            return
        seen.append(name)
    pytest.fail(f"the keyboard reaches only {seen}")


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_is_wider_than_a_phone(visit, photo, width):
    page = visit(viewport={"width": width, "height": 800}, is_mobile=True, has_touch=True, device_scale_factor=2)
    assert overhang(page) == []
    drop(page, photo)
    preview(page)
    enlarge(page, "photo-x4.png")
    assert overhang(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert page.locator("fastsr-viewer").bounding_box()["width"] > width * 0.75


def overhang(page):
    """What reaches beyond the screen's right edge, even where it is cut off there."""
    return page.evaluate(
        """() => {
            const visible = (at) => at.checkVisibility() && at.getBoundingClientRect().width > 1;
            const beyond = (at) => at.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
            const parts = document.querySelectorAll("main button, main input, main p, main a, fastsr-viewer");
            return [...parts].filter((at) => visible(at) && beyond(at)).map((at) => at.outerHTML.slice(0, 100));
        }"""
    )


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_dark_and_light(visit, scheme):
    page = visit(color_scheme=scheme)
    colors = page.evaluate(
        """() => {
            const of = (element, what) => getComputedStyle(element)[what].match(/[\\d.]+/g).slice(0, 3).map(Number);
            const heading = document.querySelector("#title h1");
            return [of(heading, "color"), of(document.body, "backgroundColor")];
        }"""
    )
    text, ground = (sum(color) / 3 for color in colors)
    assert (text > ground) == (scheme == "dark")
    assert abs(text - ground) > 150


def test_a_pasted_photo(visit, photo):
    page = visit()
    page.evaluate(
        """async (bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "photo.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        list(photo.read_bytes()),
    )
    preview(page)
    assert np.array_equal(enlarge(page, "photo-x4.png"), expected(photo))
