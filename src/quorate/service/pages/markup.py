"""Guidelines in Markdown as HTML: no HTML of the writer's own, links lead outside safely, pictures are links."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape


@lru_cache(maxsize=128)
def as_html(text: str) -> Markup:
    r"""The text as HTML that is safe to show.

    >>> str(as_html("*now* <b>"))
    '<p><em>now</em> &lt;b&gt;</p>\n'
    """
    return Markup(_renderer().render(text))  # noqa: S704 # HTML in the text is escaped, links are checked


@lru_cache(maxsize=1)
def _renderer() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.add_render_rule("link_open", _link)
    made.add_render_rule("image", _picture)
    return made


def _link(self: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Any) -> str:
    tokens[at].attrSet("rel", "noopener noreferrer nofollow")
    tokens[at].attrSet("target", "_blank")
    return self.renderToken(tokens, at, options, env)


def _picture(_self: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: Any) -> str:
    """The page asks nobody outside for anything, so a picture is a link to it."""
    token = tokens[at]
    address, words = token.attrs.get("src", ""), token.content or "picture"
    return f'<a href="{escape(str(address))}" rel="noopener noreferrer nofollow" target="_blank">{escape(words)}</a>'
