"""What the settings of a command may be, and what a mistake in them is answered by."""

import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import read_write
from pytorch_lightning import Trainer

import askagain.apps.command  # noqa: F401  what a command knows before it reads its configs
from askagain.apps.checks import check_before_run, check_before_sweep
from askagain.apps.settings import KINDS
from askagain.errors import InputError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def config(command: str, *words: str):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(command, list(words), return_hydra_config=True)


def refusal(command: str, *words: str) -> str:
    with pytest.raises(InputError) as refused:
        check_before_run(config(command, *words))
    return str(refused.value)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        *(("train", (f"experiment={name}",)) for name in ("dssm", "distill", "trigram", "word_vectors")),
        ("train", ("callbacks=early_stopping", "logger=many", "optimizer=adam", "start=word_vectors")),
        (
            "train",
            ("+trainer.max_time='00:12:00:00'", "name=exp/a", "trainer.precision=bf16-mixed", "ks=[1,10000000000]"),
        ),
        ("train", ("+trainer.profiler=simple", "+callbacks.mine={_target_: my.Callback, size: 3}")),
        ("train", ("model.dim=8", "optimizer.lr=1", "optimizer.eps=1", "data.max_pairs_per_group=null")),
        *(("evaluate", (f"ranker={name}",)) for name in ("bm25", "tfidf", "tfidf_letters")),
        *(("evaluate", (f"encoder={name}",)) for name in ("random", "word_vectors")),
        ("leaderboard", ()),
        ("learning_curves", ()),
        ("leaderboard", ("board=ablation_distill", "seeds=[0,1]")),
        ("benchmark", ("size=full",)),
        ("benchmark", ("benchmarks=train",)),
        ("sizing", ()),
        ("make_sample", ("out=2020",)),
        ("inspect_vectors", ("vectors=gensim_data",)),
    ],
)
def test_configs_are_in_order(command, words):
    check_before_run(config(command, *words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("+trainer.max_time=abc",), "trainer.max_time=abc: must be days, hours, minutes and seconds, such as"),
        (("+trainer.max_time=12:00:00",), "must be days, hours, minutes and seconds, such as"),
        (("data.batch_size=0",), "data.batch_size=0: must be at least 1"),
        (("data.batch_size=aut",), "data.batch_size=aut: must be a whole number, or 'auto'"),
        (("data.batch_size=true",), "data.batch_size=true: must be a whole number"),
        (("data.batch_size=null",), "data.batch_size=null: must be a whole number"),
        (("datamodule.batch_size=0",), "datamodule.batch_size=0: must be at least 1"),
        (("loss=matryoshka", "loss.dims=[8,0]"), "loss.dims=[8, 0]: each must be at least 1"),
        (("loss=matryoshka", "loss.dims=8"), "loss.dims=8: must be a list"),
        (("loss.mask_same_group=1",), "loss.mask_same_group=1: must be true or false"),
        (("loss.label_smoothing=1",), "loss.label_smoothing=1: must be below 1"),
        (("loss.eps=0",), "loss.eps=0: must be above 0"),
        (("model.init_std=-1",), "model.init_std=-1: must be at least 0"),
        (("model.pooling=max",), "model.pooling=max: must be 'sum' or 'mean'"),
        (("loss.learn_temperature=true", "loss.temperature=0.01"), "loss.temperature=0.01: must be at least 0.025"),
        (("loss=reference", "loss.temperature=0"), "loss.temperature=0: must be at least 0.0015"),
        (("loss=matryoshka", "loss.loss.temperature=0"), "loss.loss.temperature=0: must be at least 0.0015"),
        (("loss=matryoshka", "loss.weight=-1"), "loss.weight=-1: must be at least 0"),
        (("optimizer.lr=true",), "optimizer.lr=true: must be a number"),
        (("optimizer.lr=inf",), "optimizer.lr=inf: must be a finite number"),
        (("optimizer.lr=nan",), "optimizer.lr=nan: must be a finite number"),
        (("optimizer.lr=-1",), "optimizer.lr=-1: must be at least 0"),
        (("optimizer.eps=0",), "optimizer.eps=0: must be above 0"),
        (("optimizer.second_moment=no",), "optimizer.second_moment=no: must be 'row' or 'full'"),
        (("optimizer=adam", "optimizer.betas=[0.9]"), "optimizer.betas=[0.9]: must have 2 or more entries"),
        (("scheduler.decay=sine",), "scheduler.decay=sine: must be 'none', 'linear' or 'cosine'"),
        (("scheduler.warmup_share=1",), "scheduler.warmup_share=1: must be below 1"),
        (("callbacks.hard_negatives.per_text=-1",), "callbacks.hard_negatives.per_text=-1: must be at least 0"),
        (("callbacks.hard_negatives.guard=0",), "callbacks.hard_negatives.guard=0: must be above 0"),
        (("callbacks.norm_histograms.bins=513",), "callbacks.norm_histograms.bins=513: must be at most 512"),
        (("checkpoint_every_n_steps=0",), "checkpoint_every_n_steps=0: must be at least 1"),
        (("data.validation_fraction=1",), "data.validation_fraction=1: must be below 1"),
        (("data.max_pairs_per_group=0",), "data.max_pairs_per_group=0: must be at least 1"),
        (("data.sample=3",), "data.sample=3: must be a section"),
        (("data.sample={seed: true}",), "data.sample.seed=true: must be a whole number"),
        (("data.dir=.",), "data.dir=. needs data=tsv beside it; data=sample is the synthetic sample"),
        (("features.min_count=0",), "features.min_count=0: must be at least 1"),
        (("features.kind=letters",), "features.kind=letters: not one of words, trigrams"),
        (("preprocessor.characters=[ab]",), "preprocessor.characters: 'ab' is not one character"),
        (("preprocessor.characters=3",), "preprocessor.characters=3: must be text or a list of texts"),
        (("preprocessor.split=regex",), "preprocessor.split=regex needs a pattern"),
        (("experiment=word_vectors", "debug=fdr"), "trainer: this experiment trains nothing; leave debug= and"),
        (("ks=[]",), "ks=[]: must have 1 or more entries"),
        (("ks=[0,5]",), "ks=[0, 5]: each must be at least 1"),
        (("ks=[1.5]",), "ks=[1.5]: each must be a whole number"),
        (("worst_ranked.rows=0",), "worst_ranked.rows=0: must be at least 1"),
        (("metric.name=3",), "metric.name=3: must be text"),
        (("tags=dev",), "tags=dev: must be a list"),
        (("seed=4294967296",), "seed=4294967296: must be at most 4294967295"),
        (("trainer.strategy=fsdp",), "trainer.strategy=fsdp: must be 'auto', 'ddp'"),
        *((("name=" + name,), f"name={name}: must be a name such as") for name in ("", "..", "../../x", "/x", "a//b")),
        *(
            ((f"trainer.precision={kind}",), f"trainer.precision={kind}: encoders are")
            for kind in ("64-true", "bf16-true", "16-true", "64")
        ),
        (("+trainer.logger=true",), "trainer.logger=true: type logger=csv, or another config of logger, instead"),
        (("+trainer.callbacks=[]",), "trainer.callbacks=[]: add +callbacks.NAME={_target_: ...} instead"),
        (("+trainer.plugins=[x]",), "trainer.plugins=['x']: leave it out"),
        (("+trainer.enable_checkpointing=false",), "trainer.enable_checkpointing=false: type callbacks=none"),
        (("+trainer.enable_progress_bar=false",), "type callbacks.progress_bar=null"),
        (("paths.cache_dir=",), "paths.cache_dir=: must not be empty"),
        ((f"paths.cache_dir={__file__}",), f"paths.cache_dir={__file__}: this is a file; name a folder"),
        (("ckpt_path=",), "ckpt_path=: must not be empty"),
        (("comparison.resamples=3000000000",), "comparison.resamples=3000000000: must be at most 1000000"),
        (("+model.dmi=3",), "model.dmi: no such setting; did you mean dim?"),
        (("+features.limit=3",), "got an unexpected keyword argument 'limit'"),
        (("+sede=3",), "sede: no such setting; did you mean seed?"),
        (("+callbacks.mine={_target_: my.Callback, size: inf}",), "callbacks.mine.size=inf: must be a finite"),
        (("callbacks.hard_negatives.first_epoch=0",), "callbacks.hard_negatives.first_epoch=0: must be at least 1"),
        (
            ("callbacks.hard_negatives.every_n_epochs=0",),
            "callbacks.hard_negatives.every_n_epochs=0: must be at least 1",
        ),
        (("callbacks.hard_negatives.pool=0",), "callbacks.hard_negatives.pool=0: must be at least 1"),
        (("callbacks.norm_histograms.bins=0",), "callbacks.norm_histograms.bins=0: must be at least 1"),
        (("data.pairs=some",), "data.pairs=some: must be 'first_two', 'star', 'all' or 'random'"),
        (("data.on_bad_row=ignore",), "data.on_bad_row=ignore: must be 'error' or 'skip'"),
        (("data.validation_fraction=1.0",), "data.validation_fraction=1.0: must be below 1"),
        (("experiment=trigram", "words.choice=some"), "words.choice=some: must be 'top', 'evaluation' or 'all'"),
        (("experiment=trigram", "words.limit=0"), "words.limit=0: must be at least 1"),
        (
            ("experiment=trigram", "words.max_trigrams=5", "features.ngram_buckets=9"),
            "words.max_trigrams=5: must be null with features.ngram_buckets",
        ),
        (("experiment=distill", "loss.nt_xent_weight=-1"), "loss.nt_xent_weight=-1: must be at least 0"),
        (
            ("experiment=distill", "loss.vector_weight=0", "loss.similarity_weight=0"),
            "loss.vector_weight=0: must be above 0 where similarity_weight is 0",
        ),
        (
            ("experiment=distill", "loss.nt_xent.learn_temperature=true", "loss.nt_xent_weight=0"),
            "loss.nt_xent_weight=0: must be above 0 with nt_xent.learn_temperature",
        ),
        (("experiment=distill", "loss.similarity_temperature=0"), "loss.similarity_temperature=0: must be at least"),
        (("experiment=distill", "loss.nt_xent.eps=0"), "loss.nt_xent.eps=0: must be above 0"),
        (("experiment=distill", "datamodule.teacher_dtype=int8"), "datamodule.teacher_dtype=int8: must be 'float16'"),
        (("experiment=distill", "teacher.batch_size=0"), "teacher.batch_size=0: must be at least 1"),
    ],
)
def test_a_mistake_in_a_setting_of_train_is_named_as_it_was_typed(words, message):
    assert message in refusal("train", *words)


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        ("evaluate", ("ranker=bm25", "ranker.b=2"), "ranker.b=2: must be at most 1"),
        (
            "evaluate",
            ("ranker=tfidf_letters", "ranker.letters=[5,3]"),
            "ranker.letters=[5, 3]: must be the shortest and",
        ),
        ("evaluate", ("ranker=tfidf_letters", "ranker.letters=[3]"), "ranker.letters=[3]: must have 2 or more entries"),
        ("evaluate", ("encoder.path=.", "encoder.dim=0"), "encoder.dim=0: must be at least 1"),
        ("evaluate", ("ranker=bm25", "intervals.resamples=0"), "intervals.resamples=0: must be at least 1"),
        ("evaluate", ("ranker=bm25", "candidate_set.groups=nowhere"), "candidate_set.groups=nowhere: no such file"),
        ("leaderboard", ("seeds=[0,0]",), "seeds=[0, 0]: must be different seeds"),
        ("leaderboard", ("seeds=[-1]",), "seeds=[-1]: each must be at least 0"),
        ("leaderboard", ("rankers=[]",), "rankers=[]: must have 1 or more entries"),
        ("learning_curves", ("unlabelled=[10.5]",), "unlabelled=[10.5]: each must be a whole number"),
        ("learning_curves", ("draws=[0,0]",), "draws=[0, 0]: must be different seeds"),
        ("learning_curves", ("methods=[]",), "methods=[]: must have 1 or more entries"),
        ("benchmark", ("benchmarks=[trian]",), "benchmarks=['trian']: each must be 'train'"),
        ("benchmark", ("size.rows=0",), "size.rows=0: must be at least 1"),
        ("benchmark", ("peer_python=nowhere",), "peer_python=nowhere: no such file"),
        (
            "evaluate",
            ("encoder=sentence_transformers", "encoder.path=x", "encoder.batch_size=0"),
            "encoder.batch_size=0",
        ),
        ("sizing", ("sizes=[[10,10,10,1,sgd]]",), "must be [vocabulary, dim, batch_size, devices], and then rowwise"),
        ("sizing", ("sizes=[[1,2,3]]",), "must be [vocabulary, dim, batch_size, devices]"),
        ("evaluate", ("ranker=bm25", "name=.."), "name=..: must be a name such as"),
        ("evaluate", ("encoder.path=",), "encoder.path=: must not be empty"),
        ("make_sample", ("out=a", "rows=many"), "rows=many: must be a whole number"),
        ("make_sample", ("out=a", "rows=0"), "rows=0: must be at least 1"),
        ("make_sample", ("out=a", "validation_rows=0"), "validation_rows=0: must be at least 1"),
        ("make_sample", ("out=a", "candidates=-1"), "candidates=-1: must be at least 1"),
        ("make_sample", ("out=a", "seed=-1"), "seed=-1: must be at least 0"),
        ("make_sample", (f"out={__file__}",), "this is a file; name a folder"),
        ("make_sample", (), "out is missing: type out=..."),
        ("inspect_vectors", ("analogy.count=0",), "analogy.count=0: must be at least 1"),
        ("inspect_vectors", ("vectors=gensim_data", "vectors.limit=0"), "vectors.limit=0: must be at least 1"),
    ],
)
def test_a_mistake_in_a_setting_of_another_command_is_named(command, words, message):
    assert message in refusal(command, *words)


