"""Lists of ids and addresses in all their forms."""

from __future__ import annotations

import os
import random
import string
import time

import pytest

from curation.download.source_list import SourceListError, parse_address, read_list
from talkingpose.io.errors import UserError

ID, OTHER = "dQw4w9WgXcQ", "-_aB3456789"


def ids(path) -> list[str]:
    return [one.source_id for one in read_list(path).wanted]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", f"{ID}\n\n# a remark\n{OTHER}  # another\n{ID}\n", [ID, OTHER]),
        ("a.txt", f"\ufeff{ID}\r\n{OTHER}\r\n", [ID, OTHER]),
        ("a.csv", f"video_id,title\n{ID},one\n{OTHER},two\n", [ID, OTHER]),
        ("a.csv", f"{ID}\n{OTHER}\n", [ID, OTHER]),
        ("a.csv", f"title;address\nThe first;{ID}\nThe second;{OTHER}\n", [ID, OTHER]),
        ("a.csv", f"what,which one\n1,{ID}\n2,{OTHER}\n", [ID, OTHER]),
        ("a.tsv", f"url\thttp\nhttps://youtu.be/{ID}?t=3\tx\n", [ID]),
        ("a.csv", f'"title","video_id"\n"a, b","{ID}"\n', [ID]),
    ],
)
def test_forms(tmp_path, name, text, expected):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = read_list(path)
    assert [one.source_id for one in found.wanted] == expected and not found.refused


@pytest.mark.parametrize(
    "address",
    [
        f"https://www.youtube.com/watch?v={ID}",
        f"http://m.youtube.com/watch?feature=share&v={ID}&t=10s",
        f"https://youtu.be/{ID}?si=x",
        f"https://www.youtube.com/shorts/{ID}",
        f"https://www.youtube-nocookie.com/embed/{ID}?rel=0",
        f"https://youtube.com/live/{ID}/",
        f"  {ID} ",
    ],
)
def test_all_forms_of_a_youtube_address_are_one_source(address):
    assert parse_address(address) == parse_address(ID)


def test_other_addresses_have_a_normal_form():
    one = parse_address("HTTPS://Example.org:8080/A/b.mp4?x=1#t=3")
    assert one.url == "https://example.org:8080/A/b.mp4?x=1" and one.source == "url"
    assert len(one.source_id) == 16 and len(one.key) == 20
    assert parse_address("https://example.org:8080/A/b.mp4?x=1") == one


def test_spans_of_all_rows_of_a_video_are_merged(tmp_path):
    path = tmp_path / "spans.csv"
    path.write_text(f"youtube_id,start,end\n{ID},1.5,3\n{OTHER},0,1\n{ID},10,12\n{OTHER},,\n")
    first, second = read_list(path).wanted
    assert first.spans == ((1.5, 3.0), (10.0, 12.0))
    assert second.spans == ()  # one of its rows requests the whole video
    path = tmp_path / "spans.txt"
    path.write_text(f"{ID} 2 4\n")
    assert read_list(path).wanted[0].spans == ((2.0, 4.0),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"id,start,end\n{ID},1:02,1:00:02.5\n", (62.0, 3602.5)),
        (f"{ID},0:02,0:09\n", (2.0, 9.0)),
        (f"{ID},.5,9.\n", (0.5, 9.0)),
        (f"{ID},12,a title\n", None),  # columns without names need not be a span
        (f"{ID},by 12:30,2024\n", None),
    ],
)
def test_times_of_a_span(tmp_path, text, expected):
    path = tmp_path / "spans.csv"
    path.write_text(text)
    found = read_list(path)
    assert found.wanted[0].spans == ((expected,) if expected else ()) and not found.refused


