"""Settings that are `auto` follow the number of pairs, and what is typed stays."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from askagain.apps.choices_by_data import check_further_texts, choose_by_data
from askagain.errors import InputError
from askagain.models.bag_encoder import BagEncoder
from askagain.models.folder import save_named
from askagain.text.bags import Bags, offsets_of
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary


class Groups:
    """What the rule reads of a corpus: groups of two texts each, so that a group is a pair."""

    def __init__(self, groups: int, has_train: bool = True) -> None:
        sizes = np.full(groups, 2)
        self.group_rows = Bags(np.arange(sizes.sum()), offsets_of(sizes))
        self.files = OmegaConf.create({"train": "train.tsv" if has_train else None})


def chosen(groups: int, devices: int = 1, **typed: object) -> tuple[int, int, float]:
    cfg = config(**typed)
    choose_by_data(cfg, Groups(groups), devices)
    return cfg.data.batch_size, cfg.trainer.max_epochs, cfg.optimizer.lr


def config(batch_size: object = "auto", max_epochs: object = "auto", lr: object = "auto"):
    pairs = {"pairs": "random", "max_pairs_per_group": 30}
    return OmegaConf.create(
        {
            "data": {"batch_size": batch_size, "validation_fraction": 0.0, **pairs},
            "datamodule": pairs,
            "trainer": {"max_epochs": max_epochs},
            "optimizer": {"lr": lr},
        }
    )


@pytest.mark.parametrize(
    ("pairs", "batch_size", "epochs", "lr"),
    [
        (1, 32, 20, 0.0004),
        (300, 32, 16, 0.0069),
        (2_600, 256, 15, 0.02),
        (9_600, 512, 9, 0.02),
        (1_000_000, 512, 5, 0.02),
    ],
)
def test_more_pairs_give_larger_batches_fewer_epochs_and_longer_steps(pairs, batch_size, epochs, lr):
    assert chosen(pairs) == (batch_size, epochs, lr)


def test_devices_share_the_batch_so_that_they_train_the_same():
    assert chosen(9_600, devices=2) == (256, 9, 0.02)


def test_typed_values_win_and_epochs_follow_a_typed_batch():
    assert chosen(9_600, batch_size=64, lr=0.1) == (64, 5, 0.1)
    assert chosen(9_600, max_epochs=2) == (512, 2, 0.02)


def test_held_out_groups_are_not_counted():
    cfg = config()
    cfg.data.validation_fraction = 0.5
    choose_by_data(cfg, Groups(600), 1)
    assert (cfg.data.batch_size, cfg.trainer.max_epochs) == (32, 16)


def test_without_pairs_a_value_must_be_typed():
    with pytest.raises(InputError, match=r"^data.batch_size=auto: chosen by the number of pairs"):
        choose_by_data(config(), Groups(10, has_train=False), 1)


class Texts:
    """What the rule reads of a corpus without labels."""

    def __init__(self, texts: int) -> None:
        self.all_texts = range(texts)


def chosen_for_texts(texts: int, devices: int = 1, **typed: object) -> tuple[int, bool, int, int, float]:
    data = {"batch_size": 512, "made_texts": "auto", "teacher_words": "auto"} | typed
    epochs, count, rate = (data.pop(key, "auto") for key in ("max_epochs", "min_pair_count", "lr"))
    cfg = OmegaConf.create(
        {
            "data": data,
            "datamodule": {"made_texts": 0},
            "trainer": {"max_epochs": epochs},
            "features": {"min_pair_count": count},
            "optimizer": {"lr": rate},
        }
    )
    choose_by_data(cfg, Texts(texts), devices)
    return (
        *(cfg.data.made_texts, cfg.data.teacher_words, cfg.trainer.max_epochs),
        *(cfg.features.min_pair_count, cfg.optimizer.lr),
    )


@pytest.mark.parametrize(
    ("texts", "made", "words", "epochs", "pair_count", "lr"),
    [
        (100, 2_500, True, 60, 2, 0.05),
        (1_800, 45_000, True, 18, 2, 0.05),
        (20_000, 45_000, False, 13, 1, 0.1),
        (100_000, 45_000, False, 10, 1, 0.1),
        (100_001, 0, False, 10, 1, 0.1),
    ],
)
def test_few_texts_get_made_ones_and_the_teachers_words_beside_them(texts, made, words, epochs, pair_count, lr):
    assert chosen_for_texts(texts) == (made, words, epochs, pair_count, lr)


def test_typed_values_for_a_teacher_win_and_epochs_follow_them():
    assert chosen_for_texts(1_800, made_texts=0, teacher_words=False) == (0, False, 60, 2, 0.05)
    assert chosen_for_texts(45_000, devices=2, made_texts=0) == (0, False, 37, 1, 0.1)
    assert chosen_for_texts(1_800, max_epochs=3, min_pair_count=1, lr=0.2) == (45_000, True, 3, 1, 0.2)


def test_a_batch_of_texts_must_be_typed():
    with pytest.raises(InputError, match=r"^data.batch_size=auto: chosen by the number of pairs"):
        chosen_for_texts(10, batch_size="auto")


def test_only_distillation_chooses_how_often_a_pair_must_occur():
    cfg = config()
    cfg.features = {"min_pair_count": "auto"}
    with pytest.raises(InputError, match=r"^features.min_pair_count=auto: only distillation"):
        choose_by_data(cfg, Groups(10), 1)


def test_texts_of_other_sites_are_refused_where_nothing_would_learn_from_them():
    cfg = config()
    cfg.data.further_texts = ["other.tsv"]
    for datamodule in (cfg.datamodule, None):  # of rung 3, and of rung 1, which has none
        cfg.datamodule = datamodule
        with pytest.raises(InputError, match=r"^data.further_texts: only distillation learns"):
            check_further_texts(cfg)


def test_from_a_built_encoder_that_fits_steps_are_half_as_long(tmp_path, monkeypatch):
    monkeypatch.setenv("ASKAGAIN_HOME", str(tmp_path))
    start = {"_target_": "askagain.training.starts.from_built", "name": "base"}

    def rate(dim: int) -> float:
        cfg = OmegaConf.merge(config(), {"start": start, "model": {"dim": dim}})
        choose_by_data(cfg, Groups(9_600), 1)
        return cfg.optimizer.lr

    assert rate(2) == 0.02  # none was built
    words = Features("words", WordVocabulary(["vim"]), NgramTokenizer())
    save_named(BagEncoder(TextPreprocessor(), words, np.ones((1, 2), dtype=np.float32)), "base")
    assert (rate(2), rate(3)) == (0.01, 0.02)
