"""A matplotlib figure as a piece of a page: no identifiers of its own, no inline style, theme colours."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that stand for a variable of the page's style sheet, so that a figure follows light and dark.
INK, MUTED, RULE, PAPER, CONTROL = "#010001", "#010002", "#010003", "#010004", "#010005"
SERIES = tuple(f"#0200{number:02x}" for number in range(8))
_VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", PAPER: "--paper", CONTROL: "--control"}
_VARIABLES |= {colour: f"--s{number}" for number, colour in enumerate(SERIES)}

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_DROPPED = {f"{_SVG}metadata", f"{_SVG}style"}
_KEPT_ATTRIBUTES = {"d", "x", "y", "transform", "viewBox", "style"}


@dataclass
class StyleSheet:
    """Style declarations of all figures of a page, each once, as classes `z0`, `z1`, ..."""

    names: dict[str, str] = field(default_factory=dict)

    def name(self, style: str) -> str:
        """The class for a matplotlib style attribute."""
        parts = [part.strip() for part in style.split(";") if part.strip()]
        text = ";".join(re.sub(r":\s+", ":", _declaration(part)) for part in parts)
        for colour, variable in _VARIABLES.items():
            text = text.replace(colour, f"var({variable})")
        return self.names.setdefault(text, f"z{len(self.names)}")

    def css(self) -> str:
        """All rules."""
        return "".join(f".{name}{{{style}}}\n" for style, name in self.names.items())


def figure_markup(figure: Figure, title: str, key: str, styles: StyleSheet) -> str:
    """The `<svg>` element of a figure, for a page that also holds others.

    Artists whose gid starts with `curve ` become groups of these classes. `key` starts every identifier
    that is left, and is unique on the page. The markup depends on nothing but the figure.
    """
    import matplotlib

    settings = {"svg.hashsalt": "talkingpose", "svg.fonttype": "none", "font.family": "sans-serif"}
    buffer = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    referenced = _referenced(root)
    names = {old: f"{key}-{number}" for number, old in enumerate(sorted(referenced))}
    _clean(root, names, styles)
    root.attrib["role"] = "img"
    root.attrib["class"] = "plot"
    label = ET.Element("title")
    label.text = title
    root.insert(0, label)
    return ET.tostring(root, encoding="unicode")


def marker_path(vertices: Sequence[tuple[float, float]]) -> str:
    """The path of a marker in a box from -5 to 5, y upwards as in matplotlib."""
    size = max(max(abs(x), abs(y)) for x, y in vertices) / 4.6
    points = "L".join(f"{_short(x / size)} {_short(-y / size)}" for x, y in vertices)
    return f"M{points}Z"


def _referenced(root: ET.Element) -> set[str]:
    found = set()
    for element in root.iter():
        target = element.attrib.get(f"{_XLINK}href", "")
        found.add(target.removeprefix("#"))
        found.update(re.findall(r"url\(#([^)]*)\)", element.attrib.get("clip-path", "")))
    return found - {""}


def _clean(element: ET.Element, names: dict[str, str], styles: StyleSheet) -> None:
    old = dict(element.attrib)
    element.attrib.clear()
    element.tag = element.tag.removeprefix(_SVG)
    element.text = element.text if element.tag == "text" or (element.text or "").strip() else None
    element.tail = None
    for name in sorted(_KEPT_ATTRIBUTES & set(old)):
        if name == "style":
            element.attrib["class"] = styles.name(old[name])
        else:
            element.attrib[name] = _rounded(old[name])
    identity = old.get("id", "")
    if identity in names:
        element.attrib["id"] = names[identity]
    elif identity.startswith("curve "):
        element.attrib["class"] = identity
    if f"{_XLINK}href" in old:
        element.attrib["href"] = "#" + names[old[f"{_XLINK}href"].removeprefix("#")]
    if "clip-path" in old:
        target = re.sub(r".*#([^)]*)\).*", r"\1", old["clip-path"])
        element.attrib["clip-path"] = f"url(#{names[target]})"
    for child in list(element):
        # A comment has a function for a tag.
        if not isinstance(child.tag, str) or child.tag in _DROPPED:
            element.remove(child)
        else:
            _clean(child, names, styles)
            if child.tag in {"g", "defs"} and not len(child):
                element.remove(child)


def _declaration(part: str) -> str:
    if not part.startswith("font:"):
        return part
    match = re.search(r"([\d.]+)px", part)
    return f"font-size:{match.group(1)}px" if match else ""


def _rounded(text: str) -> str:
    shorter = re.sub(r"-?\d+\.\d+", lambda match: _short(float(match.group())), text)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", " ".join(shorter.split())) if shorter[:1] == "M" else shorter


def _short(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
