"""How the page looks: system fonts, dark and light, and the styles of its own parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastsr.web import viewer

HERE = Path(__file__).parent
FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONOSPACE = ["ui-monospace", "Consolas", "monospace"]


def look() -> dict[str, Any]:
    """The arguments of Gradio's `launch` that say it."""
    import gradio

    theme = gradio.themes.Default(
        primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=MONOSPACE
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
    )
    return {"theme": theme, "css_paths": [HERE / "page.css"], "head": f"{_scripts()}{viewer.head()}"}


def _scripts() -> str:
    texts = [(HERE / name).read_text(encoding="utf-8") for name in ("page.js", "live.js")]
    return "".join(f'<script type="module">{text}</script>' for text in texts)
