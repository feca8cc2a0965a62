"""CSIM and AED through OpenCV and onnxruntime, with small networks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from benchmark.features.arcface import TEMPLATE, align
from benchmark.features.face import FaceBox
from benchmark.metrics import AnyMetric, CaseShape, family
from benchmark.metrics.identity import IdentityMetric
from benchmark.metrics.registry import GROUPS
from benchmark.metrics.scoring import Scoring
from benchmark.metrics.window import PairWindow
from benchmark.results import CaseScore
from tests.benchmark.metrics.standins import FACE_SIDE

Image = npt.NDArray[np.uint8]
HEIGHT, WIDTH = 192, 256


def face(identity: int, left: int = 96, side: int = FACE_SIDE) -> Image:
    """A grey frame with a face of this identity, a magenta square with a pattern of its own."""
    frame = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    pattern = np.random.default_rng(identity).integers(0, 80, (6, 6)).astype(np.uint8)
    square = np.full((side, side, 3), 255, np.uint8)
    square[:, :, 1] = cv2.resize(pattern, (side, side), interpolation=cv2.INTER_NEAREST)
    frame[32 : 32 + side, left : left + side] = square
    return frame


def nobody() -> Image:
    return np.full((HEIGHT, WIDTH, 3), 128, np.uint8)


def scored(
    real: list[Image], generated: list[Image], portrait: Image, metrics: list[AnyMetric] | None = None
) -> dict[str, CaseScore]:
    metrics = metrics or [metric for name in GROUPS["identity"] for metric in family(name)]
    case = CaseShape("clip", Fraction(25), WIDTH, HEIGHT, len(real))
    scoring = Scoring(case, portrait, metrics)
    for pair in zip(real, generated, strict=True):
        scoring.window.push(*pair)
        scoring.score()
    return scoring.finish()[0]


@pytest.mark.usefixtures("standin_weights")
def test_the_same_face_is_the_same_person() -> None:
    real = [face(1, left=96 + 16 * (t % 3)) for t in range(4)]
    found = scored(real, real, face(1))
    for name in ("csim.frame", "csim-arcface.frame"):
        assert found[name].value == pytest.approx(1, abs=1e-9)
        assert (found[name].state, found[name].coverage, found[name].n_frames) == ("ok", 1.0, 4)
    assert found["aed.frame"].value == pytest.approx(0, abs=1e-9)


@pytest.mark.usefixtures("standin_weights")
def test_another_face_is_another_person() -> None:
    real = [face(1)] * 3
    same, other = scored(real, real, face(1)), scored(real, [face(2)] * 3, face(1))
    for name in ("csim.frame", "csim.reference", "csim-arcface.frame", "csim-arcface.reference"):
        assert other[name].value is not None and same[name].value is not None
        assert other[name].value < same[name].value - 0.001
    for target in ("frame", "reference"):
        similarity, distance = other[f"csim.{target}"].value, other[f"aed.{target}"].value
        assert similarity is not None
        assert distance == pytest.approx(2 - 2 * similarity, abs=1e-9)


@pytest.mark.usefixtures("standin_weights")
def test_a_frame_without_a_face_lowers_the_coverage() -> None:
    real = [face(1)] * 4
    found = scored(real, [face(1), nobody(), face(1), nobody()], face(1))
    for name in ("csim.frame", "csim.reference", "csim-arcface.frame"):
        assert found[name].value == pytest.approx(1, abs=1e-9)
        assert (found[name].state, found[name].coverage, found[name].n_frames) == ("partial", 0.5, 2)
        assert found[name].reason == "no face found in 2 of 4 generated frames"


@pytest.mark.usefixtures("standin_weights")
def test_no_face_is_expected_where_the_real_frame_has_none() -> None:
    found = scored([face(1), nobody()], [face(1), face(1)], face(1))
    assert (found["csim.frame"].coverage, found["csim.frame"].n_frames) == (1.0, 1)
    assert (found["csim.reference"].coverage, found["csim.reference"].n_frames) == (1.0, 2)


@pytest.mark.usefixtures("standin_weights")
def test_without_any_face_there_is_no_value() -> None:
    lost = scored([face(1)] * 2, [nobody()] * 2, face(1))["csim.frame"]
    assert (lost.value, lost.coverage, lost.state) == (None, 0.0, "unavailable")
    hidden = scored([face(1)] * 2, [face(1)] * 2, nobody())["csim.reference"]
    assert (hidden.value, hidden.state, hidden.reason) == (
        None,
        "unavailable",
        "no face found in the portrait",
    )


@pytest.mark.usefixtures("standin_weights")
def test_the_position_of_a_face() -> None:
    window = PairWindow(0)
    window.push(face(1), nobody())
    detector = FaceBox()
    found = detector.extract(window, "real", 0)
    assert found is not None and found.shape == (15,)
    left, top = found[4:14].reshape(5, 2).mean(axis=0) - FACE_SIDE / 2
    assert abs(left - 96) <= FACE_SIDE / 2 and abs(top - 32) <= FACE_SIDE / 2
    assert detector.extract(window, "generated", 0) is None


@pytest.mark.usefixtures("standin_weights")
def test_the_largest_face_is_the_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = np.zeros((3, 15), np.float32)
    faces[:, 2], faces[:, 3], faces[:, 14] = (20, 30, 40), (20, 40, 10), (0.99, 0.7, 0.99)

    class Several:
        def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802
            assert size == (WIDTH, HEIGHT)

        def detect(self, image: Image) -> tuple[int, npt.NDArray[np.float32]]:
            return 1, faces

    window = PairWindow(0)
    window.push(face(1), nobody())
    detector = FaceBox()
    monkeypatch.setattr(detector, "_detector", Several())
    found = detector.extract(window, "real", 0)
    assert found is not None and tuple(found[2:4]) == (30, 40)


@pytest.mark.usefixtures("no_weights")
def test_missing_weights_name_the_command() -> None:
    found = scored([face(1)], [face(1)], face(1))
    for name, score in found.items():
        assert (score.value, score.state, score.n_frames) == (None, "unavailable", 0), name
        assert "tp-eval weights fetch yunet" in str(score.reason)


def test_the_command_for_arcface_accepts_its_licence(
    standin_weights: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    name = "face_detection_yunet_2023mar.onnx"
    (tmp_path / name).write_bytes((standin_weights / name).read_bytes())
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    reason = scored([face(1)], [face(1)], face(1))["csim-arcface.frame"].reason
    assert str(reason).endswith("tp-eval weights fetch arcface --accept-licence")


def test_a_flipped_byte_is_refused(standin_weights: Path, tmp_path: Path, monkeypatch: Any) -> None:
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(standin_weights, folder, ignore=shutil.ignore_patterns("weights-inception*"))
    target = folder / "face_recognition_sface_2021dec.onnx"
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(folder))
    found = scored([face(1)], [face(1)], face(1))
    assert found["csim.frame"].state == "unavailable"
    assert "tp-eval weights fetch sface" in str(found["csim.frame"].reason)
    assert found["csim-arcface.frame"].state == "ok"


def test_a_file_of_another_kind_is_unavailable(tmp_path: Path, monkeypatch: Any) -> None:
    from tests.benchmark.metrics import standins

    files = {name: tmp_path / file for name, file in _FILES.items()}
    for path in files.values():
        path.write_bytes(b"no network at all")
    lock = standins.write_lock(tmp_path, files)
    monkeypatch.setattr("talkingpose.weights.lock.LOCK_FILE", lock)
    monkeypatch.setenv("TALKINGPOSE_WEIGHTS", str(tmp_path))
    found = scored(
        [face(1)], [face(1)], face(1), [IdentityMetric("csim", "frame"), IdentityMetric("aed", "frame")]
    )
    for score in found.values():
        assert score.state == "unavailable"
        assert "OpenCV cannot read it" in str(score.reason)
        assert str(tmp_path) not in str(score.reason)


_FILES = {
    "yunet": "face_detection_yunet_2023mar.onnx",
    "sface": "face_recognition_sface_2021dec.onnx",
    "arcface": "buffalo_l.zip",
}


def test_alignment_inverts_rotation_scale_and_translation() -> None:
    angle, scale = 0.3, 1.7
    turned = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.hstack([turned, [[60], [20]]])
    picture = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (112, 112, 3)).astype(np.uint8), (0, 0), 6
    )
    scene = cv2.warpAffine(picture, matrix, (320, 320))
    landmarks = (TEMPLATE @ turned.T + [60, 20]).astype(np.float32)
    middle = slice(20, 92)
    difference = align(scene, landmarks)[middle, middle].astype(int) - picture[middle, middle]
    assert np.abs(difference).max() <= 3
