"""Questions in Russian, Chinese, Arabic, Hebrew and emoji are read as people who write them mean them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from askagain.errors import InputError
from askagain.models.lexical import Bm25
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.stop_words import stop_words
from askagain.text.terms import terms

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"  # three emoji that are joined to one
MIXED = st.sampled_from("ab +#c.net\u0301如何退ไทก\U0001f600\u200dёךָ كِ ")


def configured(**changed):
    """The preprocessor of configs/preprocessor/standard.yaml."""
    section = OmegaConf.load(ROOT / "configs" / "preprocessor" / "standard.yaml")
    return TextPreprocessor(**{**{key: value for key, value in section.items() if key != "_target_"}, **changed})


def groups_in(name):
    return [line.split("\t") for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def bm25_mrr(name, **changed):
    """The first question of each group ranks the second ones of all groups."""
    groups = groups_in(name)
    questions, duplicates = [group[0] for group in groups], [group[1] for group in groups]
    ranker = Bm25(configured(**changed), k1=1.2, b=0.75)
    ranker.fit([text for group in groups for text in group])
    candidates = ranker.candidates(duplicates)
    asked = ranker.questions(questions)
    candidates.resize((len(duplicates), asked.shape[1]))
    scores = (asked @ candidates.T).toarray()
    reciprocal = 0.0
    for row in range(len(scores)):
        above, tied = (scores[row] > scores[row, row]).sum(), (scores[row] == scores[row, row]).sum()
        reciprocal += sum(1 / (above + place) for place in range(1, tied + 1)) / tied
    return reciprocal / len(scores)


def test_chinese_duplicates_are_found_by_pairs_of_letters_and_not_without():
    assert bm25_mrr("questions_zh.tsv") > 0.9
    assert bm25_mrr("questions_zh.tsv", split_unspaced=False) < 0.4


def test_russian_duplicates_are_found():
    assert bm25_mrr("questions_ru.tsv") > 0.6
    assert bm25_mrr("questions_ru.tsv", stopwords="russian") > 0.6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("如何退出vim？", ["如何", "何退", "退出", "vim"]),
        ("Python 3で 文字列", ["python", "で", "文字", "字列"]),
        ("ติดตั้ง linux", ["ติ", "ิด", "ดต", "ตั", "ั้", "้ง", "linux"]),
        ("데이터를 저장하는 방법", ["데이터를", "저장하는", "방법"]),
        (
            "\U0001f600 smile \U0001f468\u200d\U0001f469\u200d\U0001f467",
            ["\U0001f600", "smile", "\U0001f468\u200d\U0001f469\u200d\U0001f467"],
        ),
        ("ещё раз: Ёлка", ["еще", "раз", "елка"]),
        ("שָׁלוֹם עולם", ["שלום", "עולם"]),
        ("كِتَابٌ جديد", ["كتاب", "جديد"]),
        ("cafe\u0301 naïve", ["café", "naïve"]),
        ("c++を 学ぶ", ["c++", "を", "学ぶ"]),
    ],
)
def test_words_of_other_languages(text, words):
    assert configured().words(text) == words


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(st.sampled_from("ab +#c.net\u0301如何退ไทก\U0001f600\u200dёךָ كِ "), max_size=12), min_size=1, max_size=8
    )
)
def test_texts_read_together_have_the_words_of_each_read_alone(texts):
    preprocessor = configured()
    words, lengths = preprocessor.words_of_all(texts)
    assert words == [word for text in texts for word in preprocessor.words(text)]
    assert lengths.tolist() == [len(preprocessor.words(text)) for text in texts]


def test_without_the_settings_nothing_is_split_or_folded():
    plain = configured(split_unspaced=False, fold_marks=False)
    assert plain.words("如何退出 ещё") == ["如何退出", "ещё"]
    assert TextPreprocessor(**plain.to_dict()).to_dict() == plain.to_dict()


def test_stop_words_of_other_languages_can_be_chosen_and_joined():
    pytest.importorskip("stopwordsiso")
    russian = stop_words("russian")
    assert {"как", "не", "что"} <= russian and "порт" not in russian
    assert stop_words("ru") == russian
    assert stop_words("english+ru") == russian | stop_words("english")
    with pytest.raises(InputError, match="no such list"):
        stop_words("english+klingon")


def test_terms_are_the_same_however_a_text_is_composed():
    assert terms("how to `~/ ?") == {"how", "to", "`~/"}
    assert terms("C# и C++") == {"c#", "и", "c++"}
