"""Stop words from our own short list, NLTK, scikit-learn, gensim, the lists of stopwordsiso, or a file."""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from askagain.errors import InputError
from askagain.files.opened import refuse_unreadable

LARGEST_FILE = 1 << 24
# Languages that stopwordsiso has a list for.
LANGUAGES = {
    "arabic": "ar", "bulgarian": "bg", "bengali": "bn", "catalan": "ca", "czech": "cs", "danish": "da", "german": "de",
    "greek": "el", "spanish": "es", "estonian": "et", "basque": "eu", "persian": "fa", "finnish": "fi", "french": "fr",
    "irish": "ga", "galician": "gl", "hebrew": "he", "hindi": "hi", "croatian": "hr", "hungarian": "hu",
    "armenian": "hy", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko", "latin": "la",
    "lithuanian": "lt", "latvian": "lv", "marathi": "mr", "malay": "ms", "dutch": "nl", "norwegian": "no",
    "polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "slovak": "sk", "slovenian": "sl",
    "swedish": "sv", "swahili": "sw", "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur",
    "vietnamese": "vi", "chinese": "zh",
}  # fmt: skip


def stop_words(source: str | Iterable[str]) -> frozenset[str]:
    """The stop words of a source.

    `source`: `english`, `nltk`, `sklearn`, `gensim`, `none`, the name or code of another language (`russian`, `zh`),
    several of these with + between them, the path of a UTF-8 file with one word a line, or the words themselves. Raises
    InputError for an unknown name, an unreadable file, and where a list is neither installed nor can be downloaded.
    """
    if not isinstance(source, str):
        return frozenset(source)
    names = source.split("+")
    if all(name in _READERS or name in LANGUAGES or name in LANGUAGES.values() for name in names):
        return frozenset().union(*(_named(name) for name in names))
    return _from_file(Path(source))


def _named(name: str) -> frozenset[str]:
    return _READERS[name]() if name in _READERS else _of_language(name)


def _of_language(name: str) -> frozenset[str]:
    try:
        import stopwordsiso
    except ImportError as error:
        raise InputError(f"stopwords={name}: needs a package: pip install stopwordsiso") from error
    return frozenset(word.lower() for word in stopwordsiso.stopwords(LANGUAGES.get(name, name)))


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
