"""Persons: clips with similar faces show one person."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from curation.dataset.splits import group_sources
from curation.detect.face_embedding import by_distance, compared, read_face
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
    """Identify the persons of clips.

    A record may name the person (synthetic speakers, a manifest). Otherwise clips whose mean face features
    are within the threshold of the settings, through any chain of clips, are one person. Clips of
    different persons are therefore never that close. A person is named by a salted hash of the first of the
    clip ids; the salt stays in the folder, so that persons of two datasets cannot be joined by name.

    Args:
        store: of the folder, for the salt.
        records: all sources.
        settings: None ignores faces.

    Returns:
        Clip id -> person, for clips whose person is known.
    """
    clips = [clip for record in records for clip in record.clips]
    known = {clip.clip_id: clip.person_id for clip in clips if clip.person_id is not None}
    faces = sorted((clip.clip_id, clip.face) for clip in clips if clip.person_id is None and clip.face)
    if settings is None or not faces:
        return known
    salt = store.salt()
    read = [(clip_id, read_face(face)) for clip_id, face in faces]
    # Embeddings of two models cannot be compared; a folder may hold both.
    for size in sorted({face.size for _, face in read}):
        own = [(clip_id, face) for clip_id, face in read if face.size == size]
        groups = group_faces(np.stack([face for _, face in own]), settings)
        first: dict[int, str] = {}
        for (clip_id, _), group in zip(own, groups.tolist(), strict=True):
            known[clip_id] = _name(salt, first.setdefault(group, clip_id))
    return known


def groups_of(
    records: Sequence[SourceRecord], persons: dict[str, str], copies: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Group the sources that must share a split: see `curation.dataset.splits.group_sources`.

    Args:
        records: all sources.
        persons: clip id -> person.
        copies: clip id -> id of the clip with the same footage.
    """
    source_of = {clip.clip_id: record.source_id for record in records for clip in record.clips}
    return group_sources(
        ((record.source_id, persons.get(clip.clip_id)) for record in records for clip in record.clips),
        ((source_of[one], source_of[other]) for one, other in (copies or {}).items()),
    )


def group_faces(faces: npt.NDArray[np.float32], settings: PersonsSettings) -> npt.NDArray[np.int32]:
    """Number the groups of similar faces: connected components of pairs within the threshold.

    Args:
        faces: float32 (N, D), all of one model.
        settings: threshold of each model.

    Returns:
        Number of the group of each face, int32 (N,).
    """
    from scipy.sparse.csgraph import connected_components

    return np.asarray(connected_components(_links(faces, settings), directed=False)[1], np.int32)


def _links(faces: npt.NDArray[np.float32], settings: PersonsSettings) -> coo_array:
    """Find similar pairs in blocks, so that memory grows with the number of faces and not with its square."""
    from scipy.sparse import coo_array

    pairs = []
    for start in range(0, len(faces), _ROWS_AT_ONCE):
        values = compared(faces[start : start + _ROWS_AT_ONCE], faces)
        near = values <= settings.max_distance if by_distance(faces) else values >= settings.min_similarity
        rows, columns = np.nonzero(near)
        pairs.append((rows + start, columns))
    row, column = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return coo_array((np.ones(len(row), np.int8), (row, column)), shape=(len(faces), len(faces)))


def _name(salt: str, clip_id: str) -> str:
    return hashlib.sha256(f"{salt} {clip_id}".encode()).hexdigest()[:_ID_DIGITS]
