"""The settings of every command: the keys of each section of its config, with their types and ranges.

`TARGETS` has the keys of sections with a `_target_`, by that target. A target that is not there, such as your own loss
or a callback of Lightning's, checks its settings itself. Nothing here imports PyTorch: a mistake is answered at once.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from askagain.text.features import FeatureSettings
from askagain.text.preprocessor import TextPreprocessor


class Settings(BaseModel):
    """A section of a config: no other keys, no infinite numbers, and true and false are no numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class OpenSettings(Settings, extra="allow"):
    """A section of another package's, which checks its further keys itself."""


def section(base: type[Settings] = Settings, check: Callable[[Any], object] | None = None, /, **keys: Any) -> type[Any]:
    """The settings of a section.

    Args:
        base: whether there may be other keys.
        check: raises ValueError for values that do not go together; its message begins with the key to turn.
        keys: the type of each key; those that may be left out are in `maybe`.
    """

    def checked(settings: Any) -> Any:
        if check is not None:
            check(settings)
        return settings

    fields: Any = {name: kind if isinstance(kind, tuple) else (kind, ...) for name, kind in keys.items()}
    validators: Any = {"check": model_validator(mode="after")(checked)}
    return create_model("Section", __base__=base, __validators__=validators, **fields)


def maybe(kind: Any) -> tuple[Any, None]:
    """A key that may be left out."""
    return kind, None


