"""The settings of every command: their names, types and ranges.

A class stands for a section of a config, its fields for the section's keys. A section with a `_target_` is checked by
the class that `TARGETS` names for it. Other targets, such as your own loss or a callback of Lightning's, check their
settings themselves. Nothing here imports PyTorch, so a mistake is answered at once.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from askagain.text.features import FeatureSettings
from askagain.text.preprocessor import TextPreprocessor

SMALLEST_TEMPERATURE = 0.0015  # the exponential of one over it is still inside of float64
SMALLEST_LEARNED_TEMPERATURE = 0.025  # below it a loss on the way could leave float32
LARGEST_HISTOGRAM = 512  # bins that W&B takes


class Settings(BaseModel):
    """A section of a config: no other keys, no infinite numbers, and true and false are no numbers."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def _that(holds: Callable[[Any], bool], wanted: str) -> AfterValidator:
    """A check of a single value; `wanted` says in an error message what it should have been."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(wanted)
        return value

    return AfterValidator(check)


def _is_checkpoint(path: str) -> bool:
    return path == "last" or Path(path).exists()


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _are_different(values: list[Any]) -> bool:
    return len(set(values)) == len(values)


def _is_finite(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _as_text(value: Any) -> Any:
    """YAML reads a folder called 2020 as a number."""
    return str(value) if type(value) is int else value


ENCODER = "no encoder here; give a run folder of train.py, its encoder folder or a .ckpt file"

Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Temperature = Annotated[float, Field(ge=SMALLEST_TEMPERATURE)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Ks = Annotated[list[Positive], Field(min_length=1)]
Ties = Literal["expected", "optimistic", "pessimistic"]
Texts = Annotated[Any, _that(_are_texts, "must be text or a list of texts")]
PathText = Annotated[str, BeforeValidator(_as_text)]
Folder = Annotated[PathText, _that(lambda path: Path(path).is_dir(), "no such folder")]
File = Annotated[PathText, _that(lambda path: Path(path).is_file(), "no such file (a regular file is needed)")]
EncoderPath = Annotated[PathText, _that(lambda path: Path(path).exists(), ENCODER)]
Checkpoint = Annotated[PathText, _that(_is_checkpoint, "no checkpoint there; give a run folder or a .ckpt file")]


def _by_target(section: dict[str, Any]) -> Any:
    settings = TARGETS.get(section.get("_target_", ""))
    if settings is None:
        if not _is_finite(section):
            raise ValueError("all numbers must be finite")
        return section
    return settings.model_validate({name: value for name, value in section.items() if not name.startswith("_")})


Section = Annotated[dict[str, Any], AfterValidator(_by_target)]


# Sections without a target.


class Metric(Settings):
    """The metric that decides which epoch is kept."""

    name: str
    mode: Literal["max", "min"]


class Paths(Settings):
    """Where things are read from and written to."""

    cache_dir: PathText
    runs_dir: PathText
    run_dir: PathText


class Sample(Settings):
    """The built-in sample."""

    seed: Seed


class Data(Settings):
    """The corpus, and how it is dealt."""

    dir: Folder | None
    train_path: File | None
    validation_path: File | None
    test_path: File | None
    corpus_path: File | None
    count_unlabelled: bool
    on_bad_row: Literal["error", "skip"]
    split: Literal["validation", "test"]
    pairs: Literal["first_two", "star", "all", "random"]
    max_pairs_per_group: Positive | None
    validation_fraction: Share
    batch_size: Positive
    sample: Sample | None

    @model_validator(mode="after")
    def _is_one_corpus(self) -> Self:
        if self.sample is not None and self.dir is not None:
            raise ValueError(f"dir={self.dir} needs data=tsv beside it; data=sample is the synthetic sample")
        return self


class WorstRanked(Settings):
    """How much is shown of the questions that are ranked worst."""

    rows: Positive
    candidates: Positive
    features: Positive | None = None


class Words(Settings):
    """Which words the trigram regressor learns from."""

    choice: Literal["top", "evaluation", "all"]
    limit: Positive | None
    max_trigrams: Positive | None


class Loss(Settings):
    """How NT-Xent is computed on several devices."""

    gather: bool


# Sections with a target, by the room of the code that they configure.


class Features(Settings):
    """`FeatureSettings`, which saved encoders hold too, checks its ranges itself."""

    kind: str
    min_count: int = 1
    max_words: int | None = None
    max_trigrams: int | None = None
    ngram_sizes: list[int] = Field(default=[3])
    ngram_buckets: int | None = None
    min_pair_count: int = 2
    max_pairs: int | None = None

    @model_validator(mode="after")
    def _in_range(self) -> Self:
        FeatureSettings(**self.model_dump())
        return self


class Preprocessor(Settings):
    """`TextPreprocessor`, which saved encoders hold too, checks its settings itself."""

    characters: Texts = ""
    min_word_length: int = 1
    stopwords: Texts = "none"
    protected_terms: list[str] = Field(default=[])
    lowercase: bool = True
    split: str = "whitespace"
    pattern: str | None = None

    @model_validator(mode="after")
    def _usable(self) -> Self:
        TextPreprocessor(**self.model_dump())
        return self


class Nothing(Settings):
    """A section without settings."""


class GoogleNews(Settings):
    """Where Google's word vectors are; the message about a missing file says where to get it."""

    path: PathText
    limit: Positive | None


