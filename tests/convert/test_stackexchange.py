"""Dumps of Stack Exchange sites: which posts become questions, and which links become groups."""

import json
import re

import pytest

from askagain.convert.html_text import split_code
from askagain.convert.stackexchange import read_dump
from askagain.errors import InputError
from tests.conftest import REAL_DATA

DUMPS = REAL_DATA / "stackexchange_dumps"
POSTS = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<posts>
  <row Id="1" PostTypeId="1" CreationDate="2014-01-21T20:26:05.383" \
Title="How to quit &quot;vim&quot; &amp; save?&#xA; " Tags="&lt;vim&gt;&lt;exit&gt;" \
Body="&lt;p&gt;I am &lt;em&gt;stuck&lt;/em&gt;:&lt;/p&gt;&lt;pre&gt;&lt;code&gt;:q&#xA;&lt;/code&gt;&lt;/pre&gt;" />
  <row Id="2" PostTypeId="2" ParentId="1" Body="An answer" />
  <row Id="3" PostTypeId="1" CreationDate="2015-02-03T00:00:00.000" Title="Leave&#x9;vim" Body="x" Tags="|vim|" />
  <row Id="5" PostTypeId="1" CreationDate="2015-02-03T00:00:00.000" Title="Exit vim" Body="x" />
  <row Id="6" PostTypeId="1" CreationDate="2016-02-03T00:00:00.000" Title="List ports" Body="x" />
  <row Id="7" PostTypeId="5" Body="A tag's wiki" />
  <row Id="1000000001" PostTypeId="1" Title="Never asked" Body="x" />
  <row Id="1000000010" PostTypeId="1" Title="Never asked either" Body="x" />
</posts>
"""
LINKS = """<?xml version="1.0" encoding="utf-8"?>
<postlinks>
  <row Id="1" PostId="3" RelatedPostId="1" LinkTypeId="3" />
  <row Id="2" PostId="5" RelatedPostId="3" LinkTypeId="3" />
  <row Id="3" PostId="6" RelatedPostId="1" LinkTypeId="1" />
  <row Id="4" PostId="6" RelatedPostId="99" LinkTypeId="3" />
  <row Id="5" PostId="6" RelatedPostId="2" LinkTypeId="3" />
  <row Id="6" PostId="6" RelatedPostId="1000000001" LinkTypeId="3" />
