from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from talkingpose.pose.mediapipe_import import import_mediapipe
assert import_mediapipe().__name__ == "mediapipe"
assert not [name for name in sys.modules if name.startswith("matplotlib")]
# The plots of mediapipe get the real one, too.
from mediapipe.python.solutions import drawing_utils
assert drawing_utils.plt.figure.__module__ == "matplotlib.pyplot"
import matplotlib.pyplot
assert matplotlib.pyplot.figure is drawing_utils.plt.figure
"""


def test_mediapipe_comes_without_matplotlib_which_stays_importable() -> None:
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
