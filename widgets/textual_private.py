"""Every private part of Textual that painters use, each with the reason why nothing public does.

An update of Textual begins here. The app has its own file of the kind.
"""

from __future__ import annotations

from textual.dom import DOMNode
from textual.widget import Widget


def match_component_style(widget: Widget, name: str) -> None:
    """Match the styles of one component class, if that was not done yet.

    Textual matches every component class of a widget whenever anything about its style may have changed, also at a
    change of focus: with twenty roles a painter that was most of the app's start. Its public way is all or nothing.
    """
    if name not in widget._component_styles:
        node = DOMNode(classes=name)
        node._attach(widget)
        widget.app.stylesheet.apply(node, animate=False)
        widget._component_styles[name] = node.styles


def forget_component_styles(widget: Widget) -> None:
    """Have the styles of all component classes matched again; what ``match_component_style`` did is its own to undo."""
    widget._component_styles.clear()
