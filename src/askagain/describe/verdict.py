"""What the counts of a corpus mean for training on it, in words, with what to do."""

from collections.abc import Iterator

from askagain.describe.facts import Facts, RankingFacts

FEW_GROUPS, FEW_ROWS = 200, 100
SPREAD = 0.4  # standard deviation of a reciprocal rank over rows, about
MANY_APART, MANY_UNKNOWN, MANY_NEAR = 0.25, 0.1, 0.02
LONG_TEXT, LARGE_GROUP = 40, 100  # words, questions
UNSPACED = ("Chinese", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")


def verdict(facts: Facts, name: str) -> list[str]:
    """Lines in words, most important first; one line that all is well where nothing is to be said."""
    lines = [*_of_rankings(facts), *_of_training(facts, name), *_of_texts(facts)]
    return lines or ["nothing is wrong with it: train on it"]


def _of_rankings(facts: Facts) -> Iterator[str]:
    if not facts.rankings:
        yield "nothing to validate on: make validation.tsv with askagain convert groups train.tsv -o DIR"
    for ranking in facts.rankings:
        yield from _of_ranking(ranking)
    names = {ranking.name for ranking in facts.rankings}
    if names and not any(name.startswith("test") for name in names):
        yield "no test.tsv: the epoch is chosen on validation rows, so that their metrics flatter a little"


def _of_ranking(ranking: RankingFacts) -> Iterator[str]:
    rows = f"{ranking.name}: {{:,}} of {ranking.rows:,} rows"
    if ranking.leaked:
        yield f"{rows.format(ranking.leaked)} are trained on; split anew with askagain convert groups"
    if ranking.near > MANY_NEAR * ranking.rows and ranking.near_example is not None:
        one, other = ranking.near_example
        yield f"{rows.format(ranking.near)} have a text close to one of train.tsv, such as '{one}' and '{other}'"
    if ranking.repeated:
        yield f"{rows.format(ranking.repeated)} hold their question or duplicate twice, which lowers their ranks"
    if ranking.rows < FEW_ROWS:
        spread = 1.96 * SPREAD / ranking.rows**0.5
        yield (
            f"{ranking.name}: {ranking.rows:,} rows are few, an MRR on them is sure to no more than ±{spread:.2f}; "
            "hold out more groups, or find more duplicates"
        )
    if ranking.candidates[1] < FEW_ROWS:
        yield f"{ranking.name}: {ranking.candidates[1]:,} candidates a row are few; more tell rankers better apart"
    if ranking.apart >= MANY_APART:
        yield (
            f"{ranking.name}: {ranking.apart:.0%} of the duplicates share no content word with their question; a "
            "teacher finds more of these than words do (experiment=distill)"
        )
    if ranking.unknown_words >= MANY_UNKNOWN:
        yield (
            f"{ranking.name}: {ranking.unknown_words:.0%} of its words are in no training text; add unlabelled texts "
            "as corpus.txt"
        )


def _of_training(facts: Facts, name: str) -> Iterator[str]:
    names = {file.name.removesuffix(".gz") for file in facts.files}
    groups = sum(facts.group_sizes.values())
    if "train.tsv" not in names and "corpus.txt" not in names:
        yield "nothing to train on: evaluate.py can rank with an encoder from elsewhere"
    elif "train.tsv" not in names or groups < FEW_GROUPS:
        yield (
            f"{groups:,} groups are few: distill from a teacher, which needs none, with python train.py "
            f"experiment=distill data=tsv data.dir={name}"
        )
    if "train.tsv" in names and "corpus.txt" not in names:
        yield "no corpus.txt: unlabelled questions give hard negatives, and texts to distill on"
    if facts.group_sizes and max(facts.group_sizes) > LARGE_GROUP:
        yield (
            f"one group has {max(facts.group_sizes):,} questions: data.max_pairs_per_group bounds what it weighs; look "
            "whether they all ask the same"
        )


def _of_texts(facts: Facts) -> Iterator[str]:
    for file in facts.files:
        if file.words[1] > LONG_TEXT:
            yield f"{file.name}: one text in twenty has {file.words[1]:.0f} words or more; encoders here are for titles"
    unspaced = sum(facts.scripts.get(script, 0) for script in UNSPACED)
    if unspaced > MANY_NEAR:
        yield f"{unspaced:.0%} of the letters are of scripts without spaces: they are read in pairs of letters"
    main = next(iter(facts.languages), None)
    if main not in (None, "en"):
        yield f"most texts are in {main}: choose its stop words with preprocessor.stopwords={main}"
