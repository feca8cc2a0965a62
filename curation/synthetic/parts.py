"""Numbers of the parts that a pixel can belong to, from back to front."""

from __future__ import annotations

BACKDROP = 0
HAIR_BEHIND = 1
NECK = 2
TORSO = 3
EAR = 4
FACE = 5
HAIR = 6
LOCKS = 7
# Right before left; fingers from the thumb on.
UPPER_ARM = (10, 20)
FOREARM = (11, 21)
PALM = (12, 22)
FINGERS = ((13, 14, 15, 16, 17), (23, 24, 25, 26, 27))