class GensimData(Settings):
    """Word vectors of gensim's collection."""

    dataset_name: str
    limit: Positive | None = None


class VectorFile(Settings):
    """Word vectors in a file."""

    path: File
    format: Literal["auto", "word2vec_text", "word2vec_binary", "glove", "gensim"] = "auto"
    limit: Positive | None = None


class LoadedEncoder(Settings):
    """An encoder that train.py saved."""

    path: EncoderPath
    dim: Positive | None = None


class RandomVectors(Settings):
    """The encoder that knows nothing."""

    seed: Seed


class MeanOfVectors(Settings):
    """The encoder that averages word vectors."""

    preprocessor: Section
    vectors: Section


class SentenceTransformer(Settings):
    """An encoder of sentence-transformers, by folder or name."""

    path: PathText
    batch_size: Positive
    device: str | None = None
    revision: str | None = None
    prompt: str | None = None


class Model2Vec(Settings):
    """An encoder of model2vec, by folder or name."""

    path: PathText


class Lexical(Settings):
    """A ranker that counts terms."""

    preprocessor: Section
    letters: Annotated[list[Positive], Field(min_length=2, max_length=2)] | None

    @model_validator(mode="after")
    def _shortest_first(self) -> Self:
        if self.letters is not None and self.letters[0] > self.letters[1]:
            raise ValueError(f"letters={self.letters}: must be the shortest and the longest n-gram, such as [3,5]")
        return self


class Bm25(Lexical):
    """BM25."""

    k1: NotNegative
    b: Annotated[float, Field(ge=0, le=1)]


class TfIdf(Lexical):
    """TF-IDF."""

    sublinear: bool


class TeacherModel(Settings):
    """A teacher of sentence-transformers."""

    model: PathText
    revision: str | None = None
    prompt: str | None = None
    batch_size: Positive = 64


class PackagedTeacher(Settings):
    """A teacher that comes in a Python package."""

    package: str
    folder: str
    batch_size: Positive = 64


class DataModule(Settings):
    """What all datamodules have."""

    validation_fraction: Share
    batch_size: Positive
    seed: Seed


class Duplicates(DataModule):
    """Pairs of duplicates."""

    features: Section
    count_unlabelled: bool
    pairs: Literal["first_two", "star", "all", "random"]
    max_pairs_per_group: Positive | None


class DistillationData(DataModule):
    """Texts with a teacher's vectors."""

    teacher: Section
    teacher_dtype: Literal["float16", "float32"]
    features: Section
    max_pairs_per_group: Positive | None


