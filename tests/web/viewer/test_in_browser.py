"""The viewer in a browser: divider, zoom and keys do what they say, and what is seen are the pixels of both sides."""

import io

import numpy as np
import pytest
from PIL import Image
from support.browser import Watched, served
from support.image_helpers import noise

import fastsr

pytest.importorskip("starlette", reason='needs: pip install "fastsr[web]"')
pytest.importorskip("uvicorn", reason='needs: pip install "fastsr[web]"')
from starlette.applications import Starlette

from fastsr.web import viewer

KEY = "key-of-a-view-that-nobody-guesses"
FRAME = {"width": 900, "height": 700}


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """Both sides of a view, at the size of the result, which is several tiles wide."""
    folder = tmp_path_factory.mktemp("view")
    original, result = noise(400, 600, 3), noise(1600, 2400, 3)
    Image.fromarray(original).save(folder / "original.png")
    Image.fromarray(result).save(folder / "result.png")
    return folder, fastsr.upscale(original, model="bicubic", scale=4), result


@pytest.fixture(scope="module")
def address(sides):
    folder = sides[0]
    with served(Starlette(routes=viewer.routes({KEY: (folder / "original.png", folder / "result.png")}))) as address:
        yield address


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport=FRAME, reduced_motion="reduce")
    page = context.new_page()
    page.watched = Watched(page)
    page.goto(f"{address}/viewer/{KEY}/")
    page.get_by_role("slider").wait_for()
    settle(page)
    yield page
    assert page.watched.complaints == []
    assert page.watched.elsewhere == []
    context.close()


def settle(page):
    """Wait until all tiles are there and drawn."""
    page.wait_for_function(
        """() => {
            const { osd, sides } = document.querySelector("fastsr-viewer");
            return sides?.every((side) => side.getFullyLoaded()) && osd.viewport.zoomSpring.isAtTargetValue();
        }"""
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def zoom(page):
    return page.evaluate("document.querySelector('fastsr-viewer').zoom")


def center(page):
    """The pixel of the result in the middle of the view."""
    return page.evaluate(
        """() => {
            const { osd, image } = document.querySelector("fastsr-viewer");
            const at = image.viewportToImageCoordinates(osd.viewport.getCenter(true));
            return [at.x, at.y];
        }"""
    )


def divider(page):
    return int(page.get_by_role("slider").get_attribute("aria-valuenow"))


def seen(page, left, top, width, height):
    """Pixels of the screen, counted from the picture's corner."""
    box = page.locator("fastsr-viewer .picture").bounding_box()
    clip = {"x": box["x"] + left, "y": box["y"] + top, "width": width, "height": height}
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))


def corner(page):
    """The pixel of the result in the picture's corner."""
    return page.evaluate(
        """() => {
            const { osd, image } = document.querySelector("fastsr-viewer");
            const at = osd.viewport.viewerElementToViewportCoordinates(new OpenSeadragon.Point(0, 0));
            const pixel = image.viewportToImageCoordinates(at, true);
            return [pixel.x, pixel.y];
        }"""
    )


def lies_in(part, whole, left, top):
    """Whether a part is exactly what lies in the whole around a place."""
    height, width, _ = part.shape
    for y in range(max(0, int(top) - 1), int(top) + 3):
        for x in range(max(0, int(left) - 1), int(left) + 3):
            if np.array_equal(part, whole[y : y + height, x : x + width]):
                return True
    return False


def test_at_first_all_of_it_is_seen(page):
    assert zoom(page) < 0.5
    assert divider(page) == 50
    assert page.get_by_text("Original, bicubic").is_visible()
    assert page.get_by_text("Result", exact=True).is_visible()
    loaded = [url for url in page.watched.requests if url.endswith(".png")]
    assert not any("original/0/" in url or "result/0/" in url for url in loaded), "single pixels are not seen yet"


def test_at_one_to_one_both_sides_are_exact(page, sides):
    page.get_by_role("button", name="Show its pixels").click()
    settle(page)
    assert zoom(page) == pytest.approx(1)
    left, top = corner(page)
    original, result = seen(page, 100, 150, 200, 100), seen(page, 560, 150, 200, 100)
    assert lies_in(original, sides[1], left + 100, top + 150)
    assert lies_in(result, sides[2], left + 560, top + 150)


