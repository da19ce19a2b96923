"""MTEB's adapter of servers that speak as OpenAI's evaluates an encoder through the server."""

import numpy as np
import pytest

from askagain.search.index_writer import IndexWriter

mteb = pytest.importorskip("mteb")


def test_mteb_evaluates_the_encoder_through_the_server(serve, tmp_path):
    from mteb.models import OpenAIAPIEncodeWrapper

    from tests.export.conftest import make_encoder
    from tests.export.test_mteb_model import DOCUMENTS, local_task

    encoder = make_encoder()
    IndexWriter.create(tmp_path / "index", encoder, [])
    server = serve(tmp_path / "index")
    model = OpenAIAPIEncodeWrapper(server.address, "askagain/index", use_chat_template=False, modalities=["text"])
    texts = list(DOCUMENTS.values())
    batches = [{"text": texts[:2]}, {"text": texts[2:]}]
    vectors = model.encode(batches, task_metadata=local_task().metadata, hf_split="test", hf_subset="default")
    np.testing.assert_allclose(vectors, encoder.encode(texts, normalize=True), atol=1e-6)
    result = mteb.evaluate(model, tasks=[local_task()], cache=None, co2_tracker=False, show_progress_bar=False)
    assert result.task_results[0].scores["test"][0]["main_score"] == 1
