"""What a visitor of the page does, in a browser: hands over files, chooses, presses buttons, downloads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

BUSY = 180_000  # milliseconds that a shared machine may take for what is a matter of seconds


def open_page(page: Any, url: str) -> None:
    page.goto(url)
    page.locator("#photo-run").wait_for()


class Tab:
    """One tab of an opened page.

    Attributes:
        page: of Playwright.
        kind: "photo" or "video"; names of components begin with it.

    """

    def __init__(self, page: Any, kind: str) -> None:
        self.page, self.kind = page, kind
        self._files = {"photo": "#photos", "video": "#video"}[kind]
        self._results = {"photo": "#photo-results", "video": "#video-result"}[kind]
        if kind == "video":
            page.get_by_role("tab", name="Video").click()

    @property
    def run(self) -> Any:
        return self.page.locator(f"#{self.kind}-run")

    @property
    def stop(self) -> Any:
        return self.page.locator(f"#{self.kind}-stop")

    @property
    def status(self) -> Any:
        return self.page.locator(f"#{self.kind}-status")

    @property
    def progress(self) -> Any:
        return self.status.get_by_role("progressbar")

    @property
    def results(self) -> Any:
        """Links that download."""
        return self.page.locator(f"{self._results} a[download]")

    @property
    def viewer(self) -> Any:
        return self.page.locator("fastsr-viewer:visible")

    @property
    def divider(self) -> Any:
        return self.page.get_by_role("slider", name="Divider")

    def drop(self, *paths: Path) -> None:
        """Hand files to the page and wait until they were taken; where it was not ready for them, once more."""
        from playwright.sync_api import TimeoutError

        for patience in (5_000, 20_000, BUSY):
            self.page.locator(f"{self._files} input[type=file]").set_input_files([str(path) for path in paths])
            try:
                self.page.locator(f'{self._files} [aria-label="{paths[-1].name}"]').wait_for(timeout=patience)
                return
            except TimeoutError:
                if patience == BUSY:
                    raise

    def clear(self) -> None:
        """Take away what was dropped."""
        self.page.locator(f"{self._files} [aria-label=Clear]").first.click()

    def preview(self) -> None:
        """Wait for what is shown before all of it is enlarged."""
        self.status.get_by_text("Enlarge makes all of it").wait_for()
        self.divider.wait_for()

    def choose(self, what: str, value: str) -> None:
        """Choose from a list: "model" or "size"."""
        box = self.page.locator(f"#{self.kind}-{what} input")
        box.click()
        box.fill(value)
        self.page.get_by_role("option", name=re.compile(f"^{value}( |$)")).click()

    def enlarge(self, name: str) -> Path:
        """Enlarge what was dropped; the result of this name, downloaded."""
        self.run.click()
        return self.download(name)

    def download(self, name: str) -> Path:
        """A result, once it is there."""
        link = self.page.locator(f'{self._results} a[download="{name}"]')
        link.wait_for()
        with self.page.expect_download() as download:
            link.click()
        return Path(download.value.path())


def focus(page: Any, wanted: str) -> None:
    """Press Tab until what has the focus has a name with `wanted` in it."""
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => {
                let at = document.activeElement;
                while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
                return [at.ariaLabel, at.title, at.innerText, at.download].filter(Boolean).join(" ");
            }"""
        ).lower()
        if wanted in name:
            return
        seen.append(name[:40])
    raise AssertionError(f"the keyboard reaches no {wanted!r}, only {seen}")


def choose_files(page: Any, path: Path) -> None:
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


def overhang(page: Any) -> list[str]:
    """What reaches beyond the screen's right edge, even where it is cut off there."""
    return page.evaluate(
        """() => {
            const visible = (at) => at.checkVisibility() && at.getBoundingClientRect().width > 1;
            const beyond = (at) => at.getBoundingClientRect().right > document.documentElement.clientWidth + 1;
            const parts = ["button:not([tabindex='-1'])", "input", "p", "a", "fastsr-viewer"];
            const found = [...document.querySelectorAll(parts.map((part) => `main ${part}`).join())];
            return found.filter((at) => visible(at) && beyond(at)).map((at) => at.outerHTML.slice(0, 100));
        }"""
    )