class WordVectorsData(DataModule):
    """Known words and their vectors."""

    vectors: Section
    words: Literal["top", "evaluation", "all"]
    limit: Positive | None
    max_trigrams: Positive | None
    ngram_sizes: list[int]
    ngram_buckets: int | None

    @model_validator(mode="after")
    def _counted_or_hashed(self) -> Self:
        if self.max_trigrams is not None and self.ngram_buckets is not None:
            raise ValueError(f"max_trigrams={self.max_trigrams}: must be null with features.ngram_buckets")
        return self


class BagEncoderModel(Settings):
    """What models have that train a whole bag encoder."""

    init_std: NotNegative
    feature_weights: Literal["none", "idf", "learned"]
    pooling: Literal["sum", "mean"]
    temperature: Temperature
    learn_temperature: bool
    label_smoothing: Share
    eps: AboveZero
    mask_same_group: bool
    matryoshka: list[Positive]
    matryoshka_weight: NotNegative
    start: Section | None = None

    @model_validator(mode="after")
    def _can_be_learned(self) -> Self:
        if self.learn_temperature and self.temperature < SMALLEST_LEARNED_TEMPERATURE:
            least = f"must be at least {SMALLEST_LEARNED_TEMPERATURE} with learn_temperature"
            raise ValueError(f"temperature={self.temperature}: {least}")
        return self


class DSSM(BagEncoderModel):
    """Rung 3."""

    dim: Positive
    gather: bool


class Distillation(BagEncoderModel):
    """Distillation; its `dim` is the teacher's."""

    vector_weight: NotNegative
    similarity_weight: NotNegative
    similarity_temperature: Temperature
    nt_xent_weight: NotNegative

    @model_validator(mode="after")
    def _has_a_loss(self) -> Self:
        if not self.vector_weight and not self.similarity_weight:
            raise ValueError("vector_weight=0: must be above 0 where similarity_weight is 0")
        if self.learn_temperature and not self.nt_xent_weight:
            raise ValueError("learn_temperature=true: without nt_xent_weight there is no temperature to learn")
        return self


class TrigramRegressor(Settings):
    """Rung 2."""

    init_std: NotNegative


class StartVectors(Settings):
    """A table that starts from word vectors."""

    vectors: Section


class StartEncoder(Settings):
    """A table that starts from a saved encoder."""

    path: EncoderPath


class RowwiseAdagrad(Settings):
    """The optimizer of embedding tables."""

    lr: NotNegative
    eps: AboveZero
    second_moment: Literal["row", "full"]


class Adam(Settings, extra="allow"):
    """PyTorch's, whose further settings it checks itself."""

    lr: NotNegative
    betas: Annotated[list[Share], Field(min_length=2, max_length=2)] = Field(default=[0.9, 0.999])
    eps: NotNegative = 1e-8
    weight_decay: NotNegative = 0.0


class WarmupDecay(Settings):
    """How the learning rate moves."""

    warmup_share: Share
    decay: Literal["none", "linear", "cosine"]


class Trainer(Settings, extra="allow"):
    """Lightning's, whose further settings it checks itself."""

    max_epochs: Annotated[int, Field(ge=-1)] | None = None
    max_steps: Annotated[int, Field(ge=-1)] = -1
    max_time: Any = None
    num_nodes: Positive = 1
    strategy: Literal["auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook"] = "auto"
    gradient_clip_val: NotNegative | None = None
    log_every_n_steps: Positive = 10
    enable_model_summary: bool = False

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.max_epochs == self.max_steps == -1:
            raise ValueError("max_epochs=-1: without an end; set it, or trainer.max_steps, to a number")
        return self


class HitsAtK(Settings):
    """The callback that ranks the validation set."""

    ks: Ks
    ties: Ties


class HardNegatives(Settings):
    """The callback that searches hard negatives."""

    per_text: Annotated[int, Field(ge=0)]
    first_epoch: Positive
    every_n_epochs: Positive
    guard: AboveZero
    pool: Positive | None


