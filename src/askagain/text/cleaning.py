"""Makes texts that look alike be alike: removes characters that nobody sees, and composes accents."""

import re
import unicodedata
from functools import cache

JOINERS = "\u200c\u200d"  # zero-width non-joiner and joiner
SPACE = "\u200b"  # of zero width
# Soft hyphen, marks of direction, word joiner, variation selectors of emoji, byte-order mark, tags. Letters that are
# not drawn, such as Hangul fillers, and Mongolian selectors belong to their scripts and stay.
INVISIBLE = "\xad\u034f\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe0e\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"
CONTROLS = "\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # without white space, and without NUL, which no text has
# Scripts whose spelling needs joiners: Arabic to Sinhala, Tibetan, Myanmar, Khmer, Mongolian, further Brahmic ones and
# forms of Arabic letters; and emoji, which joiners make one of.
JOINED = (
    "\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\ua8ff\ua980-\ua9ff\uaa60-\uaa7f\uabc0-\uabff"
    "\ufb50-\ufdff\ufe70-\ufefe\U00010a00-\U00011fff\u2600-\u27bf\U0001f000-\U0001faff"
)
# Thai, Lao, Myanmar, Khmer and their neighbours, which write no spaces between words.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\ua9e0-\ua9ff\uaa60-\uaadf"
LINE_ENDS = "\n\t"  # ends of lines, and of cells
HANGUL_LETTERS = range(0x1100, 0x1200)  # that compose to syllables
PLAIN = bytes([*range(0x20, 0x7F), *b"\t\n\v\f\r\x1c\x1d\x1e\x1f"])

WORD_ENDS = re.compile(f"(?<=[{UNSPACED}]){SPACE}+")
FLAG = "\U0001f3f4[\U000e0020-\U000e007f]+"  # of a region, such as Scotland: a black flag and the tags of its name
NEVER_SEEN = re.compile(f"({FLAG})|[{INVISIBLE}{CONTROLS}{SPACE}]+")
IDLE_JOINERS = re.compile(f"(?<![{JOINED}])[{JOINERS}]+")
SPECIAL = re.compile(f"[{INVISIBLE}{CONTROLS}{SPACE}{JOINERS}]")


def cleaned(text: str) -> str:
    """The text without invisible characters, its accents composed (Unicode's NFC).

    Kept are letters, white space and NUL, joiners and tags where a script or an emoji needs them, and, as a space, a
    zero-width space in scripts that have no other. Texts in which none of this occurs cost next to nothing.
    """
    if (text.isascii() and text.isprintable()) or not needs_cleaning(text.encode("utf-8", "surrogatepass")):
        return text
    for end in LINE_ENDS:
        if end in text:  # nothing depends on what is on its other side
            return end.join(map(cleaned, text.split(end)))
    text = NEVER_SEEN.sub(r"\1", WORD_ENDS.sub(" ", text))
    return unicodedata.normalize("NFC", IDLE_JOINERS.sub("", text))


def needs_cleaning(text: bytes) -> bool:
    """Whether `cleaned` may change a text, given as UTF-8."""
    rare = text.translate(None, delete=PLAIN)
    return any(map(_may_change, set(rare.decode("utf-8", "surrogatepass"))))


@cache  # there are only so many characters
def _may_change(character: str) -> bool:
    return (
        SPECIAL.match(character) is not None
        or unicodedata.category(character).startswith("M")  # a mark, which may compose with what it follows
        or ord(character) in HANGUL_LETTERS
        or not unicodedata.is_normalized("NFC", character)
    )
