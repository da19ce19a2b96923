"""Posts in HTML as text, with their code kept apart."""

from typing import NamedTuple

from lxml import etree, html

BLOCKS = {"p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "tr", "td", "hr", "pre"}
UNREAD = {"pre", "script", "style"}
LONGEST = 1 << 20  # characters of a post that are looked at; a post has 30,000 at most
PARSER = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)


class Post(NamedTuple):
    """The text of a post on one line, and its blocks of code."""

    text: str
    code: str


def split_code(body: str) -> Post:
    """The text of a post, and the content of its `<pre>` blocks; code within a sentence stays in the text.

    >>> split_code("<p>Use <code>ls &amp;</code>:</p><pre><code>ls -l\\n</code></pre>")
    Post(text='Use ls &:', code='ls -l')
    """
    if "<" not in body:
        return Post(" ".join(body.split()), "")
    try:
        tree = html.document_fromstring(body[:LONGEST].encode("utf-8", "replace"), parser=PARSER)
    except (etree.ParserError, ValueError):  # nothing but comments, or a NUL
        return Post("", "")
    words: list[str] = []
    code: list[str] = []
    _collect(tree, words, code)
    return Post(" ".join("".join(words).split()), "\n".join(code))


def _collect(tree: html.HtmlElement, words: list[str], code: list[str]) -> None:
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        if event == "start":
            if element.tag == "pre":
                code.append("".join(element.itertext()).strip("\n"))
            if element.tag in UNREAD:
                element.clear(keep_tail=True)
            elif element.tag in BLOCKS:
                words.append(" ")
            if element.text:
                words.append(element.text)
        else:
            if element.tag in BLOCKS:
                words.append(" ")
            if element.tail:
                words.append(element.tail)
