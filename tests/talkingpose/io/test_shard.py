"""Shards given on the command line or by a launcher."""

from __future__ import annotations

import hashlib

import pytest

from talkingpose.io.shard import Shard, ShardError, parse_shard

SLURM = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_COUNT": "5"}


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("2/3", {}, Shard(2, 3)),
        ("auto", SLURM, Shard(5, 5)),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_STEP": "2"}, Shard(3, 5)),
        ("auto", {"RANK": "0", "WORLD_SIZE": "4"}, Shard(1, 4)),
        # The job array is the outer level.
        ("auto", {**SLURM, "RANK": "0", "WORLD_SIZE": "1"}, Shard(5, 5)),
    ],
)
def test_shards(text, environ, expected):
    assert parse_shard(text, environ) == expected


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("0/3", {}),
        ("4/3", {}),
        ("1", {}),
        ("a/b", {}),
        ("1/3\n", {}),
        ("auto", {}),
        ("auto", {"RANK": "1"}),
        ("auto", {"RANK": "4", "WORLD_SIZE": "4"}),
        ("auto", {"RANK": "x", "WORLD_SIZE": "4"}),
        ("auto", {**SLURM, "SLURM_ARRAY_TASK_ID": "9"}),  # --array=3,5,9 leaves gaps
        ("auto", {"SLURM_ARRAY_TASK_ID": "9"}),
    ],
)
def test_invalid_shards_are_one_line(text, environ):
    with pytest.raises(ShardError, match="--shard") as raised:
        parse_shard(text, environ)
    assert "\n" not in str(raised.value).strip()


def test_every_item_belongs_to_one_shard():
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(300)]
    held = [[shard.holds(digest) for shard in (Shard(1, 3), Shard(2, 3), Shard(3, 3))] for digest in digests]
    assert all(sum(row) == 1 for row in held)
    assert all(80 < sum(column) < 120 for column in zip(*held, strict=True))
