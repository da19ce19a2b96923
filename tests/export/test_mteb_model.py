"""MTEB evaluates an encoder on a task whose texts are at hand."""

import numpy as np
import pytest

from askagain.errors import InputError

mteb = pytest.importorskip("mteb")

QUERIES = {"q0": "mount disk", "q1": "install driver"}
DOCUMENTS = {"d0": "mount the disk now", "d1": "wifi boot", "d2": "install a driver", "d3": "kernel update"}
RELEVANT = {"q0": {"d0": 1}, "q1": {"d2": 1}}


def local_task():
    """A reranking task that asks no hub for anything."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class LocalReranking(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="LocalReranking",
            description="Duplicates among other questions.",
            dataset={"path": "local/none", "revision": "1"},
            type="Reranking",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="map_at_1000",
        )

        def load_data(self, **_settings):
            self.dataset = {
                "default": {
                    "test": {
                        "queries": Dataset.from_list([{"id": key, "text": text} for key, text in QUERIES.items()]),
                        "corpus": Dataset.from_list(
                            [{"id": key, "title": "", "text": text} for key, text in DOCUMENTS.items()]
                        ),
                        "relevant_docs": RELEVANT,
                        "top_ranked": {query: list(DOCUMENTS) for query in QUERIES},
                    }
                }
            }
            self.data_loaded = True

    return LocalReranking()


def test_mteb_gives_the_map_that_the_encoder_has(make, tmp_path):
    from askagain.export.mteb_model import MtebModel

    make().save(tmp_path / "run" / "encoder")
    model = MtebModel(tmp_path / "run", training_datasets=["AskUbuntuDupQuestions"])
    meta = model.mteb_model_meta
    assert (meta.name, meta.embed_dim, meta.training_datasets) == ("askagain/run", 24, {"AskUbuntuDupQuestions"})
    result = mteb.evaluate(model, tasks=[local_task()], cache=None, co2_tracker=False, show_progress_bar=False)
    scores = result.task_results[0].scores["test"][0]
    assert scores["main_score"] == scores["map_at_1000"] == 1


def test_it_encodes_batches_as_the_encoder_does(make, tmp_path):
    from askagain.export.mteb_model import MtebModel

    encoder = make()
    encoder.save(tmp_path / "encoder")
    texts = [*QUERIES.values(), *DOCUMENTS.values()]
    vectors = MtebModel(tmp_path / "encoder", name="mine/first", revision="2").encode(
        [{"text": texts[:4]}, {"text": texts[4:]}], task_metadata=None, hf_split="test", hf_subset="default"
    )
    assert np.array_equal(vectors, encoder.encode(texts))


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    from askagain.export.mteb_model import MtebModel

    with pytest.raises(InputError, match="no encoder here"):
        MtebModel(tmp_path)
