"""mediapipe's hand model on a chosen region of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from talkingpose.io.image import Image

Points = npt.NDArray[np.float64]

# Joints whose box mediapipe tracks (hand_landmark_landmarks_to_roi.pbtxt): all but the outer finger joints.
_PALM_JOINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
_KNUCKLES = (5, 9, 13)
_ROOT = 0
# Enlargement and shift of that box towards the fingers, from the same file.
_SCALE, _SHIFT = 2.0, 0.1
# A hand of fewer pixels has no joints.
_LEAST_PIXELS = 4
_GRAPH = """
input_stream: "image"
input_stream: "roi"
output_stream: "landmarks"
output_stream: "handedness"
node {
  calculator: "HandLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  output_stream: "LANDMARKS:landmarks"
  output_stream: "HANDEDNESS:handedness"
}
"""


@dataclass(frozen=True)
class Region:
    """Square region of a picture, in pixels; `angle` is the direction of the fingers, in radians.

    The angle is 0 where the fingers point up and grows clockwise.
    """

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def along(cls, start: Points, end: Points, side: float) -> Region:
        """Region around `end`, with the fingers in the direction from `start` to `end`."""
        dx, dy = end - start
        return cls(float(end[0]), float(end[1]), side, math.atan2(dx, -dy))

    @classmethod
    def around(cls, points: Points) -> Region:
        """Region around the joints of a hand, (21, 2), as mediapipe's tracking chooses it."""
        dx, dy = points[list(_KNUCKLES)].mean(axis=0) - points[_ROOT]
        angle = math.atan2(dx, -dy)
        cos, sin = math.cos(angle), math.sin(angle)
        upright = points[list(_PALM_JOINTS)] @ np.array([[cos, -sin], [sin, cos]])
        low, high = upright.min(axis=0), upright.max(axis=0)
        side = float((high - low).max())
        middle = (low + high) / 2 - (0.0, _SHIFT * side)
        x, y = middle @ np.array([[cos, sin], [-sin, cos]])
        return cls(float(x), float(y), _SCALE * side, angle)


@dataclass(frozen=True)
class Hand:
    """Joints of a hand in pixels, (21, 2), and the probability that it is a right hand."""

    points: Points
    right: float


class HandModel:
    """mediapipe's hand landmark model without its palm detector and without tracking."""

    def __init__(self) -> None:
        import mediapipe
        from google.protobuf import text_format
        from mediapipe.framework import calculator_pb2
        from mediapipe.python._framework_bindings import resource_util

        resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
        config = text_format.Parse(_GRAPH, calculator_pb2.CalculatorGraphConfig())
        self._packets: dict[str, Any] = {}
        self._time = 0
        self._graph: Any = mediapipe.CalculatorGraph(graph_config=config)
        for name in ("landmarks", "handedness"):
            self._graph.observe_output_stream(name, self._packets.__setitem__, False)
        self._graph.start_run({})

    def __call__(self, image: Image, region: Region) -> Hand | None:
        """Find a hand in a region of an RGB image; None where the model sees none."""
        import mediapipe
        from mediapipe.framework.formats import rect_pb2

        # Only the region is copied into the graph; its corners lie on this circle.
        reach = region.side / math.sqrt(2) + 1
        x0, y0 = max(int(region.x - reach), 0), max(int(region.y - reach), 0)
        part = np.ascontiguousarray(image[y0 : int(region.y + reach) + 1, x0 : int(region.x + reach) + 1])
        height, width = part.shape[:2]
        if min(height, width) < _LEAST_PIXELS or region.side < _LEAST_PIXELS:
            return None
        rect = rect_pb2.NormalizedRect(
            x_center=(region.x - x0) / width,
            y_center=(region.y - y0) / height,
            width=region.side / width,
            height=region.side / height,
            rotation=region.angle,
        )
        self._time += 1
        self._packets.clear()
        create = mediapipe.packet_creator
        picture = create.create_image_frame(data=part, image_format=mediapipe.ImageFormat.SRGB)
        self._graph.add_packet_to_input_stream("image", picture.at(self._time))
        self._graph.add_packet_to_input_stream("roi", create.create_proto(rect).at(self._time))
        self._graph.wait_until_idle()
        found = self._packets.get("landmarks")
        if found is None or found.is_empty():
            return None
        landmarks = mediapipe.packet_getter.get_proto(found).landmark
        points = np.array([(p.x * width + x0, p.y * height + y0) for p in landmarks], np.float64)
        return Hand(points, self._right())

    def close(self) -> None:
        """Release the graph."""
        self._graph.close()

    def _right(self) -> float:
        import mediapipe

        packet = self._packets.get("handedness")
        if packet is None or packet.is_empty():
            return 0.5
        best = mediapipe.packet_getter.get_proto(packet).classification[0]
        # The model names the hand of a mirrored picture.
        return float(best.score if best.label == "Left" else 1 - best.score)