def test_single_pixels_are_seen_as_squares(page, sides):
    for _ in range(30):
        page.get_by_role("button", name="Zoom in").click()
    settle(page)
    assert zoom(page) == pytest.approx(48), "the largest zoom"
    shown = seen(page, 560, 100, 240, 240).reshape(-1, 3)
    colors = {tuple(color) for color in shown.tolist()}
    assert len(colors) <= 7 * 7, "nothing is between pixels"
    x, y = (int(at) for at in center(page))
    assert colors <= {tuple(color) for color in sides[2][y - 12 : y + 12, x - 12 : x + 12].reshape(-1, 3).tolist()}


def test_the_divider_is_dragged(page, sides):
    box = page.get_by_role("slider").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("button", name="Show its pixels").click()
    settle(page)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 200, middle[1] + 30, steps=4)
    page.mouse.up()
    settle(page)
    assert divider(page) == pytest.approx(50 - 100 * 200 / 884, abs=1)
    left, top = corner(page)
    assert lies_in(seen(page, 300, 150, 120, 100), sides[2], left + 300, top + 150), "what was the other side"
    page.mouse.move(*middle)
    page.mouse.down()  # beside the divider now: the picture moves, the divider stays
    page.mouse.move(middle[0] - 50, middle[1], steps=4)
    page.mouse.up()
    settle(page)
    assert divider(page) == pytest.approx(50 - 100 * 200 / 884, abs=1)
    assert corner(page)[0] == pytest.approx(left + 50, abs=1)


def press(page, key):
    page.keyboard.press(key)
    settle(page)


def test_everything_can_be_done_by_keys(page):
    press(page, "Tab")
    picture = page.evaluate("document.activeElement.shadowRoot.activeElement.getAttribute('aria-label')")
    assert "arrow keys" in picture
    all_of_it = zoom(page)
    press(page, "+")
    assert zoom(page) == pytest.approx(all_of_it * 2**0.5, rel=1e-3)
    press(page, "-")
    assert zoom(page) == pytest.approx(all_of_it, rel=1e-3)
    press(page, "1")
    assert zoom(page) == pytest.approx(1)
    before = center(page)
    press(page, "ArrowRight")
    press(page, "ArrowDown")
    after = center(page)
    assert after[0] > before[0] + 50
    assert after[1] > before[1] + 50
    press(page, "Tab")  # to the divider
    press(page, "ArrowLeft")
    assert divider(page) == 48
    press(page, "Shift+ArrowRight")
    assert divider(page) == 58
    press(page, "Home")
    assert divider(page) == 0
    press(page, "End")
    assert divider(page) == 100
    assert "100 % Original" in page.get_by_role("slider").get_attribute("aria-valuetext")
    assert center(page) == pytest.approx(after, abs=1), "the divider's keys do not move the picture"
    press(page, "0")
    assert zoom(page) == pytest.approx(all_of_it)
    press(page, "Tab")
    press(page, "Tab")
    press(page, "Enter")  # the button after the one that zooms out
    assert zoom(page) == pytest.approx(all_of_it * 2**0.5, rel=1e-3)


def test_wheel_and_double_click_zoom_to_where_they_are(page):
    box = page.locator("fastsr-viewer .picture").bounding_box()
    at = (box["x"] + 200, box["y"] + 250)

    def pixel():
        return page.evaluate(
            """() => {
                const { osd, image } = document.querySelector("fastsr-viewer");
                const at = osd.viewport.viewerElementToViewportCoordinates(new OpenSeadragon.Point(200, 250));
                const found = image.viewportToImageCoordinates(at, true);
                return [found.x, found.y];
            }"""
        )

    before, all_of_it = pixel(), zoom(page)
    page.mouse.move(*at)
    page.mouse.wheel(0, -100)
    page.wait_for_function("(all) => document.querySelector('fastsr-viewer').zoom > all * 1.1", arg=all_of_it)
    assert pixel() == pytest.approx(before, abs=1)
    once = zoom(page)
    page.mouse.dblclick(*at)
    page.wait_for_function("(once) => document.querySelector('fastsr-viewer').zoom > once * 1.5", arg=once)
    assert pixel() == pytest.approx(before, abs=1)
    page.mouse.move(box["x"] + box["width"] / 2, at[1])  # over the divider
    twice = zoom(page)
    page.mouse.wheel(0, 100)
    page.wait_for_function("(twice) => document.querySelector('fastsr-viewer').zoom < twice * 0.95", arg=twice)


def test_full_screen(page):
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement?.localName === 'fastsr-viewer'")
    page.wait_for_function("() => document.querySelector('fastsr-viewer').osd.viewport.getContainerSize().y > 600")
    assert page.get_by_role("button", name="Full screen").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement === null")