class NormHistograms(Settings):
    """The callback that shows the lengths of the table's rows."""

    bins: Annotated[int, Field(ge=1, le=LARGEST_HISTOGRAM)]


class BestCheckpoint(Settings):
    """The callback that keeps the best epoch."""

    folder: PathText
    monitor: str
    mode: Literal["max", "min"]


class LastCheckpoint(Settings):
    """The callback that keeps the last checkpoint."""

    folder: PathText
    every_n_steps: Positive | None


class NearestWords(Settings):
    """The callback that shows the neighbours of unknown words."""

    words: Positive
    neighbours: Positive


TARGETS: dict[str, type[Settings]] = {
    "askagain.text.features.FeatureSettings": Features,
    "askagain.text.preprocessor.TextPreprocessor": Preprocessor,
    "askagain.vectors.sources.glove_50": Nothing,
    "askagain.vectors.sources.google_news": GoogleNews,
    "askagain.vectors.sources.gensim_data": GensimData,
    "askagain.vectors.sources.vector_file": VectorFile,
    "askagain.models.folder.load_encoder": LoadedEncoder,
    "askagain.models.random_vectors.RandomVectors": RandomVectors,
    "askagain.models.mean_of_vectors.mean_of_vectors": MeanOfVectors,
    "askagain.models.other_packages.SentenceTransformerEncoder": SentenceTransformer,
    "askagain.models.other_packages.Model2VecEncoder": Model2Vec,
    "askagain.models.lexical.Bm25": Bm25,
    "askagain.models.lexical.TfIdf": TfIdf,
    "askagain.training.data.teacher.SentenceTransformerTeacher": TeacherModel,
    "askagain.training.data.teacher.packaged_teacher": PackagedTeacher,
    "askagain.training.data.duplicates.DuplicatesDataModule": Duplicates,
    "askagain.training.data.distillation.DistillationDataModule": DistillationData,
    "askagain.training.data.word_vectors.WordVectorsDataModule": WordVectorsData,
    "askagain.training.modules.dssm.DSSM": DSSM,
    "askagain.training.modules.distillation.Distillation": Distillation,
    "askagain.training.modules.trigram_regressor.TrigramRegressor": TrigramRegressor,
    "askagain.training.modules.initialization.from_word_vectors": StartVectors,
    "askagain.training.modules.initialization.from_encoder": StartEncoder,
    "askagain.training.optim.rowwise_adagrad.RowwiseAdagrad": RowwiseAdagrad,
    "askagain.training.optim.schedules.warmup_decay": WarmupDecay,
    "askagain.training.callbacks.throughput.Throughput": Nothing,
    "askagain.training.callbacks.hits_at_k.HitsAtK": HitsAtK,
    "askagain.training.callbacks.hard_negatives.MineHardNegatives": HardNegatives,
    "askagain.training.callbacks.norm_histograms.NormHistograms": NormHistograms,
    "askagain.training.callbacks.best_checkpoint.BestCheckpoint": BestCheckpoint,
    "askagain.training.callbacks.last_checkpoint.LastCheckpoint": LastCheckpoint,
    "askagain.training.callbacks.nearest_words.NearestWords": NearestWords,
    "torch.optim.Adam": Adam,
    "pytorch_lightning.Trainer": Trainer,
}


# Commands.


class Train(Settings):
    """`train.py`; an experiment brings the sections that it has a use for."""

    name: str
    tags: list[str]
    seed: Seed
    ckpt_path: Checkpoint | None
    checkpoint_every_n_steps: Positive | None
    metric: Metric
    worst_ranked: WorstRanked
    ks: Ks
    ties: Ties
    paths: Paths
    data: Data
    preprocessor: Section
    raw: Section | None = None
    features: Section | None = None
    vectors: Section | None = None
    words: Words | None = None
    teacher: Section | None = None
    start: Section | None = None
    loss: Loss | None = None
    datamodule: Section | None = None
    model: Section | None = None
    encoder: Section | None = None
    optimizer: Section | None = None
    scheduler: Section | None = None
    trainer: Section | None = None
    callbacks: dict[str, Section | None] | None = None
    logger: dict[str, Section | None] | None = None


