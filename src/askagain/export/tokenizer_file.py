"""A tokenizer of the `tokenizers` library that splits texts nearly as a preprocessor does.

Not repeated are pairs of letters in scripts without spaces, emoji, and the cleaning of joiners.
"""

from typing import Any

from askagain.errors import InputError
from askagain.export.packages import needed
from askagain.export.pieces import CONTINUING, MARK
from askagain.text.cleaning import CONTROLS, INVISIBLE, SPACE
from askagain.text.languages import MARKS
from askagain.text.preprocessor import TextPreprocessor

UNKNOWN = "[UNK]"
FIRST_STAND_IN = 0xF0000  # private letters, one for each protected term
LONGEST_WORD = 1_000  # letters; longer words are unknown


def stand_ins(preprocessor: TextPreprocessor) -> dict[str, str]:
    """The letter that stands for each protected term, so that the steps after it leave the term alone."""
    return {term: chr(FIRST_STAND_IN + place) for place, term in enumerate(preprocessor.protected_terms)}


def make_tokenizer(preprocessor: TextPreprocessor, tokens: list[str], in_pieces: bool) -> Any:
    """A tokenizer whose ids are places in `tokens`: whole words, or marked words and pieces of words.

    Raises InputError for a preprocessor that splits texts otherwise than at white space.
    """
    library = needed("tokenizers")
    if preprocessor.split != "whitespace":
        raise InputError(
            f"the encoder's words are split by {preprocessor.split!r}, which no plain tokenizer repeats; type --exact"
        )
    places = {token: place for place, token in enumerate(tokens)}
    if in_pieces:
        model = library.models.WordPiece(
            places,
            unk_token=UNKNOWN,
            continuing_subword_prefix=CONTINUING,
            max_input_chars_per_word=LONGEST_WORD,
        )
    else:
        model = library.models.WordLevel(places, unk_token=UNKNOWN)
    tokenizer = library.Tokenizer(model)
    tokenizer.normalizer = library.normalizers.Sequence(_steps(library, preprocessor, in_pieces))
    tokenizer.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _steps(library: Any, preprocessor: TextPreprocessor, in_pieces: bool) -> list[Any]:
    """The steps of `TextPreprocessor` in their order."""
    normalizers = library.normalizers

    def replace(pattern: str, content: str) -> Any:
        return normalizers.Replace(library.Regex(pattern), content)

    steps = []
    if preprocessor.clean:
        steps += [replace(f"[{INVISIBLE}{CONTROLS}{SPACE}]", ""), normalizers.NFC()]
    if preprocessor.fold_marks:
        steps += [replace(MARKS.pattern, ""), normalizers.Replace("ё", "е"), normalizers.Replace("Ё", "Е")]
    if preprocessor.lowercase:
        steps.append(normalizers.Lowercase())
    letters = stand_ins(preprocessor)
    for term in sorted(letters, key=len, reverse=True):
        # A stand-in is no letter: terms side by side are all found.
        steps.append(replace(rf"(?<![\w+#]){_escaped(term)}(?![\w+#])", f" {letters[term]} "))
    if preprocessor.characters:
        steps.append(replace(f"[{''.join(map(_escaped, preprocessor.characters))}]", " "))
    if preprocessor.min_word_length > 1:
        kept = f"{chr(FIRST_STAND_IN)}-{chr(FIRST_STAND_IN + len(letters))}"
        steps.append(replace(rf"(?<!\S)[^\s{kept}]{{1,{preprocessor.min_word_length - 1}}}(?!\S)", " "))
    if in_pieces:
        # The marks between words first, then those at both ends; looking at each letter's neighbours takes longer.
        steps += [
            normalizers.Strip(),
            replace(r"\s+", f"{MARK} {MARK}"),
            normalizers.Prepend(MARK),
            replace(r"\z", MARK),
        ]
    return steps


def _escaped(text: str) -> str:
    """A text as a regular expression, within and without brackets."""
    return "".join(character if character.isalnum() or ord(character) > 127 else f"\\{character}" for character in text)
