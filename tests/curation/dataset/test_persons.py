"""Persons: similar faces are one person, and one person is in one split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from fake_detectors import person, sample
from made_records import clip, source, span

from curation.config import load_config
from curation.dataset.persons import group_faces, groups_of, persons_of
from curation.dataset.splits import split_of
from curation.detect.face_embedding import mean_face, read_face, write_face
from curation.records import SourceRecord
from curation.report.explain import document, find_decisions
from curation.settings import PersonsSettings
from curation.store import Store

SETTINGS = load_config().export.persons
assert isinstance(SETTINGS, PersonsSettings)


def face(seed: int, apart: float = 0.0) -> np.ndarray:
    """A random direction, rotated by an angle in radians."""
    one, other = np.random.default_rng(seed).normal(size=(2, 512))
    one /= np.linalg.norm(one)
    other -= (other @ one) * one
    return (np.cos(apart) * one + np.sin(apart) * other / np.linalg.norm(other)).astype(np.float32)


def record(name: str, *faces: np.ndarray | str | None) -> SourceRecord:
    """A source with a clip for each face; a text is the name of a known person."""
    spans = [span(number, clip_id=f"{name}{number}") for number in range(len(faces))]
    clips = tuple(
        clip(f"{name}{number}").model_copy(
            update={"person_id": one}
            if isinstance(one, str)
            else {"face": None if one is None else write_face(one)}
        )
        for number, one in enumerate(faces)
    )
    return source(name, *spans).model_copy(update={"clips": clips})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "data")
    with store.locked():
        return store


def test_the_same_face_in_two_sources_is_one_person_in_one_split(store):
    records = [record("a", face(1), face(2)), record("b", face(1, 0.5)), record("c", face(3), None)]
    persons = persons_of(store, records, SETTINGS)
    assert persons["a0"] == persons["b0"] and len({persons[name] for name in ("a0", "a1", "c0")}) == 3
    assert "c1" not in persons
    groups = groups_of(records, persons)
    assert groups["id-a"] == groups["id-b"] != groups["id-c"]
    assert split_of(groups["id-a"], {"train": 1, "test": 1}) == split_of(
        groups["id-b"], {"train": 1, "test": 1}
    )
    assert persons_of(store, records[::-1], SETTINGS) == persons


def test_a_chain_of_faces_is_one_person(store):
    chain = [record(name, face(1, angle)) for name, angle in (("a", 0.0), ("b", 0.9), ("c", 1.8))]
    assert face(1, 0.0) @ face(1, 1.8) < SETTINGS.min_similarity
    assert len(set(persons_of(store, chain, SETTINGS).values())) == 1
    assert len(set(persons_of(store, [chain[0], chain[2]], SETTINGS).values())) == 2


def test_a_person_has_another_name_in_another_folder_and_the_same_after_a_fresh_start(store, tmp_path):
    records = [record("a", face(1))]
    name = persons_of(store, records, SETTINGS)["a0"]
    with store.locked():
        store.wipe()
    assert persons_of(store, records, SETTINGS)["a0"] == name
    other = Store(tmp_path / "other")
    with other.locked():
        assert persons_of(other, records, SETTINGS)["a0"] != name


def test_known_persons_keep_their_names_and_without_settings_nobody_is_identified(store):
    records = [record("a", face(1), "anna"), record("b", "anna")]
    assert persons_of(store, records, SETTINGS)["b0"] == "anna"
    assert persons_of(store, records, None) == {"a1": "anna", "b0": "anna"}


def test_groups_do_not_depend_on_blocks(monkeypatch):
    faces = np.stack([face(seed % 7, 0.1 * (seed // 7)) for seed in range(28)])
    whole = group_faces(faces, SETTINGS)
    assert len(set(whole)) == 7
    monkeypatch.setattr("curation.dataset.persons._ROWS_AT_ONCE", 5)
    assert (group_faces(faces, SETTINGS) == whole).all()


def test_descriptors_of_dlib_are_grouped_by_distance_and_never_with_those_of_arcface(store):
    base = np.random.default_rng(0).normal(0.1, 0.05, 128).astype(np.float32)
    near, far = base + np.float32(0.2 / 128**0.5), base + np.float32(0.9 / 128**0.5)
    records = [record("a", base), record("b", near), record("c", far), record("d", face(1))]
    persons = persons_of(store, records, SETTINGS)
    assert persons["a0"] == persons["b0"] and len(set(persons.values())) == 3
    assert read_face(write_face(base)) == pytest.approx(base, abs=1e-3)  # not scaled to unit length


def test_features_are_read_as_they_were_written():
    samples = [sample(person(), identity=face(1)), sample(person()), sample(person(), identity=face(1, 0.4))]
    mean = mean_face(samples)
    assert mean is not None and np.linalg.norm(mean) == pytest.approx(1, abs=1e-6)
    assert mean @ face(1, 0.2) == pytest.approx(1, abs=1e-6)
    assert read_face(write_face(mean)) @ mean == pytest.approx(1, abs=1e-5)
    assert mean_face([sample(person())]) is None


def test_a_run_with_the_identity_model_names_persons_and_keeps_their_features_private(summary, made):
    assert not summary.errors, summary.errors
    (shard,) = (made / "clips").glob("*.parquet")  # one person, so one split
    rows = pq.read_table(shard).to_pylist()
    assert len(rows) == 3 and len({row["person_id"] for row in rows}) == 1
    assert all(row["scores"]["identity_min"] > 0.9 for row in rows)
    leakage = json.loads((made / "leakage.json").read_text())
    assert leakage["is_clean"] and leakage["clips_without_person"] == 0
    features = [clip.face for record in summary.records for clip in record.clips]
    assert all(features)
    written = b"".join(path.read_bytes() for path in made.iterdir() if path.is_file())
    explained = json.dumps(document(find_decisions(made, str(rows[0]["clip_id"]))))
    for one in features:
        assert str(one)[:64].encode() not in written and str(one)[:64] not in explained