def test_fingers_on_a_phone(browser, address):
    """One moves the divider, two zoom; and nothing is wider than the screen."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    page = context.new_page()
    page.goto(f"{address}/viewer/{KEY}/")
    page.get_by_role("slider").wait_for()
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    touches = context.new_cdp_session(page)

    def touch(kind, *points):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    box = page.get_by_role("slider").bounding_box()
    assert box["width"] >= 44, "wide enough for a finger"
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x - 20 * step, y))
    touch("touchEnd")
    assert divider(page) == pytest.approx(50 - 100 * 100 / 374, abs=1)
    before = zoom(page)
    x = box["x"] + 120
    touch("touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 8):
        touch("touchMove", (x - 20 - 5 * step, y), (x + 20 + 5 * step, y))
    touch("touchEnd")
    page.wait_for_function("(before) => document.querySelector('fastsr-viewer').zoom > before * 1.5", arg=before)
    context.close()


def test_a_large_result_is_never_asked_for_whole(browser, tmp_path):
    """At any zoom, tiles for what is seen."""
    original, result = noise(30, 1000, 3), np.tile(noise(120, 400, 3), (40, 20, 1))
    Image.fromarray(original).save(tmp_path / "original.png")
    Image.fromarray(result).save(tmp_path / "result.png", compress_level=1)
    routes = viewer.routes({KEY: (tmp_path / "original.png", tmp_path / "result.png")})
    with served(Starlette(routes=routes)) as address:
        context = browser.new_context(viewport=FRAME, reduced_motion="reduce")
        page = context.new_page()
        watched = Watched(page)
        page.goto(f"{address}/viewer/{KEY}/")
        page.get_by_role("slider").wait_for()
        settle(page)
        assert len([url for url in watched.requests if url.endswith(".png")]) < 40
        watched.requests.clear()
        page.get_by_role("button", name="Show its pixels").click()
        settle(page)
        largest = [url for url in watched.requests if "/result/0/" in url]
        assert 1 <= len(largest) <= 12, "of 160"
        context.close()


@pytest.mark.parametrize("width", [390, 900])
def test_a_view_that_is_gone_says_so(browser, address, width):
    context = browser.new_context(viewport={"width": width, "height": 700})
    page = context.new_page()
    page.route("**/view.json", lambda route: route.fulfill(status=404, body="no such view"))
    page.goto(f"{address}/viewer/{KEY}/")
    page.get_by_text("no longer kept here").wait_for()
    assert not page.get_by_role("slider").is_visible()
    assert page.get_by_role("button", name="Zoom in").is_disabled()
    context.close()


def test_another_view_in_the_same_element(page):
    """As when the page shows the next result; and none at all, when it is taken away."""
    page.evaluate("document.querySelector('fastsr-viewer').setAttribute('after', 'Another')")
    assert page.get_by_text("Another").is_visible()
    page.evaluate(f"document.querySelector('fastsr-viewer').setAttribute('view', '{KEY}')")
    settle(page)
    assert page.locator("fastsr-viewer canvas").count() == 1
    page.evaluate(
        """() => {
            const viewer = document.querySelector("fastsr-viewer");
            viewer.remove();
            document.body.append(viewer);
        }"""
    )
    settle(page)
    assert page.locator("fastsr-viewer canvas").count() == 1


@pytest.mark.parametrize("channels", [3, 4])
def test_no_seams_between_tiles(browser, tmp_path, channels):
    """What is all of one colour is seen in one, at any zoom."""
    pixels = np.full((1200, 1600, channels), 200, np.uint8)
    Image.fromarray(pixels[::4, ::4]).save(tmp_path / "original.png")
    Image.fromarray(pixels).save(tmp_path / "result.png")
    routes = viewer.routes({KEY: (tmp_path / "original.png", tmp_path / "result.png")})
    with served(Starlette(routes=routes)) as address:
        context = browser.new_context(viewport=FRAME, reduced_motion="reduce")
        page = context.new_page()
        page.goto(f"{address}/viewer/{KEY}/")
        page.get_by_role("slider").wait_for()
        page.evaluate("document.querySelector('fastsr-viewer').frame.style.background = '#000'")
        for factor in (1.13, 1.31, 1.57, 1.9):
            page.evaluate(f"document.querySelector('fastsr-viewer').zoomBy({factor})")
            settle(page)
            for left in (50, 500):
                shown = seen(page, left, 100, 300, 300).astype(int)
                assert shown.max() - shown.min() <= 1, f"zoom {zoom(page)}"
        context.close()
