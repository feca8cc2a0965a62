"""Registry of metrics: entry points of the group `talkingpose.metrics`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmark.entry_points import PROJECT, RegistrationError, distribution, load, registered
from benchmark.metrics.contract import AnyMetric, Metric, MetricSpec, SetMetric
from talkingpose.data.contestant_loading import describe
from talkingpose.io.errors import UserError

GROUP = "talkingpose.metrics"

# Those of the bundled protocols.
DEFAULT_DELTAS = (1, 2, 4, 8, 16, 32, 64)

# Families that cost much or need weights: a protocol has them where its name says so, as in tp-long+pose@2.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "pose": ("akd", "akd_shoulder", "mkr", "hkc", "hkv"),
    "identity": ("csim", "csim-arcface", "aed"),
    "distribution": ("fid", "kid", "fvd", "fvd_third"),
}


class MetricError(UserError, LookupError):
    """A metric is unknown, or cannot be used."""


def families() -> list[str]:
    """Return the names of all registered families, those of this project first."""
    return list(registered(GROUP))


def family(name: str, deltas: Sequence[int] = DEFAULT_DELTAS) -> Sequence[AnyMetric]:
    """Return the metrics of a family.

    Args:
        name: of the entry point, such as `tje`.
        deltas: distances in frames, for families with one metric for each.

    Raises:
        MetricError: there is no such family, or its code breaks the contract.
    """
    if name not in registered(GROUP):
        raise MetricError(f"metric {name!r}: unknown: {_hint(name, families())}")
    try:
        target = load(GROUP, name)
        if isinstance(target, type):
            found = [target()]
        else:
            found = list(target(tuple(deltas)) if callable(target) else target)
    except RegistrationError as error:
        raise MetricError(str(error)) from error
    except Exception as error:
        raise MetricError(f"metric {name}: {_target(name)} cannot be created: {describe(error)}") from error
    for metric in found:
        spec = getattr(metric, "spec", None)
        if not isinstance(metric, Metric | SetMetric) or not isinstance(spec, MetricSpec):
            raise MetricError(f"metric {name}: {_target(name)}: {type(metric).__name__} is not a metric")
    if len({metric.spec.version for metric in found}) > 1:
        raise MetricError(f"metric {name}: {_target(name)}: its metrics have different versions")
    return found


def names() -> list[str]:
    """Return the ids of all metrics that can be loaded, such as `psnr` and `tje@2`."""
    return [metric.spec.id for metric in _everything(DEFAULT_DELTAS)]


def get(metric_id: str) -> AnyMetric:
    """Return a metric by its id, such as `psnr`, `psnr.face` or `tje@2`.

    Raises:
        MetricError: there is no such metric.

    Example:
        >>> from benchmark import metrics
        >>> spec = metrics.get("tje@2").spec
        >>> spec.unit, spec.direction, spec.lookback
        ('level', 'lower', 2)
    """
    delta = re.fullmatch(r".+@([1-9][0-9]{0,5})", metric_id)
    for metric in _everything((int(delta[1]),) if delta else DEFAULT_DELTAS):
        if metric.spec.id == metric_id:
            return metric
    raise MetricError(f"metric {metric_id!r}: unknown: {_hint(metric_id, names())}")


def members(name: str) -> Sequence[AnyMetric]:
    """Return the metrics of a family, or the metric of an id.

    Raises:
        MetricError: there is no such family and no such metric.
    """
    return family(name) if name in registered(GROUP) else [get(name)]


def metrics_of(versions: Mapping[str, int], deltas: Sequence[int]) -> list[AnyMetric]:
    """Return the metrics that a protocol names, in its order.

    Args:
        versions: family -> version that the protocol demands.
        deltas: distances in frames, for families with one metric for each.

    Raises:
        MetricError: a family is unknown or has another version, or two metrics have one id.
    """
    found: dict[str, AnyMetric] = {}
    for name, version in versions.items():
        metrics = family(name, deltas)
        if not metrics or metrics[0].spec.version != version:
            here = f"version {metrics[0].spec.version}" if metrics else "no metric for these deltas"
            raise MetricError(f"metric {name}: version {version} is demanded, {here} is installed")
        for metric in metrics:
            if metric.spec.id in found:
                raise MetricError(f"metric {name}: its id {metric.spec.id} is taken: rename it")
            found[metric.spec.id] = metric
    return list(found.values())


def versions_of(names: Iterable[str]) -> dict[str, int]:
    """Return the installed version of each family."""
    return {name: family(name)[0].spec.version for name in names}


def features_of(names: Iterable[str], deltas: Sequence[int]) -> tuple[str, ...]:
    """Return the ids of the features that the metrics of families read; an unknown family reads none."""
    metrics = [metric for name in names if name in registered(GROUP) for metric in family(name, deltas)]
    return tuple(dict.fromkeys(name for metric in metrics for name in metric.spec.reads))


def foreign(names: Iterable[str]) -> dict[str, str]:
    """Return family -> package, for families that are not registered by this project."""
    packages = {name: distribution(registered(GROUP)[name][0]) for name in names if name in registered(GROUP)}
    return {name: package for name, package in packages.items() if package != PROJECT}


def _everything(deltas: Sequence[int]) -> Iterator[AnyMetric]:
    """Metrics of all families; a broken one of another package is left out."""
    for name in families():
        try:
            yield from family(name, deltas)
        except MetricError:
            if not foreign([name]):
                raise


def _target(name: str) -> str:
    return registered(GROUP)[name][0].value


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {', '.join(close)}?" if close else "tp-eval ls metrics lists them"
