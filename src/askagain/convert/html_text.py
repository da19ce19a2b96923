"""Posts in HTML as text, with their code kept apart."""

import re
from typing import NamedTuple

from lxml import etree

# Before a tag that ends a word, however close its neighbours stand.
BLOCK = re.compile(r"(?=</?(?:p|div|br|li|ul|ol|dl|dt|dd|h[1-6]|blockquote|table|tr|td|th|hr|pre)\b)")
UNREAD = ("pre", "script", "style")
LONGEST = 1 << 20  # characters of a post that are looked at; a post has 30,000 at most
PARSER = etree.HTMLParser(remove_comments=True, remove_pis=True, no_network=True)


class Post(NamedTuple):
    """The text of a post on one line, and its blocks of code."""

    text: str
    code: str


def split_code(body: str) -> Post:
    """The text of a post, and the content of its `<pre>` blocks; code within a sentence stays in the text.

    >>> split_code("<p>Use <code>ls &amp;</code>:</p><pre><code>ls -l\\n</code></pre>")
    Post(text='Use ls &:', code='ls -l')
    """
    if "<" not in body and "&" not in body:
        return Post(" ".join(body.split()), "")
    tree = etree.HTML(BLOCK.sub(" ", body[:LONGEST]).replace("\0", ""), PARSER)
    if tree is None:  # nothing but comments
        return Post("", "")
    code = []
    for element in list(tree.iter(*UNREAD)):
        if element.tag == "pre":
            code.append("".join(element.itertext()).strip("\n").rstrip())
        element.clear(keep_tail=True)
    return Post(" ".join("".join(tree.itertext()).split()), "\n".join(code))