</postlinks>
"""


@pytest.fixture
def dump(tmp_path):
    def read(posts=POSTS, links=LINKS):
        (tmp_path / "Posts.xml").write_text(posts, encoding="utf-8")
        (tmp_path / "PostLinks.xml").write_text(links, encoding="utf-8")
        files = [tmp_path / "PostLinks.xml", tmp_path / "Posts.xml"]
        return read_dump(files, tmp_path / "titles.txt", tmp_path / "questions.jsonl")

    return read


def groups_of(questions):
    return [{questions.texts[text] for text in questions.groups.bag(i).tolist()} for i in range(len(questions.groups))]


def test_duplicate_links_between_questions_become_groups(dump):
    questions = dump()
    assert list(questions.texts) == ['How to quit "vim" & save?', "Leave vim", "Exit vim", "List ports"]
    assert groups_of(questions) == [{'How to quit "vim" & save?', "Leave vim", "Exit vim"}]
    assert questions.counts["fabricated posts left out"] == 2
    assert questions.counts["duplicate links to a post that is no question here"] == 3
    assert questions.dates.tolist()[0] == 1390335965


def test_questions_keep_their_body_code_tags_and_date(dump, tmp_path):
    dump()
    first, second, *_ = map(json.loads, (tmp_path / "questions.jsonl").read_text().splitlines())
    assert first == {
        "id": 1,
        "title": 'How to quit "vim" & save?',
        "body": "I am stuck:",
        "code": ":q",
        "tags": ["vim", "exit"],
        "date": "2014-01-21T20:26:05.383",
    }
    assert second["tags"] == ["vim"]


def test_an_archive_is_read_without_being_unpacked(dump, tmp_path):
    py7zr = pytest.importorskip("py7zr")
    expected = dump()
    archive = tmp_path / "site.7z"
    with py7zr.SevenZipFile(archive, "w") as packed:
        packed.write(tmp_path / "Posts.xml", "Posts.xml")
        packed.write(tmp_path / "PostLinks.xml", "PostLinks.xml")
        packed.writestr("<users/>", "Users.xml")
    before = set(tmp_path.rglob("*"))
    questions = read_dump([archive], tmp_path / "titles2.txt", None)
    assert list(questions.texts) == list(expected.texts) and groups_of(questions) == groups_of(expected)
    assert set(tmp_path.rglob("*")) == before | {tmp_path / "titles2.txt"}
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(InputError, match="damaged or incomplete archive"):
        read_dump([archive], tmp_path / "titles3.txt", None)


@pytest.mark.parametrize(
    ("names", "flipped", "settings", "message"),
    [
        (["Posts.xml", "PostLinks.xml"], 60, {}, "damaged or incomplete archive"),
        (["Posts.xml", "PostLinks.xml"], None, {"password": "x"}, "the archive is encrypted; unpack it"),
        (["Posts.xml", "old/Posts.xml"], None, {}, "two of its files have one name"),
    ],
    ids=["damaged within", "encrypted", "two of a name"],
)
def test_what_is_no_archive_of_a_dump_is_one_line(tmp_path, names, flipped, settings, message):
    py7zr = pytest.importorskip("py7zr")
    archive = tmp_path / "site.7z"
    with py7zr.SevenZipFile(archive, "w", **settings) as packed:
        for name in names:
            packed.writestr(POSTS if "Posts" in name else LINKS, name)
    content = bytearray(archive.read_bytes())
    if flipped is not None:
        content[flipped] ^= 255
    archive.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_dump([archive], tmp_path / "titles.txt", None)


# By hand, from PostLinks.xml and Posts.xml: the two posts of each link of type 3, and what is special about them.
BY_HAND = {
    "beer": "29-25 47-99 118-123 115-99 369-3 479-16 639-99 649-183 745-654 907-607 993-2 2158-605 3261-605 4620-22 "
    "4673-4650 4755-300 4785-976",
    "ai": "1477-1285 186-148 1742-86 2028-1751 2125-1507 2198-2192 2694-35",
}


@pytest.mark.skipif(not DUMPS.is_dir(), reason=f"no dumps at {DUMPS}")
@pytest.mark.parametrize("site", ["beer", "ai"])
def test_every_duplicate_link_of_a_published_dump_is_found(site, tmp_path):
    posts = (DUMPS / site / "Posts.xml").read_text(encoding="utf-8-sig")
    questions = read_dump(sorted((DUMPS / site).glob("*.xml")), tmp_path / "titles.txt", None)
    links = [tuple(map(int, link.split("-"))) for link in BY_HAND[site].split()]
    assert questions.counts["duplicate links"] == len(links) == {"beer": 17, "ai": 7}[site]
    titles = {}
    for line in posts.splitlines():
        found = re.match(r'  <row Id="(\d+)" PostTypeId="1" .*? Title="([^"]*)"', line)
        if found:
            titles[int(found[1])] = found[2].replace("&quot;", '"').replace("&amp;", "&").replace("&gt;", ">")
    groups = groups_of(questions)
    for one, other in links:
        if one in titles and other in titles:
            assert any({titles[one], titles[other]} <= group for group in groups), (one, other)
    linked = {titles[post] for link in links if set(link) <= set(titles) for post in link}
    assert set().union(*groups) == linked
    assert len(questions.texts) == questions.counts["questions"] == len(titles)


@pytest.mark.parametrize(
    ("posts", "message"),
    [
        (POSTS[:600], "damaged or incomplete XML"),
        (POSTS.replace("</posts>", ""), "damaged or incomplete XML"),
        ("no XML at all", "no file of a dump"),
        ('<!DOCTYPE a [<!ENTITY b "x">]>' + POSTS.partition("?>")[2].strip(), "no file of a dump"),
        (POSTS.replace(' Id="1" ', ' Id="one" '), "Posts.xml, row 1: Id='one' is no number of a post"),
        (POSTS.replace(' Id="3" ', f' Id="{10**30}" '), "Posts.xml, row 3: Id='1000"),
        ("<posts></posts>", "there are no questions"),
    ],
)
def test_what_is_no_dump_is_one_line(dump, posts, message):
    with pytest.raises(InputError) as refused:
        dump(posts)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_both_files_are_needed(tmp_path):
    (tmp_path / "Posts.xml").write_text(POSTS, encoding="utf-8")
    with pytest.raises(InputError, match=r"PostLinks\.xml is missing"):
        read_dump([tmp_path / "Posts.xml"], tmp_path / "titles.txt", None)


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        ("<p>a</p><p>b</p>", "a b", ""),
        ("<p>use <code>ls &amp; rm</code>, <b>n</b>ow</p>", "use ls & rm, now", ""),
        ("<p>x</p><pre class='k'><code>a &lt; b\n  c\n</code></pre><p>y</p>", "x y", "a < b\n  c"),
        ("<pre>1</pre>between<pre>2</pre>", "between", "1\n2"),
        ("<ul><li>one<li>two</ul><!-- hidden -->", "one two", ""),
        ("no tags & none", "no tags & none", ""),
        ("<script>alert(1)</script><p>seen</p>", "seen", ""),
        ("<p>как дела 你好 \U0001f600</p>", "как дела 你好 \U0001f600", ""),
        ("", "", ""),
        ("<p>a < b and <unknown>c</unknown>", "a < b and c", ""),
    ],
)
def test_code_is_kept_apart_from_the_text_of_a_post(body, text, code):
    assert split_code(body) == (text, code)
