"""Error rates of `tp-eval compare` and coverage of its intervals, by simulation.

    .venv/bin/python tools/simulate_statistics.py > docs/explanation/statistics-tables.md

Every simulated difference has mean 0 over clips, so every rejection is a false positive.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from benchmark.analysis.multiple_testing import bootstrap_t_test, paired_test, sign_flip_test
from benchmark.analysis.statistics import Floats, PersonSums, intervals
from benchmark.rules import BOOTSTRAP_T, EXPANDED_PERCENTILE, Aggregation

PERSONS = (6, 8, 10, 12, 20)
CLIPS = 3
METRICS = 8
ALPHA = 0.05
# Fewer draws than in `compare`: the rates are the same, the simulation takes a fifth of the time.
DRAWS = 1999
Generator = np.random.Generator
Draw = Callable[[Generator, tuple[int, int]], Floats]


def outliers(generator: Generator, shape: tuple[int, int]) -> Floats:
    """Normal values, 10 % of them shifted by 5; mean 0."""
    shifted = generator.random(shape) < 0.1
    return generator.normal(size=shape) + 5.0 * shifted - 0.5


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "exponential": lambda generator, shape: generator.exponential(size=shape) - 1,
    "lognormal": lambda generator, shape: generator.lognormal(size=shape) - np.exp(0.5),
    "t with 3 degrees": lambda generator, shape: generator.standard_t(3, size=shape),
    "10 % outliers": outliers,
}
TIED = "clips tied to the effect"


def simulated(name: str, generator: Generator, number: int, columns: int) -> tuple[Floats, list[str]]:
    """Differences (clips, columns) of so many persons, and the person of each clip.

    A person's effect has the named distribution; clips add a tenth of its variance. With `TIED`, persons with
    a positive effect have two clips, the others four, centred so that the mean over clips is 0.
    """
    if name == TIED:
        clips = np.where(np.arange(number) % 2, 2, 4)
        effect = np.abs(generator.normal(size=(number, columns))) * np.where(clips == 2, 1, -1)[:, None]
        effect -= np.sqrt(2 / np.pi) * (clips * np.where(clips == 2, 1, -1)).sum() / clips.sum()
    else:
        clips = np.full(number, CLIPS)
        effect = DISTRIBUTIONS[name](generator, (number, columns))
    persons = [f"{person:02}" for person in range(number) for _ in range(clips[person])]
    noise = generator.normal(scale=0.3, size=(len(persons), columns))
    return np.repeat(effect, clips, axis=0) + noise, persons


def rows(simulations: int) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Yield distribution, number of persons, and the measured rates."""
    for name in (*DISTRIBUTIONS, TIED):
        for number in PERSONS:
            yield name, number, rates(name, number, simulations)


def rates(name: str, number: int, simulations: int) -> dict[str, float]:
    """Coverage and false-positive rates of one distribution and number of persons."""
    generator = np.random.default_rng([number, len(name)])
    table, persons = simulated(name, generator, number, simulations)
    data = PersonSums.of(table, persons)
    flips = sign_flip_test(data).raw
    resampled = bootstrap_t_test(data, DRAWS).raw
    return {
        "coverage_before": coverage(table, persons, EXPANDED_PERCENTILE),
        "coverage": coverage(table, persons, BOOTSTRAP_T),
        "flips": float((flips < ALPHA).mean()),
        "resampled": float((resampled < ALPHA).mean()),
        "both": float((np.maximum(flips, resampled) < ALPHA).mean()),
        **family_rates(name, number, simulations, generator),
    }


def coverage(table: Floats, persons: list[str], interval: str) -> float:
    """Share of the columns whose 95 % interval holds 0."""
    rule = Aggregation.model_validate(
        {"value": "mean over clips", "interval": interval, "level": 0.95, "resamples": DRAWS, "seed": 0}
    )
    found = intervals(table, persons, rule)
    return float(np.mean([low <= 0 <= high for low, high in filter(None, found)]))


def family_rates(name: str, number: int, simulations: int, generator: Generator) -> dict[str, float]:
    """Rates at which any of METRICS independent metrics is rejected: sign flips with Holm, and `compare`."""
    holm = both = 0
    for _ in range(simulations):
        table, persons = simulated(name, generator, number, METRICS)
        # The first step of Holm's correction decides whether anything is rejected.
        holm += bool(sign_flip_test(PersonSums.of(table, persons)).raw.min() * METRICS < ALPHA)
        both += bool((paired_test(table, persons, draws=DRAWS).adjusted < ALPHA).any())
    return {"family_before": holm / simulations, "family": both / simulations}


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=1000)
    simulations = parser.parse_args().simulations
    columns = ("coverage_before", "coverage", "flips", "resampled", "both", "family_before", "family")
    print("# Simulated error rates\n")
    print(f"{simulations} simulations per row, `tools/simulate_statistics.py --simulations {simulations}`.\n")
    print(
        "| differences | persons | coverage, expanded percentile | **coverage, here** | sign flips "
        f"| bootstrap-t | **both** | any of {METRICS}, sign flips and Holm | **any of {METRICS}, here** |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, number, found in rows(simulations):
        print(
            f"| {name} | {number} | " + " | ".join(f"{found[key]:.3f}" for key in columns) + " |", flush=True
        )


if __name__ == "__main__":
    main()
