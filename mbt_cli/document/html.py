"""A document as one HTML file that needs nothing else: no script, no address, figures within.

A figure is an image, not markup of the page: what stands in its SVG can neither run nor mix its
names with those of another figure.
"""

from base64 import b64encode
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mbt_cli.document import Document, Figure
from mbt_cli.document.spans import plain, spans
from mbt_cli.errors import MbtError

CODE = Markup("<code>{}</code>")


def page(document: Document, folder: Path) -> str:
    """The page, with its figures from SVG files in the folder. Raises MbtError without them."""
    templates = Environment(
        loader=PackageLoader("mbt_cli.document", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"words": _words, "plain": plain, "kind": lambda part: type(part).__name__}
    templates.filters |= {"embedded": lambda figure: _image(figure, folder)}
    return templates.get_template("page.html").render(document=document)


def _words(text: str) -> Markup:
    """A text in a line, code marked."""
    return Markup().join(CODE.format(s.text) if s.code else s.text for s in spans(text))


def _image(figure: Figure, folder: Path) -> str:
    """The figure's file as an address that holds it."""
    path = folder / f"{figure.name}.svg"
    try:
        drawn = path.read_bytes()
    except OSError as why:
        raise MbtError(
            f"The figure {path} cannot be read ({why.strerror}), and the page is to hold it: make"
            " the report again."
        ) from None
    return f"data:image/svg+xml;base64,{b64encode(drawn).decode()}"
