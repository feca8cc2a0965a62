"""Registry of features: entry points of the group `talkingpose.features`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from benchmark.entry_points import load, registered
from benchmark.features.contract import Collection, Extractor, FeatureError, FeatureSpec
from talkingpose.weights import WeightsError, find, read_lock, status, verify, weights_folder

GROUP = "talkingpose.features"

# (feature, folder of weights) -> extractor or collection; another folder may hold other weights.
_loaded: dict[tuple[str, str], Any] = {}


def feature_names() -> list[str]:
    """Return the ids of all registered features and collections."""
    return list(registered(GROUP))


def spec_of(name: str) -> FeatureSpec:
    """Return the description of a feature or collection, without loading its weights."""
    spec: FeatureSpec = load(GROUP, name).spec
    return spec


def with_needed(names: Iterable[str]) -> tuple[str, ...]:
    """Return features and the features they read, each once, in the order of computation."""
    ordered: dict[str, None] = {}
    for name in names:
        ordered.update(dict.fromkeys((*with_needed(spec_of(name).features), name)))
    return tuple(ordered)


def identity(names: Iterable[str]) -> dict[str, Any]:
    """Return everything about features, and the features they read, that changes a number.

    This is the version, the hashes of weights (None for a file without a published hash), and the releases of
    libraries with weights of their own.
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
    """Return weight id -> SHA-256, in hex, of the features' weight files that are present and intact."""
    ids = sorted({weight for name in with_needed(names) for weight in spec_of(name).weights})
    sound = []
    for weight in ids:
        with suppress(WeightsError):
            find(weight)
            sound.append(weight)
    return {weight: status(weight).sha256 or str(verify([weight])[0].sha256) for weight in sound}


def load_extractors(names: Iterable[str]) -> dict[str, Extractor]:
    """Return the extractors of features and of the features they read.

    Raises:
        FeatureError: one of them is not available on this machine.
    """
    return {name: _create(name) for name in with_needed(names)}


def load_collection(name: str) -> Collection:
    """Return a collection, without the features it reads.

    Raises:
        FeatureError: it is not available on this machine.
    """
    collection: Collection = _create(name)
    return collection


def _create(name: str) -> Any:
    key = (name, str(weights_folder()))
    if key not in _loaded:
        try:
            _loaded[key] = load(GROUP, name)()
        except WeightsError as error:
            raise FeatureError(str(error)) from error
        except ImportError as error:
            raise FeatureError(f"{name}: {error}: install what is missing") from error
    return _loaded[key]
