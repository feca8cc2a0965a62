"""Who is in which clip: clips whose faces are alike show one person."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation.dataset.splits import groups
from curation.detect.face_embedding import read_face
from curation.records import SourceRecord
from curation.settings import PersonsSettings
from curation.store import Store

if TYPE_CHECKING:
    from scipy.sparse import coo_array

_ROWS_AT_ONCE = 2048
_ID_DIGITS = 16


def persons_of(
    store: Store, records: Sequence[SourceRecord], settings: PersonsSettings | None
) -> dict[str, str]:
    """The person of every clip of whom one is known, by clip id.

    Whoever made the record may know it (drawn speakers, a manifest). Else faces tell, where the identity
    model saw one: clips whose mean features are as alike as asked, through any chain of them, are one person;
    so no two clips of different persons are as alike as that. A person is named by a salted hash of the first
    of the clip ids, with a salt that stays in the folder: nobody can join persons of two datasets by name.

    Args:
        settings: None leaves faces aside.
    """
    clips = [clip for record in records for clip in record.clips]
    known = {clip.clip_id: clip.person_id for clip in clips if clip.person_id is not None}
    seen = sorted((clip.clip_id, clip.face) for clip in clips if clip.person_id is None and clip.face)
    if settings is None or not seen:
        return known
    groups = alike(np.stack([read_face(face) for _, face in seen]), settings.min_similarity)
    salt = store.salt()
    first: dict[int, str] = {}
    for (clip_id, _), group in zip(seen, groups.tolist(), strict=True):
        known[clip_id] = _name(salt, first.setdefault(group, clip_id))
    return known


def groups_of(records: Sequence[SourceRecord], persons: dict[str, str]) -> dict[str, str]:
    """What must not be parted by splits, by source: see `curation.dataset.splits.clusters`."""
    return groups(
        (record.source_id, persons.get(clip.clip_id)) for record in records for clip in record.clips
    )


def alike(faces: npt.NDArray[np.float32], min_similarity: float) -> npt.NDArray[np.int32]:
    """Number of its group for each face, (N,): connected components of faces with at least this cosine.

    Args:
        faces: (N, D), of unit length.
    """
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(_links(faces, min_similarity), directed=False)[1], np.int32)


def _links(faces: npt.NDArray[np.float32], min_similarity: float) -> coo_array:
    """Pairs that are alike; in blocks, so that memory grows with the number of faces and not its square."""
    from scipy.sparse import coo_array

    pairs = []
    for start in range(0, len(faces), _ROWS_AT_ONCE):
        rows, columns = np.nonzero(faces[start : start + _ROWS_AT_ONCE] @ faces.T >= min_similarity)
        pairs.append((rows + start, columns))
    row, column = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return coo_array((np.ones(len(row), np.int8), (row, column)), shape=(len(faces), len(faces)))


def _name(salt: str, clip_id: str) -> str:
    return hashlib.sha256(f"{salt} {clip_id}".encode()).hexdigest()[:_ID_DIGITS]
