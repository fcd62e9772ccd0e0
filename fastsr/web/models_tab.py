"""The tab for models: which there are, and more of them by dropping their files."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import gradio

from fastsr.web import choices, imports, texts
from fastsr.web.context import COMPUTING, HIDDEN, Context
from fastsr.web.jobs import Job
from fastsr.web.sessions import Session

JOBS = "import"
HINT = (
    "Drop a model of another project: .onnx, .pth, .safetensors, an ncnn pair (.param and .bin), or a .zip of pairs. "
    "It is converted and compared with its file; code that a file carries is never run."
)


class ModelsTab:
    """Its components and what they do."""

    def __init__(self, context: Context, session: Any, dropdowns: Sequence[Any]) -> None:
        """Lay it out, in a tab; `dropdowns` offer models, and what is imported then."""
        self._context = context
        with gradio.Row():
            with gradio.Column(scale=2, min_width=260):
                files = gradio.File(label="Model: drop or choose", file_count="multiple", elem_id="model-files")
                run = gradio.Button("Import", variant="primary", elem_id="model-import")
                status = gradio.HTML(texts.progress(HINT), elem_id="model-status")
            with gradio.Column(scale=3, min_width=260):
                table = gradio.HTML(_table(), elem_id="model-table")
        run.click(
            self._import,
            [session, files],
            [status, table, *dropdowns],
            concurrency_id=COMPUTING,
            concurrency_limit=1,
            show_progress="minimal",
            show_progress_on=[status],
            **HIDDEN,
        )

    def _import(self, request: gradio.Request, token: str, files: list[str] | None) -> Any:
        context = self._context
        with context.told():
            uploads = [context.store.uploaded(file) for file in files or ()]
            folder = Session(context.store.session(token)).place()

            def work(job: Job[dict[str, str]]) -> dict[str, str]:
                with context.jobs.turns.turn(job):
                    return imports.import_models(uploads, folder, context.store)

            made = context.jobs.run(f"{request.session_hash} {JOBS}", Job(work, "import"))
        text = "; ".join(f"{name}: {line}" for name, line in made.items())
        offered = gradio.update(choices=choices.model_choices())
        return texts.progress(f"Imported {text}"), _table(), offered, offered


def _table() -> str:
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(line)}</td></tr>"
        for name, line in choices.model_lines().items()
    )
    return f'<table class="models"><tbody>{rows}</tbody></table>'