@pytest.mark.parametrize(
    ("swept", "words", "message"),
    [
        (["data.dir=/nowhere,/elsewhere"], ["data=tsv"], None),
        (["experiment=dssm,distill"], ["model.dim=none"], None),
        (["seed=0,1"], ["data.dir=."], None),  # two values that may go together in each of the runs
        (["seed=0,1"], ["model.dim=none"], "model.dim=none: must be a whole number"),
        (["seed=0,1"], ["+callbacks.mine={_target_: my.Callback, folder: '${paths.run_dir}'}"], None),
        (["seed=0,1"], ["data=tsv"], "data.dir is missing: type data.dir=..."),
        ([], ["hparams_search=dssm_grid", "ks=[0]"], "ks=[0]: each must be at least 1"),
    ],
)
def test_a_sweep_is_checked_but_for_what_is_swept(swept, words, message):
    cfg = config("train", *words)
    with read_write(cfg.hydra):
        cfg.hydra.overrides.task += swept
    if message is None:
        check_before_sweep(cfg)
    else:
        with pytest.raises(InputError, match=re.escape(message)):
            check_before_sweep(cfg)


def keys_of(values) -> set[str]:
    """All keys of a config and its sections."""
    return set(values).union(*(keys_of(value) for value in values.values() if isinstance(value, dict)))