def that(holds: Callable[[Any], object], wanted: str) -> AfterValidator:
    """A check of a single value; `wanted` says in the message what it should have been."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(wanted)
        return value

    return AfterValidator(check)


def _is_checkpoint(path: str) -> bool:
    return path == "last" or Path(path).exists()


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _is_size(size: list[Any]) -> bool:
    numbers = [item for item in size[:4] if type(item) is int and item > 0]
    return len(numbers) == 4 and size[4:] in ([], ["rowwise_adagrad"], ["rowwise_adagrad_full"], ["adam"])


def _are_different(values: list[Any]) -> bool:
    return len(set(values)) == len(values)


def _by_target(values: dict[str, Any]) -> Any:
    settings = TARGETS.get(values.get("_target_", ""))
    if settings is not None:
        return settings.model_validate({name: value for name, value in values.items() if not name.startswith("_")})
    if not _is_finite(values):
        raise ValueError("all numbers must be finite")
    return values


ENCODER = "no encoder here; give a run folder of train.py, its encoder folder or a .ckpt file"
SIZE = "must be vocabulary, dim, batch_size, devices, and the name of an optimizer"

WholeNumber = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Temperature = Annotated[float, Field(ge=0.0015)]  # the exponential of one over it is still inside of float64
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Ks = Annotated[list[Positive], Field(min_length=1)]
Two = Field(min_length=2, max_length=2)
Texts = Annotated[Any, that(_are_texts, "must be text or a list of texts")]
# YAML reads a folder called 2020 as a number.
PathText = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
Folder = Annotated[PathText, that(lambda path: Path(path).is_dir(), "no such folder")]
File = Annotated[PathText, that(lambda path: Path(path).is_file(), "no such file (a regular file is needed)")]
EncoderPath = Annotated[PathText, that(lambda path: Path(path).exists(), ENCODER)]
Checkpoint = Annotated[PathText, that(_is_checkpoint, "no checkpoint there; give a run folder or a .ckpt file")]
Target = Annotated[dict[str, Any], AfterValidator(_by_target)]
Ties = Literal["expected", "optimistic", "pessimistic"]
Pairs = Literal["first_two", "star", "all", "random"]
WordChoice = Literal["top", "evaluation", "all"]


def _one_corpus(data: Any) -> None:
    if data.sample is not None and data.dir is not None:
        raise ValueError(f"dir={data.dir} needs data=tsv beside it; data=sample is the synthetic sample")


def _counted_or_hashed(words: Any) -> None:
    if words.max_trigrams is not None and words.ngram_buckets is not None:
        raise ValueError(f"max_trigrams={words.max_trigrams}: must be null with features.ngram_buckets")


def _shortest_first(ranker: Any) -> None:
    if ranker.letters is not None and ranker.letters[0] > ranker.letters[1]:
        raise ValueError(f"letters={ranker.letters}: must be the shortest and the longest n-gram, such as [3,5]")


def _can_be_learned(loss: Any) -> None:
    if loss.learn_temperature and loss.temperature < 0.025:  # below it float32 would not do
        raise ValueError(f"temperature={loss.temperature}: must be at least 0.025 with learn_temperature")


def _has_a_weight(loss: Any) -> None:
    if not loss.vector_weight and not loss.similarity_weight:
        raise ValueError("vector_weight=0: must be above 0 where similarity_weight is 0")
    if getattr(loss.nt_xent, "learn_temperature", False) and not loss.nt_xent_weight:
        raise ValueError("nt_xent_weight=0: must be above 0 with nt_xent.learn_temperature")


def _ends(trainer: Any) -> None:
    if trainer.max_epochs == trainer.max_steps == -1:
        raise ValueError("max_epochs=-1: without an end; set it, or trainer.max_steps, to a number")


DATAMODULE: dict[str, Any] = {"validation_fraction": Share, "batch_size": Positive, "seed": Seed}
LEXICAL: dict[str, Any] = {"preprocessor": Target, "letters": Annotated[list[Positive], Two] | None}
BAG_ENCODER: dict[str, Any] = {
    "init_std": NotNegative,
    "feature_weights": Literal["none", "idf", "learned"],
    "pooling": Literal["sum", "mean"],
    "start": maybe(Target | None),
}
NT_XENT: dict[str, Any] = {
    "temperature": Temperature,
    "learn_temperature": bool,
    "label_smoothing": Share,
    "eps": AboveZero,
    "mask_same_group": bool,
    "gather": bool,
}

TARGETS: dict[str, type[Settings]] = {
    # Saved encoders hold these two as well, so the classes check their ranges themselves.
    "askagain.text.features.FeatureSettings": section(
        Settings,
        lambda features: FeatureSettings(**features.model_dump(exclude_unset=True)),
        kind=str,
        min_count=maybe(int),
        max_words=maybe(int | None),
        max_trigrams=maybe(int | None),
        ngram_sizes=maybe(list[int]),
        ngram_buckets=maybe(int | None),
        min_pair_count=maybe(int),
        max_pairs=maybe(int | None),
    ),
    "askagain.text.preprocessor.TextPreprocessor": section(
        Settings,
        lambda preprocessor: TextPreprocessor(**preprocessor.model_dump(exclude_unset=True)),
        characters=maybe(Texts),
        min_word_length=maybe(int),
        stopwords=maybe(Texts),
        protected_terms=maybe(list[str]),
        lowercase=maybe(bool),
        split=maybe(str),
        pattern=maybe(str | None),
    ),
    "askagain.vectors.sources.glove_50": section(),
    "askagain.vectors.sources.google_news": section(path=PathText, limit=Positive | None),  # says where to get the file
    "askagain.vectors.sources.gensim_data": section(dataset_name=str, limit=maybe(Positive | None)),
    "askagain.vectors.sources.vector_file": section(
        path=File,
        format=maybe(Literal["auto", "word2vec_text", "word2vec_binary", "glove", "gensim"]),
        limit=maybe(Positive | None),
    ),
    "askagain.models.folder.load_encoder": section(path=EncoderPath, dim=maybe(Positive | None)),
    "askagain.models.random_vectors.RandomVectors": section(seed=Seed),
    "askagain.models.mean_of_vectors.mean_of_vectors": section(preprocessor=Target, vectors=Target),
    "askagain.models.other_packages.SentenceTransformerEncoder": section(
        path=PathText,
        batch_size=Positive,
        device=maybe(str | None),
        revision=maybe(str | None),
        prompt=maybe(str | None),
    ),
    "askagain.models.other_packages.Model2VecEncoder": section(path=PathText),
    "askagain.models.lexical.Bm25": section(
        Settings, _shortest_first, **LEXICAL, k1=NotNegative, b=Annotated[float, Field(ge=0, le=1)]
    ),
    "askagain.models.lexical.TfIdf": section(Settings, _shortest_first, **LEXICAL, sublinear=bool),
    "askagain.training.data.teacher.SentenceTransformerTeacher": section(
        model=PathText, revision=maybe(str | None), prompt=maybe(str | None), batch_size=maybe(Positive)
    ),
    "askagain.training.data.teacher.packaged_teacher": section(package=str, folder=str, batch_size=maybe(Positive)),
    "askagain.training.data.duplicates.DuplicatesDataModule": section(
        **DATAMODULE, features=Target, count_unlabelled=bool, pairs=Pairs, max_pairs_per_group=Positive | None
    ),
    "askagain.training.data.distillation.DistillationDataModule": section(
        **DATAMODULE,
        teacher=Target,
        teacher_dtype=Literal["float16", "float32"],
        features=Target,
        max_pairs_per_group=Positive | None,
    ),
    "askagain.training.data.word_vectors.WordVectorsDataModule": section(
        Settings,
        _counted_or_hashed,
        **DATAMODULE,
        vectors=Target,
        words=WordChoice,
        limit=Positive | None,
        max_trigrams=Positive | None,
        ngram_sizes=list[int],
        ngram_buckets=int | None,
    ),
    "askagain.training.modules.dssm.DSSM": section(**BAG_ENCODER, dim=Positive),
    "askagain.training.modules.distillation.Distillation": section(**BAG_ENCODER),
    "askagain.training.modules.trigram_regressor.TrigramRegressor": section(init_std=NotNegative),
    "askagain.training.modules.initialization.from_word_vectors": section(vectors=Target),
    "askagain.training.modules.initialization.from_encoder": section(path=EncoderPath),
    "askagain.training.losses.nt_xent.NTXentLoss": section(Settings, _can_be_learned, **NT_XENT),
    "askagain.training.losses.nt_xent.ReferenceNTXentLoss": section(Settings, _can_be_learned, **NT_XENT),
    "askagain.training.losses.matryoshka.MatryoshkaLoss": section(loss=Target, dims=list[Positive], weight=NotNegative),
    "askagain.training.losses.distillation.DistillationLoss": section(
        Settings,
        _has_a_weight,
        nt_xent=Target,
        vector_weight=NotNegative,
        similarity_weight=NotNegative,
        similarity_temperature=Temperature,
        nt_xent_weight=NotNegative,
        matryoshka_dims=list[Positive],
        matryoshka_weight=NotNegative,
        eps=AboveZero,
    ),
    "askagain.training.optim.rowwise_adagrad.RowwiseAdagrad": section(
        lr=NotNegative, eps=AboveZero, second_moment=Literal["row", "full"]
    ),
    "askagain.training.optim.schedules.warmup_decay": section(
        warmup_share=Share, decay=Literal["none", "linear", "cosine"]
    ),
    "askagain.training.callbacks.throughput.Throughput": section(),
    "askagain.training.callbacks.hits_at_k.HitsAtK": section(ks=Ks, ties=Ties),
    "askagain.training.callbacks.hard_negatives.MineHardNegatives": section(
        per_text=WholeNumber,
        first_epoch=Positive,
        every_n_epochs=Positive,
        guard=AboveZero,
        pool=Positive | None,
    ),
    "askagain.training.callbacks.norm_histograms.NormHistograms": section(
        bins=Annotated[int, Field(ge=1, le=512)]  # W&B accepts no more
    ),
    "askagain.training.callbacks.best_checkpoint.BestCheckpoint": section(
        folder=PathText, monitor=str, mode=Literal["max", "min"]
    ),
    "askagain.training.callbacks.last_checkpoint.LastCheckpoint": section(
        folder=PathText, every_n_steps=Positive | None
    ),
    "askagain.training.callbacks.nearest_words.NearestWords": section(words=Positive, neighbours=Positive),
    "torch.optim.Adam": section(
        OpenSettings,
        lr=NotNegative,
        betas=maybe(Annotated[list[Share], Two]),
        eps=maybe(NotNegative),
        weight_decay=maybe(NotNegative),
    ),
    "pytorch_lightning.Trainer": section(
        OpenSettings,
        _ends,
        max_epochs=maybe(Annotated[int, Field(ge=-1)] | None),
        max_steps=maybe(Annotated[int, Field(ge=-1)]),
        num_nodes=maybe(Positive),
        strategy=maybe(Literal["auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook"]),
        gradient_clip_val=maybe(NotNegative | None),
        log_every_n_steps=maybe(Positive),
    ),
}

PATHS = section(cache_dir=PathText, runs_dir=PathText, run_dir=Any)
DATA = section(
    Settings,
    _one_corpus,
    dir=Folder | None,
    train_path=File | None,
    validation_path=File | None,
    test_path=File | None,
    corpus_path=File | None,
    count_unlabelled=bool,
    on_bad_row=Literal["error", "skip"],
    split=Literal["validation", "test"],
    pairs=Pairs,
    max_pairs_per_group=Positive | None,
    validation_fraction=Share,
    batch_size=Positive,
    sample=section(seed=Seed) | None,
)
RUN: dict[str, Any] = {
    "name": str,
    "seed": Seed,
    "metric": section(name=str, mode=Literal["max", "min"]),
    "ks": Ks,
    "ties": Ties,
    "worst_ranked": section(rows=Positive, candidates=Positive, features=maybe(Positive | None)),
    "paths": PATHS,
    "data": DATA,
    "preprocessor": Target,
    "vectors": maybe(Target | None),
    "encoder": maybe(Target | None),
}
EVALUATE: dict[str, Any] = RUN | {
    "intervals": section(confidence=Annotated[float, Field(gt=0, lt=1)], resamples=Positive),
    "candidate_set": section(files=list[Literal["train", "validation", "test", "corpus"]] | None, groups=File | None),
    "ranker": maybe(Target | None),
}
COMMANDS: dict[str, type[Settings]] = {
    "train": section(
        **RUN,
        tags=list[str],
        ckpt_path=Checkpoint | None,
        checkpoint_every_n_steps=Positive | None,
        raw=maybe(Target),
        features=maybe(Target),
        words=maybe(section(choice=WordChoice, limit=Positive | None, max_trigrams=Positive | None)),
        teacher=maybe(Target),
        start=maybe(Target | None),
        loss=maybe(Target),
        datamodule=maybe(Target),
        model=maybe(Target),
        optimizer=maybe(Target),
        scheduler=maybe(Target),
        trainer=maybe(Target),
        callbacks=maybe(dict[str, Target | None]),
        logger=maybe(dict[str, Target | None]),
    ),
    "evaluate": section(**EVALUATE),
    "leaderboard": section(
        **EVALUATE,
        rankers=Annotated[list[Any], Field(min_length=1)],
        seeds=Annotated[
            list[Seed], Field(min_length=1), that(lambda s: len(set(s)) == len(s), "must be different seeds")
        ],
        columns=list[str],
        resamples=Positive,
        speed_texts=Positive,
        plot=bool,
    ),
    "benchmark": section(
        paths=PATHS,
        size=dict[str, Positive],
        benchmarks=Annotated[
            list[Literal["train", "evaluate", "prepare", "encode", "trigram", "startup"]],
            BeforeValidator(lambda names: [names] if isinstance(names, str) else names),
            Field(min_length=1),
        ],
        yardsticks=Folder | None,
        peer_python=File | None,
        out=PathText,
    ),
    "sizing": section(
        paths=PATHS,
        sizes=list[Annotated[list[Any], that(_is_size, SIZE)]],
        measure=bool,
        steps=Positive,
        tokens_a_pair=AboveZero,
        rare_words_a_pair=AboveZero,
        rows=Positive,
        out=PathText,
    ),
    "make_sample": section(
        out=Annotated[PathText, that(lambda path: not Path(path).is_file(), "this is a file; name a folder")],
        seed=Seed,
        rows=Positive | None,
        validation_rows=Positive,
        candidates=Positive,
        pool=Positive,
        vocabulary=Positive,
    ),
    "inspect_vectors": section(
        paths=PATHS,
        vectors=Target,
        known_words=list[Any],  # words, some of which YAML may read as numbers
        analogy=section(positive=list[Any], negative=list[Any], count=Positive),
        odd_one_out=list[Any],
        most_similar=section(word=Any, among=list[Any]),
    ),
}
