"""Leakage between splits: shared sources, persons, uploaders or footage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from talkingpose.data.schema import SPLITS

if TYPE_CHECKING:
    from curation.dataset.export import DatasetRow

# Perceptual hashes of a clip and its re-encoded copy differ in at most this many of 64 bits in the mean;
# those of different pictures differ in about half of their bits.
MAX_DIFFERING_BITS = 10.0
_HASH_DIGITS = 16
_ROWS_AT_ONCE = 4096
_LISTED = 100


@dataclass(frozen=True)
class Leakage:
    """Overlap of splits.

    Attributes:
        sources, persons: those in several splits; there should be none.
        uploaders: those in several splits; a hint only, because one uploader may show many people.
        look_alike: pairs of clips of different splits with similar pictures at three times, with the mean
            difference of their hashes in bits of 64; at most 100 are listed.
        num_look_alike: number of such pairs.
        copies: pairs of clips with the same footage (see `dedup`) and the splits of their sources; at most
            100 are listed. Copies are always in one split, and by default one of them is left out.
        clips, clips_without_person: number of all clips, and of those without a known person.
    """

    sources: tuple[str, ...]
    persons: tuple[str, ...]
    uploaders: tuple[str, ...]
    look_alike: tuple[tuple[str, str, float], ...]
    num_look_alike: int
    clips: int
    clips_without_person: int
    copies: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def is_clean(self) -> bool:
        """True where no source, person or picture is in two splits."""
        apart = any(split != other for _, _, split, other in self.copies)
        return not (self.sources or self.persons or self.num_look_alike or apart)

    def document(self) -> dict[str, Any]:
        """Return JSON values."""
        pairs = [{"clips": [one, other], "bits": bits} for one, other, bits in self.look_alike]
        copies = [{"clips": [one, other], "splits": [a, b]} for one, other, a, b in self.copies]
        return asdict(self) | {"look_alike": pairs, "copies": copies, "is_clean": self.is_clean}

    def text(self) -> str:
        """Return a table for the card."""
        unknown = (
            f"The person is unknown in {self.clips_without_person} of {self.clips} clips and may be in two "
            "splits.\n"
            if self.clips_without_person
            else ""
        )
        counts = (
            ("sources", len(self.sources)),
            ("known persons", len(self.persons)),
            ("uploaders", len(self.uploaders)),
            ("pairs of similar clips", self.num_look_alike),
        )
        lines = [f"| {name} | {number} |" for name, number in counts]
        return "\n".join(["| in more than one split | |", "|---|---:|", *lines, "", unknown])


def find_leakage(
    rows: Sequence[DatasetRow],
    copies: Mapping[str, str] | None = None,
    splits: Mapping[str, str] | None = None,
) -> Leakage:
    """Compare all splits with one another.

    Args:
        rows: the clips of the dataset.
        copies: clip id -> id of the clip with the same footage.
        splits: clip id -> split of its source, for all clips of `copies`.
    """
    known = splits or {}
    pairs = list(_look_alike(rows))
    return Leakage(
        sources=_shared(rows, lambda row: row.source.source_id),
        persons=_shared(rows, lambda row: row.person_id),
        uploaders=_shared(rows, lambda row: row.source.uploader_id),
        look_alike=tuple(sorted(pairs, key=lambda pair: (pair[2], pair[:2]))[:_LISTED]),
        num_look_alike=len(pairs),
        clips=len(rows),
        clips_without_person=sum(row.person_id is None for row in rows),
        copies=tuple(
            (one, other, known[one], known[other]) for one, other in sorted((copies or {}).items())[:_LISTED]
        ),
    )


def _shared(rows: Sequence[DatasetRow], name_of: Callable[[DatasetRow], str | None]) -> tuple[str, ...]:
    splits: dict[str, set[str]] = {}
    for row in rows:
        name = name_of(row)
        if name is not None:
            splits.setdefault(name, set()).add(row.split)
    return tuple(sorted(name for name, found in splits.items() if len(found) > 1))


def _look_alike(rows: Sequence[DatasetRow]) -> Iterator[tuple[str, str, float]]:
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    for first, second in combinations([part for part in by_split.values() if part], 2):
        signs, others = _signs(first), _signs(second)
        frames = signs.shape[1] / 64
        for start in range(0, len(first), _ROWS_AT_ONCE):
            # Of vectors of +1 and -1 the product is equal bits minus differing bits.
            product = signs[start : start + _ROWS_AT_ONCE] @ others.T
            bits = (signs.shape[1] - product) / 2 / frames
            for i, j in np.argwhere(bits <= MAX_DIFFERING_BITS):
                pair = first[start + i].clip.clip_id, second[j].clip.clip_id
                yield *pair, round(float(bits[i, j]), 3)


def _signs(rows: Sequence[DatasetRow]) -> npt.NDArray[np.float32]:
    """Return the bits of three perceptual hashes of each row as +1 and -1, float32 (N, 192)."""
    hashes = np.array([list(bytes.fromhex(_three(row.clip.phash))) for row in rows], np.uint8)
    return np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1


def _three(phash: str) -> str:
    """Select the hashes at one sixth, a half and five sixths of a clip."""
    count = len(phash) // _HASH_DIGITS
    starts = [(2 * i + 1) * count // 6 * _HASH_DIGITS for i in range(3)]
    return "".join(phash[start : start + _HASH_DIGITS] for start in starts)
