"""A model of sentence-transformers that is made in a moment: a tiny BERT with random weights, and its own words."""

from collections.abc import Iterable
from pathlib import Path


def write_tiny_model(folder: Path, texts: Iterable[str]) -> Path:
    """Writes a model folder that knows the words of `texts`; returns it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    splitter = Whitespace()
    words = sorted({word for text in texts for word, _ in splitter.pre_tokenize_str(text)})
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate([*special, *words])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = splitter
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    bert = folder.with_name(f"{folder.name}-bert")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(bert)
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    size |= {"initializer_range": 0.1}  # with the usual 0.02 all texts have nearly the same vector
    config = BertConfig(vocab_size=len(special) + len(words), max_position_embeddings=128, **size)
    BertModel(config).save_pretrained(bert)
    reader = Transformer(str(bert))
    SentenceTransformer(modules=[reader, Pooling(32)], device="cpu").save(str(folder), create_model_card=False)
    return folder
