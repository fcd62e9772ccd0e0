"""The tables of what `benchmarks.models` measured: README's first one, and those of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

PRECISIONS = ("fp32", "bf16", "int8")
MOST = 0.1  # dB of PSNR against the original that a rival's int8 may cost
PICTURE, MEGAPIXEL = "x4plus-128", "x4plus-256"  # the second is scaled to a million pixels
RUNTIMES = ("fastsr", "OpenVINO", "ncnn", "ONNX Runtime", "PyTorch")
OURS = "photo-x4-256"  # its own network for the same photographs, scaled likewise

Result = dict[str, Any]


def counts(result: Result, way: str) -> bool:
    """Whether a way is a rival: int8 only where it costs little, which random weights cannot tell."""
    cost = result["rows"][way]["cost_db"]
    return "int8" not in way or cost is None or cost <= MOST


def best(result: Result, ours: bool, precision: str = "") -> float | None:
    """The least milliseconds of fastsr, or of the others, at a precision or at any."""
    times = [
        row["median_ms"]
        for way, row in result["rows"].items()
        if way.startswith("fastsr") == ours and precision in way and counts(result, way)
    ]
    return min(times, default=None)


def sections(content: dict[str, Any]) -> str:
    """Of a kind of processor: a row per network and size with ratios, then a row per way with its time."""
    results = content["results"].values()
    described = content["machine"]
    lines = [f"### {described['isa']}: {described['processor']}", "", *_ratios(results), "", *_times(list(results))]
    return "\n".join([*lines, "", _note(content)])


def _name(result: Result) -> str:
    return f"{result['title']}, {result['width']}x{result['height']}"


def _ratios(results: Any) -> list[str]:
    """A row per network and size: milliseconds by precision, and how many times faster than the best of others."""
    lines = [
        "| | MFLOP a pixel | fp32, ms | vs best fp32 | bf16, ms | vs best bf16 | int8, ms | best vs best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        cells = [_name(result), f"{result['mflop_per_pixel']:g}"]
        for precision in PRECISIONS:
            mine = result["rows"].get(f"fastsr {precision}")
            cells.append("" if mine is None else f"{mine['median_ms']:.0f}")
            if precision != "int8":
                cells.append(_ratio(best(result, False, precision), mine and mine["median_ms"]))
        cells.append(_ratio(best(result, False), best(result, True)))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _ratio(theirs: float | None, ours: float | None) -> str:
    return "" if theirs is None or ours is None else f"{theirs / ours:.1f}x"


def _times(results: list[Result]) -> list[str]:
    """A row per way, a column per network and size: milliseconds; for reduced precisions also what they cost."""
    ways = dict.fromkeys(way for result in results for way in result["rows"])
    lines = ["| ms | " + " | ".join(map(_name, results)) + " |", "|---|" + "---|" * len(results)]
    for way in ways:
        cells = []
        for result in results:
            row = result["rows"].get(way)
            told = row is not None and row["cost_db"] is not None and "fp32" not in way
            apart = f" ({row['cost_db']:.2f}, {row['psnr'] or 99:.0f} dB)" if row and told else ""
            cells.append("" if row is None else f"{row['median_ms']:.0f}{apart}")
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return lines


def _note(content: dict[str, Any]) -> str:
    results = list(content["results"].values())
    random = sorted({result["title"] for result in results if not result["trained"]})
    rounds = sorted(result["rounds"] for result in results)
    spread = f"{rounds[0]}" if rounds[0] == rounds[-1] else f"{rounds[0]} to {rounds[-1]}"
    parts = [
        f"Medians of {spread} interleaved rounds, from pixels to pixels. In brackets: dB of PSNR against the original "
        f"({content['original']}) that a precision costs, and the PSNR against fastsr's result in fp32. An int8 that "
        f"costs more than {MOST:g} dB does not count as best."
    ]
    if random:
        parts.append(f"Random weights, of which that cannot be told: {', '.join(random)}.")
    if content["absent"]:
        parts.append(f"Not installed: {', '.join(content['absent'])}.")
    for why, key in (("Crashed", "ended"), ("Not timed, because its output differs", "excluded")):
        told = [f"{way} ({_name(result)})" for result in results for way in result[key]]
        parts += [f"{why}: {', '.join(told)}."] if told else []
    slow = [f"{way} ({_name(result)})" for result in results for way in result["without"]]
    return " ".join([*parts, *([f"Left out, for it takes minutes: {', '.join(slow)}."] if slow else [])])


def headline(content: dict[str, Any]) -> str:
    """Seconds of Real-ESRGAN's x4plus for a small picture and for a megapixel, the fastest way first."""
    picture, large = content["results"][PICTURE], content["results"][MEGAPIXEL]
    lines = ["| Real-ESRGAN x4plus | 128x128 picture, s | a megapixel, s |", "|---|---|---|"]
    ways = [way for way in picture["rows"] if counts(picture, way)]
    for way in sorted(ways, key=lambda way: float(picture["rows"][way]["median_ms"])):
        row = large["rows"].get(way)
        scaled = "" if row is None else f"{row['median_ms'] / large['width'] / large['height'] * 1e3:.0f}"
        name = f"**{way}**" if way.startswith("fastsr") else way
        lines.append(f"| {name} | {picture['rows'][way]['median_ms'] / 1e3:.2f} | {scaled} |")
    note = (
        f"Medians, from pixels to pixels; a megapixel by what {large['width']}x{large['height']} takes; int8 where it "
        f"costs at most {MOST:g} dB of PSNR on {content['original']}."
    )
    return "\n".join([*lines, "", note])


def megapixel(content: dict[str, Any]) -> str:
    """Seconds a megapixel of photo-x4 by fastsr, and of x4plus by fastsr and by each other runtime, by precision."""
    results = content["results"]
    rows = [("photo-x4", OURS, "fastsr"), *(("x4plus", MEGAPIXEL, runtime) for runtime in RUNTIMES)]
    lines = ["| a megapixel, s | fp32 | bf16 | int8 |", "|---|---|---|---|"]
    for title, case, runtime in rows:
        measured = _seconds(results.get(case), runtime)
        if case == MEGAPIXEL and not measured:
            measured = _seconds(results.get(PICTURE), runtime)
        if measured:
            lines.append(f"| {title}, {runtime} | " + " | ".join(measured.get(p, "") for p in PRECISIONS) + " |")
    note = (
        f"By what 256x256 pixels take; where that was left out, by 128x128. int8 where it costs at most {MOST:g} dB of "
        f"PSNR on {content['original']}."
    )
    return "\n".join([*lines, "", note])


def _seconds(result: Result | None, runtime: str) -> dict[str, str]:
    """Of a runtime's fastest way at each precision, for a million pixels."""
    made: dict[str, float] = {}
    for way, row in (result or {"rows": {}})["rows"].items():
        precision = next((p for p in PRECISIONS if p in way), "")
        if result is not None and way.startswith(runtime) and counts(result, way):
            seconds = row["median_ms"] / result["width"] / result["height"] * 1e3
            made[precision] = min(made.get(precision, seconds), seconds)
    return {precision: f"{seconds:.{0 if seconds >= 10 else 1}f}" for precision, seconds in made.items()}
