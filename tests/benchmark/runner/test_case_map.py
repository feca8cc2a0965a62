"""Maps of strangers: read where they can be understood, else refused in one line."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from benchmark.runner.predictions.case_map import CaseMapError, find_prediction, read_case_map
from benchmark.runner.predictions.folder import Predictions, match_by_map

HEAD = "clip_id,prediction\n"


def read(tmp_path: Path, content: str | bytes) -> dict[str, str]:
    path = tmp_path / "map.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return dict(read_case_map(path).predictions)


@pytest.mark.parametrize(
    "content",
    [
        "clip_id,prediction\na,x/v 1.mp4\nb,ä.mkv\n",
        "\ufeffclip_id,prediction\r\na,x/v 1.mp4\r\n\r\nb,ä.mkv\r\n",
        "clip_id;prediction\na;x/v 1.mp4\nb;ä.mkv",
        "prediction\tnote\tclip_id\nx/v 1.mp4\t\ta\nä.mkv\tgood, too\tb\n",
        'clip_id,prediction,note\na,"x\\v 1.mp4","1, 2"\n b , ./ä.mkv ,\n',
    ],
)
def test_a_map_is_read_as_spreadsheets_write_it(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content) == {"a": "x/v 1.mp4", "b": "ä.mkv"}


HOSTILE = {
    "absolute": (f"{HEAD}a,/etc/passwd\n", "absolute"),
    "a drive": (f"{HEAD}a,C:\\v.mp4\n", "absolute"),
    "a share": (f"{HEAD}a,\\\\host\\v.mp4\n", "absolute"),
    "dots": (f"{HEAD}a,x/../../v.mp4\n", "leads out"),
    "dots of another system": (f"{HEAD}a,x\\..\\..\\v.mp4\n", "leads out"),
    "only a dot": (f"{HEAD}a,.\n", "leads out"),
    "a clip twice": (f"{HEAD}a,v.mp4\na,w.mp4\n", "second time"),
    "a video twice": (f"{HEAD}a,v.mp4\nb,./v.mp4\n", "line 2"),
    "no clip": (f"{HEAD},v.mp4\n", "no clip_id"),
    "missing column": ("clip_id,video\na,v.mp4\n", "prediction"),
    "column twice": ("clip_id,prediction,prediction\na,v.mp4,w.mp4\n", "prediction"),
    "too many cells": (f"{HEAD}a,v,1.mp4\n", "cells"),
    "empty": ("", "clip_id"),
    "an open quote": (f'{HEAD}a,"v.mp4\nb,w.mp4\n', "not a CSV"),
    "control characters": (f"{HEAD}a,v\x1b[31m.mp4\n", "not a file name"),
    "NUL": (f"{HEAD}a,v\0.mp4\n", "map.csv"),
    "not UTF-8": (b"clip_id,prediction\na,\xff.mp4\n", "UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "map.csv"),
    "a long cell": (f"{HEAD}a,{'v' * 5000}.mp4\n", "not a file name"),
    "a cell without end": (f"{HEAD}a,{'v' * 200_000}.mp4\n", "map.csv"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_map_is_one_line(tmp_path: Path, what: str) -> None:
    content, says = HOSTILE[what]
    with pytest.raises(CaseMapError) as caught:
        read(tmp_path, content)
    message = str(caught.value)
    assert says in message and "map.csv" in message and message.isprintable() and len(message) < 600


def test_a_huge_map_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(1 << 30)
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("huge.csv", "pipe.csv", "nothing.csv", "."):
        with pytest.raises(CaseMapError) as caught:
            read_case_map(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "frames").mkdir(parents=True)
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (made / "v.mp4").write_bytes(b"x")
    (made / "inside.mp4").symlink_to("v.mp4")
    (made / "out.mp4").symlink_to("../secret.mp4")
    (made / "up").symlink_to("..")
    (made / "frames/0.png").symlink_to("../../secret.mp4")
    (made / "loop.mp4").symlink_to("loop.mp4")
    assert find_prediction(made, "inside.mp4") == made / "inside.mp4"
    for name in ("out.mp4", "up/secret.mp4", "frames", "loop.mp4"):
        with pytest.raises(CaseMapError) as caught:
            find_prediction(made, name)
        assert "\n" not in str(caught.value)


def test_a_name_is_found_in_any_composition_of_its_accents(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "é à/vidéo.mp4") for form in ("NFC", "NFD"))
    (tmp_path / apart).parent.mkdir()
    (tmp_path / apart).write_bytes(b"x")
    assert find_prediction(tmp_path, composed) == tmp_path / apart
    assert find_prediction(tmp_path, "é à/other.mp4") is None and find_prediction(tmp_path, "v/w.mp4") is None


def test_names_of_the_map_and_the_folder_that_belong_to_no_clip_are_listed(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "x").mkdir(parents=True)
    for name in ("x/v.mp4", "stray.mp4", "map.csv"):
        (made / name).write_bytes(b"x")
    (made / "map.csv").write_text(f"{HEAD}a,x/v.mp4\nb,\nold,w.mp4\n")
    found = match_by_map(made, read_case_map(made / "map.csv"), ["a", "b", "c"])
    assert dict(found.found) == {"a": made / "x/v.mp4"}
    assert found.missing == ("b", "c") and found.foreign == ("old (in map.csv)", "stray.mp4")


def test_a_map_without_any_of_the_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(f"{HEAD}a,v.mp4\n")
    case_map = read_case_map(tmp_path / "map.csv")
    with pytest.raises(ValueError, match=r"map\.csv"):
        Predictions(tmp_path, {"a": 9}, name="mine", revision=None, case_map=case_map)
