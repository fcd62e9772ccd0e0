"""Inputs that the tabs for photos and for videos have in common."""

from __future__ import annotations

import gradio

from fastsr.web import choices


def model(kind: str) -> gradio.Dropdown:
    """The choice of a model; `kind`: "photo" or "video", with which the names of components begin."""
    return gradio.Dropdown(choices.model_choices(), value=choices.AUTOMATIC, label="Model", elem_id=f"{kind}-model")


def size(kind: str, value: str) -> gradio.Dropdown:
    """The choice of a result's size; `value` at first."""
    return gradio.Dropdown(
        choices.SIZES,
        value=value,
        label="Size",
        info="a factor, or pixels: 1920x1080 (fits in), 1920x, x1080",
        allow_custom_value=True,
        elem_id=f"{kind}-size",
    )


def strength() -> gradio.Slider:
    """That of `blend`."""
    return gradio.Slider(0, 1, 1, step=0.05, label="Strength", info="less mixes with plain interpolation")


def run_and_stop(kind: str) -> tuple[gradio.Button, gradio.Button]:
    """The buttons that begin and end a run."""
    with gradio.Row():
        run = gradio.Button("Enlarge", variant="primary", min_width=120, elem_id=f"{kind}-run")
        stop = gradio.Button("Stop", interactive=False, min_width=120, elem_id=f"{kind}-stop")
    return run, stop
