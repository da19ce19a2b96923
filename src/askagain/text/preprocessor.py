"""Cleans a text and splits it into words."""

import hashlib
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from inspect import getsource
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from askagain.errors import InputError
from askagain.text.cleaning import cleaned
from askagain.text.fields import MARK as FIELD_MARK
from askagain.text.fields import Fields
from askagain.text.languages import UNSPACED, UNUSUAL, fold_marks, unspaced_parts
from askagain.text.stop_words import stop_words

SPLITS = ("whitespace", "wordpunct", "regex")
LINE_END, MARK = "\n", "\0"  # between texts that are cleaned together, and between their words


class WordSplitter(ABC):
    """A way of your own to split a text into words: subclass it, and name the class as `preprocessor.split._target_`.

    The arguments of the class are kept as attributes of the same names, and can be written as JSON. Saved encoders hold
    them with the name of the class. Loading such an encoder imports nothing by that name: import your module first,
    with `imports=[MODULE]` for a command.
    """

    known: ClassVar[dict[str, type["WordSplitter"]]] = {}  # the subclasses that were imported, by name

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        WordSplitter.known[f"{cls.__module__}.{cls.__qualname__}"] = cls

    @abstractmethod
    def __call__(self, text: str) -> list[str]:
        """The words of a text, in order."""

    def as_dict(self) -> dict[str, Any]:
        """The name of the class and its arguments."""
        return {"_target_": f"{type(self).__module__}.{type(self).__qualname__}", **vars(self)}

    @staticmethod
    def of(settings: Mapping[str, Any]) -> "WordSplitter":
        """The splitter that `as_dict` describes; raises InputError for a class that was not imported."""
        target = str(settings.get("_target_"))
        if target not in WordSplitter.known:
            module = target.rpartition(".")[0]
            raise InputError(f"words are split by {target}, which was not imported; type imports=[{module}]")
        return WordSplitter.known[target](**{key: value for key, value in settings.items() if key != "_target_"})


