"""Variants of an encoder that are evaluated beside it: on raw text, and without predicted vectors."""

from dataclasses import dataclass

from omegaconf import DictConfig

from askagain.apps.build import build
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer


@dataclass(frozen=True)
class Variant:
    """An encoder with the `prefix` of its metrics in metrics.json and the `heading` of its column in the table."""

    prefix: str
    heading: str
    encoder: BagEncoder


def variants(cfg: DictConfig, encoder: BagEncoder) -> list[Variant]:
    """The variants of an encoder.

    Where `cfg.raw` has another preprocessor, the encoder with it; and where the encoder predicts the vectors of unknown
    words, all of these with known words alone.
    """
    raw = []
    if cfg.get("raw") is not None:
        raw.append(Variant("raw/", "raw", encoder.with_preprocessor(build(cfg, "raw"))))
    if encoder.features.kind != "words_else_trigrams" or encoder.is_folded:
        return raw
    return [*map(_with_known_words_alone, raw), *raw, _with_known_words_alone(Variant("", "", encoder))]


def _with_known_words_alone(variant: Variant) -> Variant:
    encoder = variant.encoder
    features = Features("words", encoder.features.vocabulary, NgramTokenizer())
    table = encoder.table.rows[: features.size]
    alone = BagEncoder(encoder.preprocessor, features, table, encoder.pooling, encoder.normalize)
    heading = ", ".join(part for part in (variant.heading, "known words") if part)
    return Variant(f"{variant.prefix}known_words/", heading, alone)
