"""Sphinx configuration."""

from modelsec import __version__

project = "modelsec"
author = "The modelsec authors"
project_copyright = "The modelsec authors"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
html_theme = "furo"
html_title = f"modelsec {version}"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Attributes are described where the class is, in its docstring.
napoleon_use_ivar = True


def skip_tuple_fields(
    _app: object, _what: str, _name: str, member: object, skip: bool, _options: object
) -> bool | None:
    """Leave out the generated "alias for field number" entries of named tuples."""
    return True if type(member).__name__ == "_tuplegetter" else (skip or None)


def setup(app: object) -> None:
    """Connect the hook."""
    app.connect("autodoc-skip-member", skip_tuple_fields)  # type: ignore[attr-defined]
