"""Base class of protocol rules, and the aggregation rule that metrics read."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

EXPANDED_PERCENTILE: Final = "expanded percentile bootstrap over clusters, Student's t below 6 of them"
BOOTSTRAP_T: Final = (
    "wider of bootstrap-t and Student's t, cluster-robust, over clusters; Student's t below 6 of them"
)


class Rules(BaseModel):
    """Part of a protocol: frozen, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Aggregation(Rules):
    """Rule that combines the numbers of the clips, with its interval."""

    value: Literal["mean over clips"]
    interval: Literal[
        "expanded percentile bootstrap over clusters, Student's t below 6 of them",
        "wider of bootstrap-t and Student's t, cluster-robust, over clusters; Student's t below 6 of them",
    ]
    level: float = Field(gt=0, lt=1)
    resamples: int = Field(gt=0)
    seed: int
