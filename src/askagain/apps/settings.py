"""The settings of every command: the type and range of each key of a config.

A key stands in `KINDS` by its name. Where the same name means several things, its section, its command or the class or
function that takes it comes first: `data.split`, `make_sample.out`, `Adam.eps`. A key of another package's class
is checked only where it stands here in that way. Nothing here imports PyTorch: a mistake is answered at once.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from askagain.apps.command_line import CONFIGS
from askagain.errors import InputError
from askagain.models.named import NAME as NAMED
from askagain.models.named import located
from askagain.text.features import FeatureSettings
from askagain.text.preprocessor import TextPreprocessor

COMMANDS = (
    "train",
    "evaluate",
    "leaderboard",
    "learning_curves",
    "benchmark",
    "sizing",
    "make_sample",
    "inspect_vectors",
)


def that(holds: Callable[[Any], object], wanted: str) -> AfterValidator:
    """A check of a single value; `wanted` says in the message what it should have been."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(wanted)
        return value

    return AfterValidator(check)


def _not_here(instead: str) -> Any:
    """The kind of a setting that would have no effect."""
    return Annotated[Any, that(lambda value: False, instead)]


def _is_checkpoint(path: str) -> bool:
    return path == "last" or Path(path).exists()


def _encoder_path(path: str) -> str:
    try:
        is_there = located(path).exists()
    except InputError as error:  # of a name; the key and the value stand before the message already
        raise ValueError(str(error).removeprefix(f"{path}: ")) from error
    if not is_there:
        raise ValueError(ENCODER)
    return path


def _may_name_encoder(name: str) -> bool:
    return NAMED.fullmatch(name) is not None


def _is_name(name: str) -> bool:
    """Whether a run folder can end in this, with a slash for a folder within."""
    return not {"", ".", ".."} & set(name.split("/"))


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _is_size(size: list[Any]) -> bool:
    numbers = [item for item in size[:4] if type(item) is int and item > 0]
    return len(numbers) == 4 and size[4:] in ([], ["rowwise_adagrad"], ["rowwise_adagrad_full"], ["adam"])


def _is_split(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and "_target_" in value)


def _are_different(values: list[Any]) -> bool:
    return len(set(values)) == len(values)


def _are_preprocessors(names: list[str]) -> bool:
    return all((CONFIGS / "preprocessor" / f"{name}.yaml").is_file() for name in names)


def _is_part(value: Any) -> bool:
    """Whether this is a number of batches, or a share of them."""
    return (type(value) is int and value >= 0) or (type(value) is float and 0 <= value <= 1)


