"""An encoder is loaded and used without what only training needs."""

import subprocess
import sys

import numpy as np

import askagain
from askagain.models.bag_encoder import BagEncoder
from askagain.text.features import Features
from askagain.text.ngrams import NgramTokenizer
from askagain.text.preprocessor import TextPreprocessor
from askagain.text.vocabulary import WordVocabulary
from tests.reporting.conftest import record  # noqa: F401

NOT_NEEDED = [
    "gensim", "hydra", "lightning_fabric", "lxml", "nltk", "omegaconf", "polars", "pydantic", "pytorch_lightning",
    "requests", "sklearn", "tensorboard", "torch", "tqdm", "wandb",
]  # fmt: skip
PROGRAM = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {NOT_NEEDED}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Missing())
import numpy as np
import askagain
encoder = askagain.load(sys.argv[1], memory_map=sys.argv[3] == "map")
texts = ["How to mount a disk?", "mount usb", "unheard", ""] * 3000
vectors = encoder.encode(texts, show_progress=True)
encoder.similarity(texts[:2], texts[2:4]), encoder.rank(texts[0], texts[1:4]), encoder.explain(texts[0], texts[1])
encoder.save(sys.argv[2], dtype="float16")
np.save(sys.argv[2] + ".npy", vectors)
askagain.load(sys.argv[2]).encode(texts[:1])
"""

EXPORT = (
    PROGRAM.split("import numpy as np")[0]
    + """
from askagain.cli.main import main
main()
"""
)


def test_an_encoder_folder_is_exported_without_what_training_needs(tmp_path):
    features = Features("words", WordVocabulary(["mount", "disk"]), NgramTokenizer())
    BagEncoder(TextPreprocessor(), features, np.eye(2, dtype=np.float32)).save(tmp_path / "encoder")
    words = [
        "export",
        str(tmp_path / "encoder"),
        "--format",
        "askagain",
        "--dtype",
        "int8",
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run([sys.executable, "-c", EXPORT, *words], capture_output=True, text=True)
    assert done.returncode == 0 and askagain.load(tmp_path / "out").table.dtype == "int8", done.stderr
    wheel = [*words[:2], "--format", "wheel", "--name", "small", "-o", str(tmp_path / "wheel")]
    done = subprocess.run([sys.executable, "-c", EXPORT, *wheel], capture_output=True, text=True)
    assert done.returncode == 0 and list((tmp_path / "wheel").glob("*.whl")), done.stderr
    (tmp_path / "validation.tsv").write_text("a\tb\tc\n")
    more = [*words, "--overwrite", "--data", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", EXPORT, *more], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install -e '.[data]'" in done.stderr


def test_an_encoder_is_loaded_used_and_saved_without_what_training_needs(tmp_path):
    features = Features(
        "words_trigrams", WordVocabulary(["mount", "disk"]), NgramTokenizer.from_words(["mount", "disk"])
    )
    table = np.random.default_rng(0).standard_normal((features.size, 8)).astype(np.float32)
    encoder = BagEncoder(TextPreprocessor("?"), features, table, normalize=True)
    encoder.save(tmp_path / "encoder")
    expected = encoder.encode(["How to mount a disk?", "mount usb", "unheard", ""] * 3000)
    for how in ("map", "read"):
        copy = str(tmp_path / f"copy_{how}")
        subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "encoder"), copy, how], check=True)
        assert np.array_equal(np.load(copy + ".npy"), expected)
        assert askagain.load(copy).table.dtype == "float16"


def test_runs_are_compared_without_what_training_needs(record, tmp_path):  # noqa: F811
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        record.save(tmp_path / name)
    words = ["report", str(tmp_path / "one"), str(tmp_path / "two"), "-o", str(tmp_path / "both.html")]
    done = subprocess.run([sys.executable, "-c", EXPORT, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "both.html").is_file(), done.stderr
