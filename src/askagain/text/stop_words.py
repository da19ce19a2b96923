"""Stop words from our own short list, NLTK, scikit-learn, gensim, or a file."""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from askagain.errors import InputError
from askagain.files.opened import refuse_unreadable

LARGEST_FILE = 1 << 24


def stop_words(source: str | Iterable[str]) -> frozenset[str]:
    """The stop words of a source.

    `source`: `english`, `nltk`, `sklearn`, `gensim`, `none`, the path of a UTF-8 file with one word a line, or the
    words themselves. Raises InputError for an unknown name, an unreadable file, and where NLTK's list is neither
    installed nor can be downloaded.
    """
    if not isinstance(source, str):
        return frozenset(source)
    if source in _READERS:
        return _READERS[source]()
    return _from_file(Path(source))


def _english() -> frozenset[str]:
    return _lines(resources.files("askagain.text").joinpath("english_stop_words.txt").read_text(encoding="utf-8"))


def _nltk() -> frozenset[str]:
    import nltk
    from nltk.corpus import stopwords

    try:
        return frozenset(stopwords.words("english"))
    except LookupError:
        nltk.download("stopwords", quiet=True)
    try:
        return frozenset(stopwords.words("english"))
    except LookupError as error:
        raise InputError(
            "stopwords=nltk: NLTK's stop-word corpus is not installed and could not be downloaded; on a machine with "
            "internet run `python -m nltk.downloader stopwords` and copy its nltk_data folder to your home folder, "
            "or choose stopwords=english, sklearn or gensim"
        ) from error


def _sklearn() -> frozenset[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


def _gensim() -> frozenset[str]:
    from gensim.parsing.preprocessing import STOPWORDS

    return frozenset(STOPWORDS)


def _from_file(path: Path) -> frozenset[str]:
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = True
    if not exists:
        raise InputError(f"stopwords={path}: no such list and no such file; lists are {', '.join(_READERS)}")
    try:
        refuse_unreadable(path)
    except InputError as error:
        raise InputError(f"stopwords={path}: {error}") from error
    if path.stat().st_size > LARGEST_FILE:
        raise InputError(f"stopwords={path}: larger than {LARGEST_FILE:,} bytes; is this a file of words?")
    try:
        return _lines(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not UTF-8; convert the file to UTF-8") from error


def _lines(text: str) -> frozenset[str]:
    return frozenset(word for line in text.splitlines() if (word := line.strip()))


_READERS = {"english": _english, "nltk": _nltk, "sklearn": _sklearn, "gensim": _gensim, "none": frozenset}