def _is_duration(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d+:\d\d:\d\d:\d\d", value.strip()) is not None


FLOAT32 = "encoders are trained and kept in float32; type 32-true, or bf16-mixed for faster matrix products"
NAME = "must be a name such as dssm or quora/dssm, without parts that are empty, . or .."
ENCODER_NAME = "must be up to 64 letters (a to z), digits, - and _, with a letter or digit at both ends"
ENCODER = "no encoder here; give a run folder of train.py, its encoder folder, a .ckpt file, or the name of an encoder"
PREPROCESSORS = "must be names of configs in configs/preprocessor, such as standard"
DURATION = "must be days, hours, minutes and seconds, such as 00:12:00:00 for 12 hours"
PART = "must be a number of batches, or a share of them from 0.0 to 1.0"
SIZE = "must be [vocabulary, dim, batch_size, devices], and then rowwise_adagrad, rowwise_adagrad_full, adam or nothing"

WholeNumber = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Temperature = Annotated[float, Field(ge=0.0015)]  # the exponential of one over it is still inside of float64
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
AtLeastOne = Field(min_length=1)
Seeds = Annotated[list[Seed], AtLeastOne, that(_are_different, "must be different seeds")]
Part = Annotated[Any, that(_is_part, PART)]
SomePart = Annotated[Any, that(lambda value: _is_part(value) and value > 0, f"{PART}, above 0")]
Tags = list[Annotated[str, Field(min_length=1, max_length=64)]]  # W&B takes no others
Project = Annotated[
    str,
    Field(max_length=128),
    that(lambda name: not set(name) & set("/\\#?%:"), "must have none of the characters / \\ # ? % :"),
]
Two = Field(min_length=2, max_length=2)
Texts = Annotated[Any, that(_are_texts, "must be text or a list of texts")]
# YAML reads a folder called 2020 as a number.
PathText = Annotated[
    str, that(bool, "must not be empty"), BeforeValidator(lambda value: str(value) if type(value) is int else value)
]
RunName = Annotated[str, that(_is_name, NAME)]
Precision = Annotated[Any, that(lambda value: str(value) not in ("64", "64-true", "bf16-true", "16-true"), FLOAT32)]
Folder = Annotated[PathText, that(lambda path: Path(path).is_dir(), "no such folder")]
File = Annotated[PathText, that(lambda path: Path(path).is_file(), "no such file (a regular file is needed)")]
NewFolder = Annotated[PathText, that(lambda path: not Path(path).is_file(), "this is a file; name a folder")]
EncoderPath = Annotated[PathText, AfterValidator(_encoder_path)]
Checkpoint = Annotated[PathText, that(_is_checkpoint, "no checkpoint there; give a run folder or a .ckpt file")]
WordChoice = Literal["top", "evaluation", "all"]
Resamples = Annotated[int, Field(ge=1, le=1_000_000)]  # whose means are held in memory
Benchmark = Literal[
    "train",
    "evaluate",
    "prepare",
    "encode",
    "trigram",
    "convert",
    "startup",
    "search",
    "duplicates",
    "load",
    "to_quality",
]

NAMES_BY_KIND: list[tuple[Any, str]] = [
    (bool, "by_idf clean distilled fold_marks join_groups keeps_features split_unspaced"),
    (bool, "count_unlabelled gather learn_temperature lowercase mask_same_group measure plot report sublinear test"),
    (bool | None, "print_config resident"),
    (str, "dataset_name kind monitor name optimized_metric package prefix"),
    (str | None, "device pattern prompt revision"),
    (PathText, "folder out path run_dir SentenceTransformerTeacher.model"),
    (NewFolder, "cache_dir make_sample.out runs_dir"),
    (Resamples, "resamples"),
    (Annotated[str, that(_may_name_encoder, ENCODER_NAME)] | None, "save_as"),
    (RunName, "evaluate.name leaderboard.name learning_curves.name train.name"),
    (
        File | None,
        "candidate_set.groups corpus_path peer_python quality.peer_tokenizer questions_path test_path train_path "
        "validation_groups validation_path",
    ),
    (Folder | None, "data.dir quality.corpus searched_corpus"),
    (list[str], "columns imports protected_terms"),
    (Annotated[list[str], AtLeastOne, that(_are_different, "must be different names")], "data.fields"),
    (dict[str, Positive], "field_words"),
    (dict[str, AboveZero], "field_weights"),
    (Tags, "tags wandb_logger.tags"),
    (list[Any], "known_words negative"),
    (Annotated[list[Any], AtLeastOne], "among methods positive rankers"),
    (Seed, "seed validation_seed"),
    (WholeNumber, "per_text"),
    (Positive, "batch_size candidates count dim every_n_epochs first_epoch min_count min_word_length neighbours pool"),
    (Positive, "dump_megabytes plain_steps questions rounds rows scored_rows searched_texts speed_texts steps texts"),
    (Positive, "validation_rows vocabulary"),
    (Positive, "compared_texts described_texts listed_words mapped_words nearest_among others report_parts.features"),
    (Positive, "validation_candidates max_texts NearestWords.words size.words"),
    (Positive | None, "checkpoint_every_n_steps every_n_steps limit load_encoder.dim make_sample.rows max_pairs"),
    (Positive | None, "max_pairs_per_group max_trigrams max_words MineHardNegatives.pool ngram_buckets"),
    (Positive, "max_tokens sample_rows"),
    (Positive | None, "worst_ranked.features"),
    (list[Positive], "dims matryoshka_dims ngram_sizes"),
    (Annotated[float, Field(ge=0, le=1)], "leaks_allowed quality.mrr"),
    (Share, "clearly_worse label_smoothing validation_fraction warmup_share"),
    (NotNegative | Literal["auto"], "lr"),
    (NotNegative, "init_std k1 kept matryoshka_weight nt_xent_weight similarity_weight vector_weight weight"),
    (AboveZero, "eps guard rare_words_a_pair tokens_a_pair"),
    (Temperature, "similarity_temperature temperature"),
    (Texts, "characters stopwords"),
    (WordChoice, "choice datamodule.words"),
]
FREE_KEYS = ("field_weights", "field_words")  # sections whose keys are the user's own
KINDS: dict[str, Any] = {name: kind for kind, names in NAMES_BY_KIND for name in names.split()} | {
    "kernels": Literal["auto", "plain", "graphs"],
    "Adam.betas": Annotated[list[Share], Two],
    "Adam.eps": NotNegative,
    "Adam.lr": NotNegative,
    "Adam.weight_decay": NotNegative,
    "AdamW.betas": Annotated[list[Share], Two],
    "AdamW.eps": NotNegative,
    "AdamW.lr": NotNegative,
    "AdamW.weight_decay": NotNegative,
    "StopEarly.check_on_train_epoch_end": bool,
    "StopEarly.min_delta": NotNegative,
    "StopEarly.patience": Positive,
    "Trainer.accumulate_grad_batches": Positive,
    "Trainer.check_val_every_n_epoch": Positive | None,
    "Trainer.deterministic": bool | Literal["warn"] | None,
    "Trainer.fast_dev_run": bool | WholeNumber,
    "Trainer.gradient_clip_algorithm": Literal["norm", "value"] | None,
    "Trainer.gradient_clip_val": NotNegative | None,
    "Trainer.limit_predict_batches": Part | None,
    "Trainer.limit_test_batches": Part | None,
    "Trainer.limit_train_batches": SomePart | None,
    "Trainer.limit_val_batches": Part | None,
    "Trainer.log_every_n_steps": Positive,
    "Trainer.max_epochs": Annotated[int, Field(ge=-1)] | Literal["auto"] | None,
    "Trainer.max_steps": Annotated[int, Field(ge=-1)],
    "Trainer.max_time": Annotated[Any, that(_is_duration, DURATION)] | None,
    "Trainer.min_epochs": Positive | None,
    "Trainer.min_steps": Positive | None,
    "Trainer.num_nodes": Positive,
    "Trainer.num_sanity_val_steps": Annotated[int, Field(ge=-1)],
    "Trainer.overfit_batches": Part,
    "Trainer.precision": Precision,
    "Trainer.strategy": Literal["auto", "ddp", "ddp_spawn", "ddp_fork", "ddp_notebook"],
    "Trainer.val_check_interval": SomePart | None,
    # What train.py gives to the trainer itself.
    "Trainer.callbacks": _not_here("add +callbacks.NAME={_target_: ...} instead"),
    "Trainer.enable_checkpointing": _not_here("type callbacks=none to keep no checkpoint"),
    "Trainer.enable_progress_bar": _not_here("type callbacks.progress_bar=null to show none"),
    "Trainer.logger": _not_here("type logger=csv, or another config of logger, instead"),
    "Trainer.plugins": _not_here("leave it out; train.py has plugins of its own"),
    "b": Annotated[float, Field(ge=0, le=1)],
    "baseline_preprocessors": Annotated[list[str], that(_are_preprocessors, PREPROCESSORS)],
    "benchmarks": Annotated[
        list[Benchmark], BeforeValidator(lambda names: [names] if isinstance(names, str) else names), AtLeastOne
    ],
    "bins": Annotated[int, Field(ge=1, le=512)],  # W&B accepts no more
    "ckpt_path": Checkpoint | None,
    "confidence": Annotated[float, Field(gt=0, lt=1)],
    "DuplicatesDataModule.batch_size": Positive | Literal["auto"],
    "data.batch_size": Positive | Literal["auto"],
    "data.sample": dict[str, Any] | None,
    "data.further_texts": list[Annotated[PathText, that(lambda path: Path(path).is_file(), "must be a file")]],
    "data.made_texts": WholeNumber | Literal["auto"],
    "data.teacher_words": bool | Literal["auto"],
    "DistillationDataModule.made_texts": WholeNumber | Literal["auto"],
    "DistillationDataModule.teacher_words": bool | Literal["auto"],
    "data.split": Literal["validation", "test"],
    "decay": Literal["none", "linear", "cosine"],
    "draws": Seeds,
    "feature_weights": Literal["none", "idf", "learned"],
    "init_lengths": Literal["equal", "idf"],
    "files": list[Literal["train", "validation", "test", "corpus"]] | None,
    "format": Literal["auto", "word2vec_text", "word2vec_binary", "glove", "gensim"],
    "from_built.dim": Positive | None,
    "from_built.name": Annotated[str, that(_may_name_encoder, ENCODER_NAME)],
    "from_encoder.path": EncoderPath,
    "ks": Annotated[list[Positive], AtLeastOne],
    "learning_curves.groups": list[Positive],
    "learning_curves.unlabelled": list[Positive],
    "letters": Annotated[list[Positive], Two] | None,
    "load_encoder.path": EncoderPath,
    "min_pair_count": Positive | Literal["auto"],
    "mode": Literal["max", "min"],
    "most_similar.word": Any,
    "odd_one_out": Annotated[list[Any], Field(min_length=3)],
    "on_bad_row": Literal["error", "skip"],
    "pairs": Literal["first_two", "star", "all", "random"],
    "pooling": Literal["sum", "mean"],
    "TextPreprocessor.split": Annotated[Any, that(_is_split, "must be text, or a section with a _target_")],
    "second_moment": Literal["row", "full"],
    "seeds": Seeds,
    "sizes": list[Annotated[list[Any], that(_is_size, SIZE)]],
    "teacher_dtype": Literal["float16", "float32"],
    "ties": Literal["expected", "optimistic", "pessimistic"],
    "vector_file.path": File,
    "wandb_logger.project": Project | None,
}

Section = Mapping[str, Any]


def _one_corpus(data: Section) -> None:
    if data["sample"] is not None and data["dir"] is not None:
        raise ValueError(f"dir={data['dir']} needs data=tsv beside it; data=sample is the synthetic sample")


def _counted_or_hashed(words: Section) -> None:
    if words["max_trigrams"] is not None and words["ngram_buckets"] is not None:
        raise ValueError(f"max_trigrams={words['max_trigrams']}: must be null with features.ngram_buckets")


def _shortest_first(ranker: Section) -> None:
    letters = ranker["letters"]
    if letters is not None and letters[0] > letters[1]:
        raise ValueError(f"letters={letters}: must be the shortest and the longest n-gram, such as [3,5]")


def _can_be_learned(loss: Section) -> None:
    if loss["learn_temperature"] and loss["temperature"] < 0.025:  # below it float32 would not do
        raise ValueError(f"temperature={loss['temperature']}: must be at least 0.025 with learn_temperature")


def _has_a_weight(loss: Section) -> None:
    if not loss["vector_weight"] and not loss["similarity_weight"]:
        raise ValueError("vector_weight=0: must be above 0 where similarity_weight is 0")
    if loss["nt_xent"].get("learn_temperature") and not loss["nt_xent_weight"]:
        raise ValueError("nt_xent_weight=0: must be above 0 with nt_xent.learn_temperature")


def _ends(trainer: Section) -> None:
    if trainer.get("max_epochs") == trainer.get("max_steps") == -1:
        raise ValueError("max_epochs=-1: training would never end; set it, or trainer.max_steps, to a number")


def _builds_a_preprocessor(preprocessor: Section) -> None:
    own = {"split": "whitespace"} if isinstance(preprocessor["split"], dict) else {}  # its class is not imported here
    TextPreprocessor(**preprocessor | own)  # type: ignore[operator]


# Checks of values that have to go together; a message begins with the key to turn.
CHECKS: dict[str, Callable[[Any], object]] = {
    "Bm25": _shortest_first,
    "DistillationLoss": _has_a_weight,
    "FeatureSettings": lambda features: FeatureSettings(**{k: v for k, v in features.items() if v != "auto"}),
    "NTXentLoss": _can_be_learned,
    "ReferenceNTXentLoss": _can_be_learned,
    "TextPreprocessor": _builds_a_preprocessor,
    "TfIdf": _shortest_first,
    "Trainer": _ends,
    "WordVectorsDataModule": _counted_or_hashed,
    "data": _one_corpus,
}