def test_every_setting_that_has_a_type_is_one_of_a_config():
    written = set().union(*(keys_of(yaml.safe_load(path.read_text()) or {}) for path in CONFIGS.rglob("*.yaml")))
    optional = {"prompt", "revision", *signature(Trainer).parameters}  # that no config sets
    assert {name.rpartition(".")[2] for name in KINDS} - written <= optional


def test_the_settings_import_no_heavy_package():
    check = "import sys, askagain.apps.command, askagain.apps.settings; print(sorted(set(sys.argv) & set(sys.modules)))"
    names = ["torch", "pytorch_lightning", "polars", "gensim", "scipy", "sklearn"]
    shown = subprocess.run([sys.executable, "-c", check, *names], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


ENCODER_KEYS = [
    ("evaluate", (), "encoder.path"),
    ("evaluate", ("ranker=hybrid",), "ranker.encoder.path"),
    ("train", ("start=encoder",), "start.path"),
]


@pytest.mark.parametrize(("command", "words", "key"), ENCODER_KEYS)
def test_the_name_of_an_encoder_stands_for_its_path(tmp_path, monkeypatch, command, words, key):
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path))
    message = refusal(command, *words, f"{key}=mine")
    assert message.startswith(f"{key}=mine: no encoder here, none in {tmp_path}/encoders/mine, and no package ")
    (tmp_path / "encoders" / "mine").mkdir(parents=True)
    check_before_run(config(command, *words, f"{key}=mine"))
