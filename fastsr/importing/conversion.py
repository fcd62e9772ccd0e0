"""A file of another project's model turned into one that is kept: converted, checked, compared, stored."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from fastsr.errors import ModelError
from fastsr.importing import borders, comparison, ncnn, ncnn_to_onnx, packages, simplification, source, store
from fastsr.importing.packages import PackagedModel
from fastsr.importing.source import NcnnSource
from fastsr.importing.store import Card
from fastsr.network import onnx_reader
from fastsr.network.graph import DEFAULT_SCALE, Graph

ONNX = ".onnx"


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A model that can be imported: what it would be called, what it is made of, and how."""

    name: str
    origin: str  # for messages
    sha256: str
    convert: Callable[[Card], tuple[Card, onnx.ModelProto, Graph]]


def import_file(text: str, name: str | None = None) -> list[Card]:
    """Import the models of a file, `.onnx` included; those that are kept already are not converted again.

    Args:
        text: path of the file; for one model of an archive `models.zip:NAME`.
        name: what to call it; by default after the file.

    Raises ModelError for files that are not what their names say, for networks that cannot be converted, where the
    conversion is off from its source, for a name that is taken, and for one name for several models.

    """
    if name is not None:
        store.check_name(name)
    found = _candidates(text)
    if name is not None and len(found) > 1:
        names = ", ".join(candidate.name for candidate in found)
        raise ModelError(f"{text}: holds {len(found)} models; for --name choose one of them, as {text}:NAME: {names}")
    return [_imported(candidate, name) for candidate in found]


def import_packaged(model: PackagedModel) -> Card:
    """Import a model of an installed package. Raises ModelError where it is not installed, and as `import_file`."""
    (found,) = source.ncnn_sources(str(packages.location(model)))
    return _imported(_ncnn_candidate(found, model), model.name)


def kept(text: str) -> Card:
    """The only model of a file, or the one that is chosen in it; imported unless it is kept already.

    Raises ModelError as `import_file`, and for an archive of several models of which none is chosen.
    """
    found = _candidates(text)
    if len(found) > 1:
        names = source.shown([candidate.name for candidate in found])
        raise ModelError(
            f"{text}: holds {len(found)} models; choose one as {text}:NAME, or import them all: fastsr import {text}; "
            f"it has: {names}"
        )
    return _imported(found[0], None)


def _candidates(text: str) -> list[_Candidate]:
    path, _ = source.split(text)
    suffix = path.suffix.lower()
    if suffix in (*source.NCNN, *source.ARCHIVES):
        return [_ncnn_candidate(found, packages.at(found.inside)) for found in source.ncnn_sources(text)]
    if suffix == ONNX:
        return [_onnx_candidate(path)]
    if suffix in source.CHECKPOINTS:
        return [_checkpoint_candidate(path)]
    known = ", ".join((*source.SUFFIXES, ONNX))
    raise ModelError(f"{path}: is no file that models are imported from; those end in {known}")


def _ncnn_candidate(found: NcnnSource, known: PackagedModel | None) -> _Candidate:
    def convert(card: Card) -> tuple[Card, onnx.ModelProto, Graph]:
        plus_nearest = known is not None and known.plus_nearest
        layers = ncnn.read(found.param, found.weights, found.origin)
        made = ncnn_to_onnx.converted(layers, found.origin, plus_nearest=plus_nearest)
        graph = _read(found.origin, made.model)
        compared = comparison.compared_with_ncnn(graph, found, made, plus_nearest)
        card = dataclasses.replace(card, scale=made.default_scale, source=found.file, compared=compared)
        if known is None:
            return dataclasses.replace(card, architecture="ncnn"), made.model, graph
        card = dataclasses.replace(card, architecture=known.architecture, licence=known.licence, authors=known.authors)
        return card, made.model, graph

    name = found.name if known is None else known.name
    return _Candidate(name, found.origin, found.sha256, convert)


def _checkpoint_candidate(path: Path) -> _Candidate:
    content = source.read(path)

    def convert(card: Card) -> tuple[Card, onnx.ModelProto, Graph]:
        from fastsr.importing import checkpoint

        network = checkpoint.read(path)
        from fastsr.importing import torch_to_onnx  # needs PyTorch, of which `read` says how to install it

        what, fault = f"PyTorch {checkpoint.version()}", None
        for model, graph in torch_to_onnx.candidates(network, path):
            sizes = comparison.odd_sizes(graph, network.minimum)
            try:
                if graph.scale != network.scale:
                    raise ModelError(f"{path}: enlarges {graph.scale} times once converted, not {network.scale} times")
                told = comparison.compared(graph, lambda image: torch_to_onnx.run(network, path, image), what, sizes)
            except ModelError as error:
                fault = error
                continue
            made = dataclasses.replace(
                card,
                scale=graph.scale,
                architecture=network.architecture,
                source=path.name,
                licence=network.licence,
                authors=network.authors,
                compared=told,
            )
            return made, model, graph
        raise fault or ModelError(f"{path}: could not be converted; please report it")

    return _Candidate(path.stem, str(path), hashlib.sha256(content).hexdigest(), convert)


