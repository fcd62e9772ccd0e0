"""python -m training prepare | train | evaluate | export | card."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from training import data, recipe


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    prepare = commands.add_parser("prepare", help="decode folders of images into one packed file")
    prepare.add_argument("sources", nargs="+", type=Path, metavar="FOLDER")
    prepare.add_argument("-o", "--out", type=Path, default=Path("data/train.safetensors"))
    prepare.add_argument("--min-side", type=int, default=128, help="skip smaller images (pixels)")

    train = commands.add_parser("train", help="train a recipe; goes on where an earlier run stopped")
    train.add_argument("recipe", help="name of a shipped recipe or path of a .toml file")
    train.add_argument("--data", type=Path, default=Path("data/train.safetensors"))
    train.add_argument("--out", type=Path, default=Path("runs"))
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    train.add_argument("--steps", type=int, help="override the recipe's number of steps")

    export = commands.add_parser("export", help="write a trained generator as ONNX")
    export.add_argument("recipe")
    export.add_argument("--runs", type=Path, default=Path("runs"))
    export.add_argument("-o", "--out", type=Path, help="default: RECIPE.onnx")

    evaluate = commands.add_parser("evaluate", help="PSNR and SSIM of models through the fastsr runtime")
    evaluate.add_argument("models", nargs="+", help="model names, .onnx files, or bicubic, lanczos, ...")
    evaluate.add_argument("--data", nargs="+", type=Path, required=True, help="folders of high-resolution images")
    evaluate.add_argument("--scale", type=int, help="default: each model's own")
    evaluate.add_argument("--engine", default="auto")
    evaluate.add_argument("--json", type=Path, help="also write the numbers here")
    evaluate.add_argument("--strips", type=Path, help="write LR | bicubic | ours | HR pictures into this folder")

    card = commands.add_parser("card", help="measure a shipped model and write its card into models.toml")
    card.add_argument("model")
    card.add_argument("--data", nargs="+", type=Path, required=True, help="folders of high-resolution images")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors a user can cause are printed in one line."""
    arguments = _parser().parse_args(argv)
    try:
        _COMMANDS[arguments.command](arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _prepare(arguments: argparse.Namespace) -> None:
    count = data.pack(arguments.sources, arguments.out, arguments.min_side)
    print(f"{arguments.out}: {count} images, {arguments.out.stat().st_size / 1e6:.0f} MB")


def _train(arguments: argparse.Namespace) -> None:
    import torch

    from training.trainer import Run, Trainer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    chosen = recipe.read(arguments.recipe)
    if arguments.steps is not None:
        chosen = dataclasses.replace(chosen, steps=arguments.steps)
    Trainer(chosen, Run(arguments.data, arguments.out, arguments.device)).train()


def _export(arguments: argparse.Namespace) -> None:
    from training.export import export

    chosen = recipe.read(arguments.recipe)
    target = arguments.out or Path(f"{chosen.name}.onnx")
    export(arguments.runs / chosen.name / "state.safetensors", target)
    print(f"wrote {target}")


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.evaluate import evaluate

    evaluate(arguments.models, arguments.data, arguments.scale, arguments.engine, arguments.json, arguments.strips)


def _card(arguments: argparse.Namespace) -> None:
    from training import card

    print(card.dump(arguments.model, card.make(arguments.model, arguments.data)), end="")


_COMMANDS = {"card": _card, "prepare": _prepare, "train": _train, "export": _export, "evaluate": _evaluate}

if __name__ == "__main__":
    sys.exit(main())
