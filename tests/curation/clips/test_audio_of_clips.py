"""Clips keep their sound with `--audio`, and say so."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import datasets
import numpy as np
import pytest
from fake_detectors import FAKE
from shot_videos import write_shots
from typer.testing import CliRunner

from curation.cli.app import app
from curation.clips.writer import is_in_step
from curation.config import load_config
from curation.release.manifest import read_manifest
from curation.release.rebuild import Place, _write
from curation.release.release import release_ids
from curation.report.previews import make_preview
from curation.sources import LocalSource
from curation.store import Store
from talkingpose.data.clips import load_clips
from talkingpose.media.audio import cut_audio

CLICK_S = 2.6


def add_click(video: Path, *, seconds: float = 4.0) -> None:
    """Add silence with one click to a video."""
    sound = video.with_suffix(".mkv")
    wave = np.zeros(round(44100 * seconds), np.int16)
    wave[round(44100 * CLICK_S) :][:441] = 30000 * np.sin(np.arange(441) * 0.5)
    with av.open(str(sound), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    assert cut_audio(video, sound, start=Fraction(0), length=Fraction(4))
    sound.unlink()


def click_of(video: bytes | Path) -> float:

    with av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video)) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return float(frames[0].time) + int(np.argmax(np.abs(samples) > 0.1)) / frames[0].sample_rate


def tp_curate(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words], standalone_mode=False)


def test_a_run_keeps_sound_and_says_so(tmp_path, fake_models, in_this_process):
    # Nobody is seen in the first second.
    for number, name in enumerate(("sound", "silent")):
        write_shots(tmp_path / "in" / f"{name}.mp4", [((180, 60, 60), 25), ((60, 180, 60), 75)], seed=number)
    add_click(tmp_path / "in" / "sound.mp4")
    out = tmp_path / "data"
    done = tp_curate("run", tmp_path / "in", "--out", out, "--workers", 1, "--audio", "--json")
    assert done.return_value == 0, done.exception
    rows = datasets.load_dataset(str(out), "manifest")
    by_source = {row["source_id"]: row for split in rows.values() for row in split}
    records = {record.name: record for record in Store(out).records()}
    assert {name: by_source[one.source_id]["has_audio"] for name, one in records.items()} == {
        "in/sound.mp4": True,
        "in/silent.mp4": False,
    }
    for clip in load_clips(out):
        assert sum(1 for _ in clip.frames()) == clip.num_frames == len(clip.keypoints) == 75
    record = records["in/sound.mp4"]
    (kept,) = record.clips
    (clip,) = [one for one in load_clips(out) if one.clip_id == kept.clip_id]
    video = clip._opened().video(clip)
    assert click_of(video) == pytest.approx(CLICK_S - kept.start_s, abs=0.02)
    release_ids(out, tmp_path / "release")
    manifest = read_manifest(tmp_path / "release")
    assert {row.has_audio for row in manifest} == {True, False}
    (row,) = [one for one in manifest if one.has_audio]
    place = Place(LocalSource(tmp_path / "in" / "sound.mp4", "sound.mp4"), row)
    rebuilt = _write(place, 0, tmp_path, load_config().with_audio(), FAKE)
    assert rebuilt.has_audio and rebuilt.sha256 == kept.sha256
    (span,) = [one for one in record.shots if one.clip_id]
    assert span.curves["brightness"].levels and len(span.curve_times) >= 10
    preview = make_preview(Store(out), {}, record, span, tmp_path)
    assert preview.frames == 75
    assert click_of(tmp_path / preview.video) == pytest.approx(CLICK_S - kept.start_s, abs=0.02)


def test_without_audio_the_hash_stays_and_records_say_nothing():
    plain = load_config()
    stored = plain.model_copy(update={"encode": plain.encode.model_copy(update={"audio": False})})
    assert stored.hash == plain.hash != plain.with_audio().hash
    assert plain.with_audio().download.formats.audio and not plain.encode.audio


def test_frames_that_move_against_the_sound_are_noticed():
    steady = np.arange(100) / 25
    assert is_in_step(list(steady + 7), Fraction(25))
    assert is_in_step(list(steady + 0.01 * np.sin(steady)), Fraction(25))
    assert not is_in_step(list(steady + 0.2 * (steady > 2)), Fraction(25))
