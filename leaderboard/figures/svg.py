"""Conversion of a matplotlib figure to SVG that takes its colours from the page."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Placeholder colours for variables of the page's style sheet, so that a figure follows light and dark.
INK, MUTED, RULE, PAPER, CONTROL = "#010001", "#010002", "#010003", "#010004", "#010005"
SERIES = tuple(f"#0200{number:02x}" for number in range(8))
_VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", PAPER: "--paper", CONTROL: "--control"}
_VARIABLES |= {colour: f"--s{number}" for number, colour in enumerate(SERIES)}

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
# Nothing is drawn outside the axes, so nothing needs to be clipped.
_DROPPED = {f"{_SVG}metadata", f"{_SVG}style", f"{_SVG}clipPath"}
_KEPT_ATTRIBUTES = {"d", "x", "y", "transform", "viewBox", "style"}


@dataclass
class StyleSheet:
    """Style declarations of all figures of a page, each once, as classes `z0`, `z1`, ..."""

    names: dict[str, str] = field(default_factory=dict)

    def name(self, style: str) -> str:
        """Return the class for a matplotlib style attribute."""
        parts = [part.strip() for part in style.split(";") if part.strip()]
        text = ";".join(re.sub(r":\s+", ":", _declaration(part)) for part in parts)
        for colour, variable in _VARIABLES.items():
            text = text.replace(colour, f"var({variable})")
        return self.names.setdefault(text, f"z{len(self.names)}")

    def css(self) -> str:
        """Return all rules."""
        return "".join(f".{name}{{{style}}}\n" for style, name in self.names.items())


def figure_markup(figure: Figure, title: str, key: str, styles: StyleSheet) -> str:
    """Return the `<svg>` element of a figure, for a page that also holds others.

    An artist whose gid is `curve NAME SHAPE` becomes a group of the classes `curve NAME`; its markers are
    the page's own, `#mpSHAPE`. `key` starts every remaining identifier and is unique on the page. The
    markup depends on the figure alone.
    """
    import matplotlib

    settings: Any = {"svg.hashsalt": "talkingpose", "svg.fonttype": "none", "font.family": "sans-serif"}
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
    """Return the path of a marker, within 2.75 units of the origin; the vertices have y upwards."""
    size = max(max(abs(x), abs(y)) for x, y in vertices) / 2.75
    points = " ".join(f"{x / size + 0.0:.2f} {-y / size + 0.0:.2f}" for x, y in vertices)
    return f"M{points}Z"


def _referenced(root: ET.Element) -> set[str]:
    found = set()
    for element in root.iter():
        target = element.attrib.get(f"{_XLINK}href", "")
        found.add(target.removeprefix("#"))
    return found - {""}


def _clean(element: ET.Element, names: dict[str, str], styles: StyleSheet) -> None:
    old = dict(element.attrib)
    element.attrib.clear()
    element.tag = element.tag.removeprefix(_SVG)
    element.text = element.text if element.tag == "text" or (element.text or "").strip() else None
    element.tail = None
    for name in sorted(_KEPT_ATTRIBUTES & set(old)):
        if old[name].startswith("rotate(-0 "):
            continue
        if name == "style":
            element.attrib["class"] = styles.name(old[name])
        else:
            element.attrib[name] = _rounded(old[name])
    identity = old.get("id", "")
    if identity in names:
        element.attrib["id"] = names[identity]
    elif identity.startswith("curve "):
        element.attrib["class"], _, shape = identity.rpartition(" ")
        _use_page_markers(element, shape)
    if f"{_XLINK}href" in old:
        target = old[f"{_XLINK}href"].removeprefix("#")
        element.attrib["href"] = "#" + names.get(target, target)
    for child in list(element):
        # A comment has a function for a tag.
        if not isinstance(child.tag, str) or child.tag in _DROPPED or child.attrib.get("id") == "patch_1":
            element.remove(child)
        else:
            _clean(child, names, styles)
    _flatten(element)


def _use_page_markers(curve: ET.Element, shape: str) -> None:
    for child in list(curve):
        if child.tag == f"{_SVG}defs":
            curve.remove(child)
    for use in curve.iter(f"{_SVG}use"):
        use.attrib[f"{_XLINK}href"] = f"#mp{shape}"


def _flatten(element: ET.Element) -> None:
    """Replace groups without attributes by their children."""
    children: list[ET.Element] = []
    for child in element:
        if child.tag in {"g", "defs"} and not len(child):
            continue
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        else:
            children.append(child)
    element[:] = children


def _declaration(part: str) -> str:
    if not part.startswith("font:"):
        return part
    match = re.search(r"([\d.]+)px", part)
    return f"font-size:{match.group(1)}px" if match else ""


def _rounded(text: str) -> str:
    shorter = re.sub(r"-?\d+\.\d+", lambda match: _short(float(match.group())), text)
    if shorter[:1] != "M":
        return shorter
    # After `M x y` further pairs are lines of themselves, and a minus sign parts two numbers.
    joined = re.sub(r"\s*([A-Za-z])\s*", r"\1", " ".join(shorter.split()))
    return re.sub(r" -", "-", joined.replace("L", " "))


def _short(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