class Intervals(Settings):
    """Intervals by bootstrap."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
    resamples: Positive


class CandidateSet(Settings):
    """What each question is ranked against."""

    files: list[Literal["train", "validation", "test", "corpus"]] | None
    groups: File | None


class Evaluate(Settings):
    """`evaluate.py`."""

    name: str
    seed: Seed
    metric: Metric
    intervals: Intervals
    ks: Ks
    ties: Ties
    worst_ranked: WorstRanked
    paths: Paths
    data: Data
    candidate_set: CandidateSet
    preprocessor: Section
    vectors: Section | None = None
    encoder: Section | None = None
    ranker: Section | None = None


class Leaderboard(Evaluate):
    """`scripts/leaderboard.py`."""

    rankers: Annotated[list[Any], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1), _that(_are_different, "must be different seeds")]
    columns: list[str]
    resamples: Positive
    speed_texts: Positive
    plot: bool


class ScriptPaths(Settings):
    """Where a script reads from and writes to; it has no run folder."""

    cache_dir: PathText
    runs_dir: PathText
    run_dir: Any


class BenchmarkSize(Settings):
    """How large benchmarks are."""

    rows: Positive
    validation_rows: Positive
    candidates: Positive
    pool: Positive
    vocabulary: Positive
    dim: Positive
    batch_size: Positive
    steps: Positive
    plain_steps: Positive
    scored_rows: Positive
    texts: Positive
    words: Positive
    rounds: Positive


BenchmarkName = Literal["train", "evaluate", "prepare", "encode", "trigram", "startup"]


class Benchmark(Settings):
    """`scripts/benchmark.py`."""

    size: BenchmarkSize
    paths: ScriptPaths
    benchmarks: Annotated[
        list[BenchmarkName],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        Field(min_length=1),
    ]
    yardsticks: Folder | None
    peer_python: File | None
    out: PathText


def _is_size(size: list[Any]) -> bool:
    numbers = [item for item in size[:4] if type(item) is int and item > 0]
    return len(numbers) == 4 and size[4:] in ([], ["rowwise_adagrad"], ["rowwise_adagrad_full"], ["adam"])


TrainingSize = Annotated[
    list[Any], _that(_is_size, "must be vocabulary, dim, batch_size, devices, and the name of an optimizer")
]


class Sizing(Settings):
    """`scripts/sizing.py`."""

    paths: ScriptPaths
    sizes: list[TrainingSize]
    measure: bool
    steps: Positive
    tokens_a_pair: AboveZero
    rare_words_a_pair: AboveZero
    rows: Positive
    out: PathText


class MakeSample(Settings):
    """`scripts/make_sample.py`."""

    out: Annotated[PathText, _that(lambda path: not Path(path).is_file(), "this is a file; name a folder")]
    seed: Seed
    rows: Positive | None
    validation_rows: Positive
    candidates: Positive
    pool: Positive
    vocabulary: Positive


class Analogy(Settings):
    """Words whose vectors are added, and words whose vectors are taken away."""

    positive: list[Any]
    negative: list[Any]
    count: Positive


class MostSimilar(Settings):
    """A word, and those among which the nearest is sought."""

    word: Any
    among: list[Any]


class InspectVectors(Settings):
    """`scripts/inspect_vectors.py`. A word may be one that YAML reads as a number."""

    paths: ScriptPaths
    vectors: Section
    known_words: list[Any]
    analogy: Analogy
    odd_one_out: list[Any]
    most_similar: MostSimilar


COMMANDS: dict[str, type[Settings]] = {
    "train": Train,
    "evaluate": Evaluate,
    "leaderboard": Leaderboard,
    "benchmark": Benchmark,
    "sizing": Sizing,
    "make_sample": MakeSample,
    "inspect_vectors": InspectVectors,
}