class TextPreprocessor:
    """Cleans a text and splits it into words, in this order.

    1. With `clean`, characters that nobody sees are dropped and accents composed, see `askagain.text.cleaning.cleaned`;
       with `fold_marks`, marks that few people write are dropped, see `askagain.text.languages.fold_marks`; with
       `lowercase`, the text is lower-cased.
    2. `protected_terms` (c++, .net, node.js) with no letter or digit beside them become words that the following steps
       leave alone.
    3. Each of `characters` (a string, or a list of characters) becomes a space.
    4. The text is split by `split`: `whitespace`, `wordpunct` (NLTK's, which separates letters from punctuation),
       `regex`, where every match of `pattern` is a word, or a `WordSplitter` of your own.
    5. With `split_unspaced`, words of scripts without spaces become pairs of letters, see
       `askagain.text.languages.unspaced_parts`.
    6. `stopwords` (see `askagain.text.stop_words.stop_words`) and words shorter than `min_word_length` are dropped.

    With `fields`, words of further fields keep their marks, see `askagain.text.fields`; the dictionary of its arguments
    may stand for them, too.

    A splitter of your own may stand as the dictionary of its `_target_` and arguments, as saved encoders hold it.

    Raises InputError for an unknown split, an invalid regular expression, an item of `characters` that is longer than
    one character, and stop words that cannot be loaded.
    """

    def __init__(
        self,
        characters: str | Iterable[str] = "",
        min_word_length: int = 1,
        stopwords: str | Iterable[str] = "none",
        protected_terms: list[str] | tuple[str, ...] = (),
        lowercase: bool = True,
        split: "str | WordSplitter | Mapping[str, Any]" = "whitespace",
        pattern: str | None = None,
        clean: bool = True,
        split_unspaced: bool = False,
        fold_marks: bool = False,
        fields: "Fields | Mapping[str, Any] | None" = None,
    ) -> None:
        self.characters = list(characters)
        self.min_word_length = min_word_length
        self.stopwords = stop_words(stopwords)
        self.protected_terms = [term.lower() if lowercase else term for term in protected_terms if term]
        self.clean = clean
        self.lowercase = lowercase
        self.split_unspaced = split_unspaced
        self.fold_marks = fold_marks
        self.fields = Fields(**fields) if isinstance(fields, Mapping) else fields
        self.split = WordSplitter.of(split) if isinstance(split, Mapping) else split
        self.pattern = pattern
        too_long = [character for character in self.characters if len(character) != 1]
        if too_long:
            raise InputError(f"characters: {too_long[0]!r} is not one character")
        self._spaces = str.maketrans(dict.fromkeys(self.characters, " "))
        self._protected = _standing_alone(self.protected_terms)
        self._protected_unspaced = _standing_alone(self.protected_terms, UNSPACED)
        # Texts in which one of these matches are read one by one.
        self._read_alone = [self._protected] if self._protected is not None else []
        if split_unspaced:
            self._read_alone.append(UNUSUAL)
        if self.fields is not None:
            self._read_alone.append(FIELD_MARK)
        self._split = _splitter(self.split, pattern)
        # Whether the words of a text are those of its tokens: a regular expression or a protected term may match across
        # a space.
        self.by_token = split in ("whitespace", "wordpunct") and not any(" " in term for term in self.protected_terms)
        self._by_line = split == "whitespace" and not any(LINE_END in term for term in self.protected_terms)
        self._by_line &= LINE_END not in self.characters

    @cached_property
    def not_simple(self) -> list[str] | None:
        """Words of ASCII letters and digits that need a look: stop words and protected terms.

        All others, in lower case if that is wanted, become the word that they are, or none if they are too short. None
        where that is not so.
        """
        if not self.by_token or any(character.isascii() and character.isalnum() for character in self.characters):
            return None
        return [*self.protected_terms, *self.stopwords]

    def __call__(self, text: str) -> str:
        """The cleaned text: its words joined by single spaces."""
        return " ".join(self.words(text))

    def words(self, text: str) -> list[str]:
        """The words of one text, in order; there may be none."""
        return self._words_of(self._uniform(text))

    def words_of_all(self, texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
        """The words of all texts, one text after the other, and the number of words in each, [texts] int64.

        Where the settings allow it, all texts are cleaned together, which takes a fraction of the time.
        """
        joined = LINE_END.join(texts)
        if not self._by_line or joined.count(LINE_END) != len(texts) - 1 or MARK in joined:
            lists = [self.words(text) for text in texts]
            return [word for words in lists for word in words], np.fromiter(map(len, lists), np.int64, len(texts))
        joined = self._uniform(joined)
        marked = joined.translate(self._spaces).replace(LINE_END, f" {MARK} ").split()
        marked = [
            word
            for word in marked
            if word == MARK or (len(word) >= self.min_word_length and word not in self.stopwords)
        ]
        marks = [-1, *(place for place, word in enumerate(marked) if word == MARK), len(marked)]
        lengths = np.diff(marks) - 1
        words = [word for word in marked if word != MARK]
        return self._reread(joined, words, lengths) if self._read_alone else (words, lengths)

    def tokens(self, texts: Sequence[str]) -> tuple[Sequence[str], np.ndarray]:
        """The pieces of all texts that have the words of the texts, and how many each text has, [texts] int64.

        They are the tokens between spaces, or, where a word may reach across a space, the texts themselves.
        """
        if not self.by_token or not len(texts):
            return texts, np.ones(len(texts), dtype=np.int64)
        lengths = np.fromiter((text.count(" ") for text in texts), dtype=np.int64, count=len(texts)) + 1
        return " ".join(texts).split(" "), lengths  # one split: one for each text would take twice as long

    def _uniform(self, text: str) -> str:
        """The text cleaned and in lower case, as far as both are wanted."""
        if self.clean:
            text = cleaned(text)
        if self.fold_marks:
            text = fold_marks(text)
        return text.lower() if self.lowercase else text

    def _reread(self, joined: str, words: list[str], lengths: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Splits some lines again, one by one, and keeps the words of all others."""
        ends = np.cumsum(lengths)
        lines = joined.split(LINE_END)
        merged: list[str] = []
        taken = 0
        for line in sorted({line for pattern in self._read_alone for line in _lines_with(pattern, joined)}):
            merged += words[taken : ends[line] - lengths[line]]
            taken = ends[line]
            own = self._words_of(lines[line])
            merged += own
            lengths[line] = len(own)
        return merged + words[taken:], lengths

    def _words_of(self, text: str) -> list[str]:
        """The words of a uniform text."""
        if self.fields is not None and FIELD_MARK.search(text):
            return self._words_of_fields(text)
        is_unusual = self.split_unspaced and not text.isascii() and UNUSUAL.search(text)
        protected = self._protected_unspaced if is_unusual else self._protected
        if protected is None or not protected.search(text):
            return self._plain_words(text)
        return self._words_around_terms(protected, text)

    def _words_of_fields(self, text: str) -> list[str]:
        """The words of a text with marked tokens, each with the mark of its field."""
        words = []
        for mark, tokens in groupby(text.split(), lambda token: token[0] if FIELD_MARK.match(token) else ""):
            plain = " ".join(token.removeprefix(mark) for token in tokens)
            words += [mark + word for word in self._words_of(plain)]
        return words

    def _words_around_terms(self, terms: re.Pattern[str], text: str) -> list[str]:
        words = []
        end = 0
        for match in terms.finditer(text):
            words += self._plain_words(text[end : match.start()])
            words.append(match.group())
            end = match.end()
        return words + self._plain_words(text[end:])

    def _plain_words(self, text: str) -> list[str]:
        words = self._split(text.translate(self._spaces))
        if self.split_unspaced and UNUSUAL.search(text):
            words = [part for word in words for part in unspaced_parts(word)]
            # A single sign of these scripts, or an emoji, is as much as a word.
            return [word for word in words if self._is_long(word) and word not in self.stopwords]
        return [word for word in words if len(word) >= self.min_word_length and word not in self.stopwords]

    def _is_long(self, word: str) -> bool:
        return len(word) >= self.min_word_length or UNUSUAL.match(word) is not None

    def to_dict(self) -> dict[str, Any]:
        """All settings as JSON values, stop words spelled out: `TextPreprocessor(**settings)` makes an equal one."""
        return {
            "characters": "".join(self.characters),
            "min_word_length": self.min_word_length,
            "stopwords": sorted(self.stopwords),
            "protected_terms": self.protected_terms,
            "lowercase": self.lowercase,
            "split": self.split.as_dict() if isinstance(self.split, WordSplitter) else self.split,
            "pattern": self.pattern,
            "clean": self.clean,
            "split_unspaced": self.split_unspaced,
            "fold_marks": self.fold_marks,
            "fields": None if self.fields is None else self.fields.as_dict(),
        }

    def with_fields(self, fields: Fields) -> "TextPreprocessor":
        """The same for questions of several fields."""
        return TextPreprocessor(**self.to_dict() | {"fields": fields})

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all settings, for cache keys."""
        code = _source(type(self.split)) if isinstance(self.split, WordSplitter) else b""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode() + code).hexdigest()


def _source(splitter: type[WordSplitter]) -> bytes:
    """The modules of a class and of its bases, with the helpers that its words depend on."""
    bases = [base for base in splitter.mro() if base not in WordSplitter.mro() and base.__module__ != "builtins"]
    sources = dict.fromkeys(getattr(sys.modules.get(base.__module__), "__file__", None) or base for base in bases)
    # A class that was typed into an interpreter is in no file.
    return b"".join(
        Path(source).read_bytes() if isinstance(source, str) else getsource(source).encode() for source in sources
    )


def _standing_alone(terms: Sequence[str], unspaced: str = "") -> re.Pattern[str] | None:
    """A pattern for the terms, longest first, with no letter, digit, + or # on either side.

    `unspaced`: letters that may stand beside a term, as in a character class.
    """
    if not terms:
        return None
    alternatives = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    if not unspaced:
        return re.compile(rf"(?<![\w+#])(?:{alternatives})(?![\w+#])")
    beside = rf"[^\W{unspaced}]"
    return re.compile(rf"(?<!{beside})(?<![+#])(?:{alternatives})(?!{beside})(?![+#])")


def _lines_with(pattern: re.Pattern[str], text: str) -> list[int]:
    """The numbers of the lines that a pattern matches in, in order."""
    lines: dict[int, None] = {}
    line, counted = 0, 0
    for match in pattern.finditer(text):
        line += text.count(LINE_END, counted, match.start())
        counted = match.start()
        lines[line] = None
    return list(lines)


def _splitter(split: "str | WordSplitter", pattern: str | None) -> Callable[[str], list[str]]:
    if isinstance(split, WordSplitter):
        return split
    if split == "whitespace":
        return str.split
    if split == "wordpunct":
        try:
            from nltk.tokenize import WordPunctTokenizer
        except ImportError as error:
            raise InputError("split=wordpunct: needs a package: pip install nltk") from error
        return WordPunctTokenizer().tokenize
    if split == "regex":
        if not pattern:
            raise InputError("split=regex needs a pattern, whose matches are the words")
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise InputError(f"pattern={pattern}: not a regular expression: {error}") from error
        return lambda text: [match.group() for match in compiled.finditer(text) if match.group()]
    raise InputError(f"split={split}: not one of {', '.join(SPLITS)}")
