"""HTML of the viewer: what a page puts into its head, the element of a view, and a page with the view alone."""

from __future__ import annotations

from html import escape


def head(prefix: str = "viewer") -> str:
    """What a page that shows views needs in its head; `prefix`: of the routes, as seen from the page."""
    return f'<script type="module" src="{escape(prefix)}/files/viewer.js"></script>'


def html(key: str, *, before: str = "Original, bicubic", after: str = "Result", name: str = "image") -> str:
    """The element that shows a view, in a page with `head`.

    Args:
        key: of the view, as the store knows it.
        before: what stands above the original.
        after: what stands above the result, such as the model's name.
        name: what the view is of, for people who hear the page.

    """
    given = {"view": key, "before": before, "after": after, "name": name}
    attributes = " ".join(f'{attribute}="{escape(value)}"' for attribute, value in given.items())
    return f"<fastsr-viewer {attributes}></fastsr-viewer>"


def page(key: str, *, name: str) -> str:
    """A page with the view alone, for a tab of its own; it lies one folder below the routes' prefix."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(name)} - fastsr</title>
<link rel="stylesheet" href="../files/page.css">
{head("..")}
</head>
<body>
{html(key, name=name)}
</body>
</html>
"""
