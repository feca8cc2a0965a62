"""Features: one file each, loaded when a metric first needs them, and never twice in a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from benchmark.features.alexnet import LpipsAlex
from benchmark.features.arcface import ArcFace
from benchmark.features.colour import ColourStatistics
from benchmark.features.face import FaceBox
from benchmark.features.feature import Arrays, Collecting, Collection, Extractor, FeatureError, FeatureSpec
from benchmark.features.flow import Flow
from benchmark.features.i3d import I3d
from benchmark.features.inception import Inception
from benchmark.features.laplacian import LaplacianVariance
from benchmark.features.pose import DetectedPose
from benchmark.features.regions import RegionMasks
from benchmark.features.sface import SFace
from talkingpose.weights import WeightsError, find, read_lock, status, verify, weights_folder

__all__ = [
    "COLLECTIONS",
    "EXTRACTORS",
    "Arrays",
    "Collecting",
    "Collection",
    "Extractor",
    "FeatureError",
    "FeatureSpec",
    "identity",
    "load_collection",
    "load_extractors",
    "spec_of",
    "weights_here",
    "with_needed",
]

# Classes: `.spec` can be read of them, and calling one loads it.
EXTRACTORS: Mapping[str, Callable[[], Extractor]] = {
    "colour": ColourStatistics,
    "face": FaceBox,
    "flow": Flow,
    "identity-arcface": ArcFace,
    "identity-sface": SFace,
    "laplacian": LaplacianVariance,
    "lpips-alex": LpipsAlex,
    "pose": DetectedPose,
    "regions": RegionMasks,
}
COLLECTIONS: Mapping[str, Callable[[], Collection]] = {"i3d": I3d, "inception": Inception}

_loaded: dict[tuple[str, str], Any] = {}


def spec_of(name: str) -> FeatureSpec:
    """The description of a feature or a collection, without loading it."""
    found: Any = EXTRACTORS.get(name) or COLLECTIONS[name]
    spec: FeatureSpec = found.spec
    return spec


def with_needed(names: Iterable[str]) -> tuple[str, ...]:
    """The features and everything they read in turn, each once, what is read first."""
    ordered: dict[str, None] = {}
    for name in names:
        ordered.update(dict.fromkeys((*with_needed(spec_of(name).features), name)))
    return tuple(ordered)


def identity(names: Iterable[str]) -> dict[str, Any]:
    """What of the features and of everything they read moves a number.

    Versions, hashes of weights, releases of libraries that carry weights of their own.

    A weight file whose hash nobody publishes stands there as null.
    """
    lock = read_lock()
    return {
        name: {
            "version": spec_of(name).version,
            "weights": {weight: lock[weight].sha256 for weight in spec_of(name).weights},
            **({"packages": _releases(spec_of(name).packages)} if spec_of(name).packages else {}),
        }
        for name in with_needed(names)
    }


def _releases(packages: Iterable[str]) -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def weights_here(names: Iterable[str]) -> dict[str, str]:
    """SHA-256, in hex, of those weight files of the features that are here and sound, by id.

    One that is damaged is not used, so no run may name its hash.
    """
    ids = sorted({weight for name in with_needed(names) for weight in spec_of(name).weights})
    sound = []
    for weight in ids:
        with suppress(WeightsError):
            find(weight)
            sound.append(weight)
    return {weight: status(weight).sha256 or str(verify([weight])[0].sha256) for weight in sound}


def load_extractors(names: Iterable[str]) -> dict[str, Extractor]:
    """The extractors of the features and of everything they read.

    Raises:
        FeatureError: one of them cannot be had, and why.
    """
    return {name: _load(name, EXTRACTORS) for name in with_needed(names)}


def load_collection(name: str) -> Collection:
    """A collection; its own features are loaded by `load_extractors`.

    Raises:
        FeatureError: it cannot be had, and why.
    """
    collection: Collection = _load(name, COLLECTIONS)
    return collection


def _load(name: str, factories: Mapping[str, Callable[[], Any]]) -> Any:
    # Another folder may hold what this one lacks.
    key = (name, str(weights_folder()))
    if key not in _loaded:
        try:
            _loaded[key] = factories[name]()
        except WeightsError as error:
            raise FeatureError(str(error)) from error
        except ImportError as error:
            raise FeatureError(f"{name}: {error}: install what is missing") from error
    return _loaded[key]