def _onnx_candidate(path: Path) -> _Candidate:
    content = source.read(path)

    def convert(card: Card) -> tuple[Card, onnx.ModelProto, Graph]:
        original = onnx_reader.read(path)
        model, graph, compared = _plainer(original)
        card_of_file = dataclasses.replace(
            card,
            scale=graph.default_scale,
            architecture="ONNX",
            source=path.name,
            licence=graph.metadata.get("licence", graph.metadata.get("license", "")),
            compared=compared,
        )
        return card_of_file, model, graph

    return _Candidate(path.stem, str(path), hashlib.sha256(content).hexdigest(), convert)


def _plainer(original: Graph) -> tuple[onnx.ModelProto, Graph, str]:
    """An ONNX model in plainer operators and for any size, where that is the same; else as it is.

    Third, what it was compared with.
    """
    model = onnx.load_model_from_string(original.serialized)
    for plain in _plainer_forms(model, original):
        try:
            made = plain()
            graph = onnx_reader.parsed(original.path, made.SerializeToString())
            if graph.radius is not None:
                return _bordered(made, graph, original)
        except MemoryError:
            raise
        except Exception:  # of onnx's inference and evaluation, by what a file may hold
            continue
    # What depends on the size is the exporter's business; at most a border lacks.
    with contextlib.suppress(ModelError):
        return _bordered(model, original, original, needed=True)
    return model, original, "kept as it is"


def _bordered(
    model: onnx.ModelProto, graph: Graph, original: Graph, needed: bool = False
) -> tuple[onnx.ModelProto, Graph, str]:
    """A form of a file with the border that its convolutions do not pad, and what it was compared with.

    Raises ModelError where it is off from the file; if `needed`, also where there is no border.
    """
    border = borders.missing_border(model, graph)
    if border:
        model = borders.with_border(model, border)
        graph = onnx_reader.parsed(original.path, model.SerializeToString())
    elif needed:
        raise ModelError(f"{original.path}: lacks no border")
    return model, graph, _compared_with_file(graph, original, border)


def _plainer_forms(model: onnx.ModelProto, original: Graph) -> list[Callable[[], onnx.ModelProto]]:
    """What makes the forms that may be the same for any size, the one that is surer first."""
    if original.fixed_size is not None:
        return [lambda: simplification.for_any_size(simplification.simplified(model))]
    sized = simplification.for_one_size(model, *borders.size_beyond(original))
    return [
        lambda: simplification.simplified(model),
        lambda: simplification.for_any_size(simplification.simplified(sized)),
    ]


def _compared_with_file(graph: Graph, original: Graph, border: borders.Border) -> str:
    """`compared` with a file itself, which is handed an image with the border that `graph` makes, and cut as there."""
    run = comparison.runner(original)
    sizes = None
    if original.fixed_size is not None:
        height, width = original.fixed_size
        sizes = [(height - 2 * border.added, width - 2 * border.added)]
    amounts = ((0, 0), (0, 0), (border.added, border.added), (border.added, border.added))
    inside = slice(border.cut, -border.cut if border.cut else None)

    def of_file(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return run(np.pad(image, amounts, "edge"))[..., inside, inside]

    return comparison.compared(graph, of_file, "the file itself", sizes)


def _imported(candidate: _Candidate, name: str | None) -> Card:
    """The card of a model that is kept, converted unless it was before."""
    if name is None:
        same = store.same_source(candidate.sha256)
        if same is not None:
            return same
        name = _free_name(candidate)
    there = store.card(name)
    if there is not None and there.sha256 == candidate.sha256:
        return there
    if there is not None:
        raise ModelError(
            f"{candidate.origin}: another model is called {name!r} (made of {there.source}); choose another with "
            f"--name, or remove that one: fastsr models --remove {name}"
        )
    try:
        card, model, graph = candidate.convert(Card(name, 1, "", "", candidate.sha256))
    except MemoryError:
        raise ModelError(f"{candidate.origin}: memory ran out while it was converted; free some") from None
    metadata = {**graph.metadata, "name": name, DEFAULT_SCALE: str(card.scale)}
    if card.licence:
        metadata["licence"] = card.licence
    onnx.helper.set_model_props(model, metadata)
    store.add(card, model.SerializeToString())
    return card


def _free_name(candidate: _Candidate) -> str:
    """A name after the file; with a part of the checksum where another model is called so."""
    plain = source.plain_name(candidate.name)
    try:
        store.check_name(plain)
    except ModelError:
        return f"{plain}-{candidate.sha256[:8]}"
    return plain if store.card(plain) is None else f"{plain}-{candidate.sha256[:8]}"


def _read(origin: str, model: onnx.ModelProto) -> Graph:
    """A converted model as fastsr reads it. Raises ModelError where it is no generator."""
    return onnx_reader.parsed(Path(origin), model.SerializeToString())
