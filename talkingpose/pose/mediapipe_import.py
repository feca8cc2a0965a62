"""Import of mediapipe without matplotlib."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any, cast

_LOCK = threading.Lock()


def import_mediapipe() -> ModuleType:
    """Import mediapipe and return it.

    mediapipe imports matplotlib for the function `plot_landmarks`, which this project does not use. It is two
    thirds of the time of the import. Unless matplotlib is imported already, mediapipe gets a stand-in that
    imports the real one when it is used; a later import of matplotlib gets the real one at once.
    """
    with _LOCK:
        if "mediapipe" not in sys.modules and "matplotlib" not in sys.modules:
            package, pyplot = _StandIn("matplotlib"), _StandIn("matplotlib.pyplot")
            vars(package)["pyplot"] = pyplot
            stand_ins = {"matplotlib": package, "matplotlib.pyplot": pyplot}
            sys.modules.update(stand_ins)
            try:
                import mediapipe.python.solutions.holistic
            finally:
                for name, module in stand_ins.items():
                    if sys.modules.get(name) is module:
                        del sys.modules[name]
        import mediapipe
    return cast("ModuleType", mediapipe)


class _StandIn(ModuleType):
    """Module whose attributes are those of the real module, imported at the first access."""

    def __getattr__(self, name: str) -> Any:
        # Dunder attributes are asked for by the import system, while the stand-in is in place.
        if name.startswith("__") or sys.modules.get(self.__name__) is self:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(self.__name__), name)
