"""Guarded reader: any file gives a value within the limits or a one-line DocumentError."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from talkingpose.io.documents import (
    DocumentError,
    DocumentLimits,
    check_limits,
    parse_json,
    parse_yaml,
    read_arrays,
    read_bytes,
    read_json,
    read_text,
    read_yaml,
)

SMALL = DocumentLimits(size=2000, depth=4, items=20, text=50, number=1000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=60), inner, max_size=6),
    max_leaves=30,
)


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """Value of a call, or None after a DocumentError of one line."""
    try:
        return call(*arguments)
    except DocumentError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return None


def within(value: Any, limits: DocumentLimits, depth: int = 0) -> bool:
    if isinstance(value, dict | list):
        inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        return depth < limits.depth and all(within(one, limits, depth + 1) for one in inner)
    if isinstance(value, str):
        return len(value) <= limits.text
    return value is None or abs(value) <= limits.number  # False for NaN and infinity


def count(value: Any) -> int:
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return 1 + (sum(map(count, inner)) if isinstance(value, dict | list) else 0)


@settings(max_examples=100)
@given(VALUES)
def test_accepted_are_exactly_the_values_within_the_limits(value: Any) -> None:
    text = json.dumps(value)
    accepted = within(value, SMALL) and count(value) <= SMALL.items
    if text.count(",") + text.count(":") <= SMALL.items:
        try:
            assert parse_json(text, "document", SMALL) == value and accepted
        except DocumentError:
            assert not accepted


@settings(max_examples=100)
@given(st.text(max_size=200) | st.binary(max_size=200) | VALUES.map(json.dumps))
def test_any_text_gives_a_value_or_one_line(content: str | bytes) -> None:
    text = content if isinstance(content, str) else content.decode("latin-1")
    for parse in (parse_json, parse_yaml):
        value = outcome(parse, text, "document", SMALL)
        if value is not None:
            check_limits(value, "document", SMALL)


@settings(max_examples=50)
@given(VALUES.map(lambda value: json.loads(json.dumps(value).replace("NaN", "1").replace("Infinity", "1"))))
def test_yaml_and_json_agree(value: Any) -> None:
    wide = DocumentLimits(number=float("inf"))
    assert parse_yaml(yaml.safe_dump(value), "document", wide) == value
    assert parse_json(json.dumps(value), "document", wide) == value


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        "1" * 5000,
        '{"parameters": 1' + "0" * 4000 + "}",
        '{"a": "' + "x" * 2_000_000 + '"}',
        "[" + "0," * 1_500_000 + "0]",
        "{" + '"a":0,' * 600_000 + '"b":0}',
        "[1e999]",
        "[NaN]",
    ],
    ids=range(10),
)
def test_absurd_json_is_refused(text: str) -> None:
    for parse in (parse_json, parse_yaml) if 20 < len(text) < 500_000 else (parse_json,):
        with pytest.raises(DocumentError) as error:
            parse(text, "document")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: *a",
        "- " * 100 + "x",
        "!!python/object/apply:os.system ['true']",
        "!!set {a, b}",
        "!!binary aGVsbG8=",
        "a: .nan",
        "a: 1\n---\na: 2",
        "a: [",
        "? [a]\n: b",
        "2024-99-99",
    ],
)
def test_unsafe_yaml_is_refused(text: str) -> None:
    with pytest.raises(DocumentError) as error:
        parse_yaml(text, "document")
    assert "\n" not in str(error.value)


def test_dates_and_bom_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfday: 2024-02-03\nname: x\n")
    assert read_yaml(path, "config")["name"] == "x"


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "large", "latin", "nul", "long"])
def test_only_regular_text_files_of_bounded_size_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "large":
        path.write_bytes(b" " * 3000)
    elif kind == "latin":
        path.write_bytes(b"caf\xe9")
    elif kind == "nul":
        path = tmp_path / "a\0b"
    elif kind == "long":
        path = tmp_path / ("a" * 5000)
    for call in (lambda: read_text(path, "run", 2000), lambda: read_json(path, "run", SMALL)):
        with pytest.raises(DocumentError, match=r"^run "):
            call()


def test_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert read_bytes(path, "file", 100) == b"x" * 100


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


VALID = npz(keypoints=np.zeros((3, 133, 3), np.float16), fps=np.float64(25))


def test_arrays_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(VALID)
    arrays = read_arrays(path, "poses")
    assert arrays["keypoints"].shape == (3, 133, 3) and float(arrays["fps"]) == 25


@pytest.mark.parametrize("kind", ["bomb", "many", "pickle", "header", "text"])
def test_hostile_arrays_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.npz"
    if kind == "header":
        with zipfile.ZipFile(path, "w") as archive:
            member = io.BytesIO()
            header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)}
            np.lib.format.write_array_header_1_0(member, header)
            archive.writestr("keypoints.npy", member.getvalue())
    else:
        content = {
            "bomb": npz(a=np.zeros(2_000_000, np.uint8)),
            "many": npz(**{f"a{i}": np.zeros(1) for i in range(100)}),
            "pickle": npz(a=np.array([{}], object)),
            "text": b"PK\3\4 no archive",
        }[kind]
        path.write_bytes(content)
    with pytest.raises(DocumentError, match=r"^poses .*a\.npz"):
        read_arrays(path, "poses", 1_000_000)


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_arrays_give_arrays_or_one_line(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(VALID)
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    arrays = outcome(read_arrays, path, "poses")
    assert arrays is None or all(isinstance(array, np.ndarray) for array in arrays.values())