@pytest.mark.parametrize(
    "text",
    [
        f"{ID},3,1\n",
        f"{ID},3,3\n",
        f"{ID},-1,3\n",
        f"{ID},1,inf\n",
        f"id,start,end\n{ID},3,\n",
        f"id,start,end\n{ID},,3\n",
        f"id,start\n{ID},3\n",
        f"id,start,end\n{ID},1:75,3:00\n",
        f"id,start,end\n{ID},soon,later\n",
    ],
)
def test_an_invalid_span_is_refused(tmp_path, text):
    path = tmp_path / "spans.csv"
    path.write_text(text)
    found = read_list(path)
    assert not found.wanted and len(found.refused) == 1
    assert "give start and end" in found.refused[0] and found.refused[0].startswith("spans.csv: line ")


def test_a_list_of_the_published_size(tmp_path):
    random_ = random.Random(1)
    letters = string.ascii_letters + string.digits + "-_"
    different = ["".join(random_.choices(letters, k=11)) for _ in range(19_339)]
    rows = [*different, *random_.choices(different, k=21_140 - 19_339)]
    random_.shuffle(rows)
    path = tmp_path / "video_ids.csv"
    path.write_text("video_id\n" + "\n".join(rows) + "\n")
    found = read_list(path)
    assert (found.num_rows, len(found.wanted), found.refused) == (21_140, 19_339, ())
    assert [one.source_id for one in found.wanted] == list(dict.fromkeys(rows))
    from curation.download.ledger import Ledger

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.add(found.wanted)
        ledger.add(found.wanted)
        assert sum(number for *_, number, _ in ledger.counts()) == 19_339


HOSTILE = [
    "../../etc/passwd",
    "abc;rm -rf ~",
    "$(touch owned)",
    "`touch owned`",
    "dQw4w9WgXc|",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "http://",
    "http://exa mple.org/x",
    "http://[::1/x",
    "http://host:port/x",
    "https://example.org/a\x1b[2Jb",
    "ytsearch100:cats",
    "http://example.org/" + "x" * 3000,
    "--exec=touch",
]


@pytest.mark.parametrize("entry", HOSTILE)
def test_an_entry_that_is_neither_id_nor_address_is_refused_in_one_line(tmp_path, entry):
    with pytest.raises(SourceListError) as error:
        parse_address(entry)
    message = str(error.value)
    assert "neither a YouTube id nor" in message
    assert message.isprintable() and len(message) < 200


def test_refused_rows_are_named_and_the_others_kept(tmp_path):
    path = tmp_path / "list.txt"
    hostile = [entry for entry in HOSTILE if entry.isprintable()]
    path.write_text("\n".join([ID, *hostile, OTHER]) + "\n")
    found = read_list(path)
    assert [one.source_id for one in found.wanted] == [ID, OTHER]
    assert len(found.refused) == len(hostile) == found.num_rows - 2
    assert found.refused[0].startswith("list.txt: line 2: '../../etc/passwd'")


def test_secrets_in_an_address_are_refused_and_not_repeated():
    with pytest.raises(SourceListError, match="name or password") as error:
        parse_address("https://me:secret@example.org/a.mp4")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00\x01", "not UTF-8 text"),
        (b"abc\x00def", "not text"),
        (b"\n# nothing\n\n", "no entry"),
        (None, "No such file"),
    ],
)
def test_an_unreadable_list_is_one_line(tmp_path, content, message):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_list(path)


@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
@pytest.mark.parametrize("sign", ["x", "1"])
def test_entries_of_two_megabytes_are_one_line(tmp_path, name, sign):
    path = tmp_path / name
    path.write_text(f"{ID},{sign * 2_000_000}x,2\n{sign * 2_000_000}\n")
    begun = time.process_time()
    try:
        messages = read_list(path).refused
    except SourceListError as error:
        messages = (str(error),)
    assert time.process_time() - begun < 5
    assert messages and all(len(message) < 300 and "\n" not in message for message in messages)


def test_a_list_that_is_not_a_regular_file_is_one_line(tmp_path):
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(UserError, match="not a regular file"):
        read_list(tmp_path / "list.txt")
