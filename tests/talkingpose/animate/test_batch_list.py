from __future__ import annotations

from pathlib import Path

import pytest

from talkingpose.animate.batch_list import AnimateJob, BatchListError, read_batch_list
from talkingpose.io.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").touch()
    (tmp_path / "v.mp4").touch()
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / "list.csv").write_text(text, encoding="utf-8-sig")
    return folder / "list.csv"


def test_paths_start_at_the_list(folder: Path) -> None:
    path = write(
        folder, f'driving,note,reference,out\nv.mp4,"a, b",a.png, f.mp4\n{folder}/v.mp4,,a.png,g.mp4\n'
    )
    assert read_batch_list(path) == [
        AnimateJob(folder / "a.png", folder / "v.mp4", folder / "f.mp4"),
        AnimateJob(folder / "a.png", folder / "v.mp4", folder / "g.mp4"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column reference"),
        ("reference,driving\na.png,v.mp4\n", "no column out"),
        ("reference,driving,out\n", "no line below"),
        ("reference,driving,out\na.png,v.mp4\n", "line 2: no out"),
        (
            "reference,driving,out\na.png,v.mp4,f.mp4\n\na.png,w.mp4,g.mp4\n",
            "line 4: driving .*w.mp4: no such file",
        ),
        ("reference,driving,out\na.png,v.mp4,f.mp4\na.png,v.mp4,f.mp4\n", "line 3: .*twice"),
        ('reference,driving,out\n"a.png,v.mp4,f.mp4\n', "not a CSV file"),
    ],
)
def test_a_list_that_cannot_be_used_is_one_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(BatchListError, match=message) as caught:
        read_batch_list(write(folder, text))
    assert "\n" not in str(caught.value)


def test_a_missing_list_and_another_encoding(folder: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_batch_list(folder / "nothing.csv")
    (folder / "list.csv").write_bytes(b"reference\xff\xfe\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_batch_list(folder / "list.csv")
