import base64
import json
from dataclasses import replace

import numpy as np
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from askagain.evaluation.thresholds import Thresholds
from askagain.search.index import Index
from askagain.search.index_list import ENCODER, Hybrid
from askagain.search.index_writer import IndexWriter
from askagain.search.questions import Question
from askagain.serving import messages
from askagain.serving.access import Access
from askagain.serving.limits import Limits
from askagain.text.fields import Fields
from askagain.text.preprocessor import TextPreprocessor
from tests.search.conftest import small_encoder, some_questions
from tests.serving.conftest import AUTHORIZED, TOKEN


def test_a_search_answers_like_the_index(serve, index):
    server = serve(index)
    expected = Index(index).search(["quit vim"], 5)[0]
    answer = server.post("/search", {"question": "quit vim", "k": 5})
    assert answer.status_code == 200
    by_address = server.call("GET", "/search", params={"q": "quit vim", "k": 5}).json()
    assert by_address == answer.json() and by_address["question"] == "quit vim" and by_address["index"] == "index"
    assert [(hit["id"], hit["text"], hit["score"]) for hit in by_address["hits"]] == [
        (hit.id, hit.text, round(hit.score, 4)) for hit in expected
    ]
    assert messages.SearchAnswer.model_validate(by_address)
    assert len(server.post("/search", {"question": "vim"}).json()["hits"]) == 10


def test_what_carried_a_match_adds_up_to_its_score(serve, index):
    server = serve(index)
    for hit in server.post("/search", {"question": "quit the vim list", "explain": True, "words": True}).json()["hits"]:
        assert "".join(piece for piece, _ in hit["words"]) == hit["text"]
        assert sum(share for _, share in hit["words"]) == pytest.approx(hit["score"], abs=1e-3)
        assert hit["because"][0]["score"] >= hit["because"][-1]["score"]
        assert messages.FoundQuestion.model_validate(hit)


def test_scores_are_probabilities_where_the_index_has_learned_them(serve, index):
    Thresholds(0.8, [0.2, 1.0], [0.0, 0.9], 1000, {}).save(index / ENCODER)
    server = serve(index)
    info = server.call("GET", "/indexes").json()["indexes"][0]
    assert info["probabilities"] and info["threshold"] == 0.8 and info["questions"] == 60
    assert messages.IndexInfo.model_validate(info)
    for hit in server.post("/search", {"question": "quit vim"}).json()["hits"]:
        assert hit["probability"] == pytest.approx(np.interp(hit["score"], [0.2, 1.0], [0.0, 0.9]), abs=2e-4)


def test_added_questions_are_on_the_disk_and_found_when_that_is_said(serve, index):
    server = serve(index)
    new = [{"id": "a", "text": " undo \n the   merge "}, {"id": 7, "text": "mount usb"}, {"text": "exit nano"}]
    answer = server.post("/questions", {"questions": new})
    assert answer.status_code == 201 and answer.json()["questions"] == 63
    ids = answer.json()["ids"]
    assert ids[:2] == ["a", "7"] and len(ids[2]) == 32
    on_disk = {question.id: question.text for question in Index(index).questions()}
    assert on_disk["a"] == "undo the merge" and on_disk["7"] == "mount usb" and on_disk[ids[2]] == "exit nano"
    hits = server.post("/search", {"question": "exit nano", "k": 3}).json()["hits"]
    assert ids[2] in [hit["id"] for hit in hits]
    taken = server.post("/questions", {"questions": [{"text": "x"}, {"id": "a", "text": "list"}]})
    assert taken.status_code == 409 and "the id a is in the index already" in taken.json()["error"]["message"]
    assert str(index) not in taken.text and len(Index(index)) == 63
    again = {"questions": [{"id": "a", "text": "list"}], "replace": True}
    assert server.post("/questions", again).json()["questions"] == 63
    removed = server.call("DELETE", "/questions/a", headers=AUTHORIZED)
    assert removed.json() == {"removed": "a", "questions": 62}
    assert server.call("DELETE", "/questions/a", headers=AUTHORIZED).status_code == 404
    server.post("/questions", {"questions": [{"id": "with/a slash?", "text": "vim"}]})
    assert server.call("DELETE", "/questions/with/a%20slash%3F", headers=AUTHORIZED).status_code == 200
    assert "a" not in {question.id for question in Index(index).questions()}


def test_fields_are_added_as_the_encoder_reads_them(serve, tmp_path):
    encoder = small_encoder()
    encoder = encoder.with_preprocessor(TextPreprocessor(fields=Fields(["title", "body"])))
    IndexWriter.create(tmp_path / "fields", encoder, [Question("1", "vim", "vim")])
    server = serve(tmp_path / "fields")
    question = {"text": {"title": "quit nano", "body": "mount disk"}}
    assert server.post("/questions", {"questions": [question]}).status_code == 201
    added = list(Index(tmp_path / "fields").questions())[1]
    assert added.text == "quit nano" and added.encoded == encoder.preprocessor.fields.compose(question["text"])
    refused = server.post("/questions", {"questions": [{"text": {"headline": "x"}}]})
    assert refused.status_code == 400 and "title, body" in refused.json()["error"]["message"]


def test_duplicates_are_those_of_the_index_and_of_the_request(serve, index):
    server = serve(index)
    questions = ["quit vim", "vim quit", "mount the usb disk", "unheard"]
    answer = server.post("/duplicates", {"questions": questions, "threshold": 0.9, "k": 5}).json()
    assert messages.DuplicatesAnswer.model_validate(answer)
    found = Index(index).search(questions, 5)
    for place, (result, hits) in enumerate(zip(answer["results"], found, strict=True)):
        assert result["question"] == questions[place]
        assert [hit["id"] for hit in result["duplicates"]] == [hit.id for hit in hits if hit.score >= 0.9]
    assert answer["results"][0]["same_batch"] == [{"position": 1, "score": 1.0}]
    assert answer["results"][2]["same_batch"] == answer["results"][3]["same_batch"] == []
    missing = server.post("/duplicates", {"questions": questions})
    assert missing.status_code == 400 and "threshold" in missing.json()["error"]["message"]


@pytest.mark.parametrize("encoding_format", ["float", "base64", None])
def test_openais_client_gets_the_vectors_of_the_encoder(serve, index, encoder, encoding_format):
    client = openai.OpenAI(base_url=f"{serve(index).address}/v1", api_key="none", max_retries=0)
    texts = ["quit vim", "unheard", "mount the disk"]
    wanted = {} if encoding_format is None else {"encoding_format": encoding_format}
    answer = client.embeddings.create(model="index", input=texts, **wanted)
    vectors = [item.embedding for item in answer.data]
    if encoding_format == "base64":
        vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
    np.testing.assert_allclose(vectors, encoder.encode(texts, normalize=True), atol=1e-6)
    assert [item.index for item in answer.data] == [0, 1, 2] and answer.usage.prompt_tokens == 4
    short = client.embeddings.create(model="any", input="quit vim", dimensions=5)
    np.testing.assert_allclose(
        short.data[0].embedding, encoder.encode(["quit vim"], normalize=True, dim=5)[0], atol=1e-6
    )
    assert [model.id for model in client.models.list()] == ["index"]
    with pytest.raises(openai.BadRequestError, match="dimensions: must be at most 12"):
        client.embeddings.create(model="index", input="vim", dimensions=13)
    with pytest.raises(openai.BadRequestError, match="input"):
        client.embeddings.create(model="index", input=[[1, 2]])


def test_several_indexes_go_by_their_names(serve, index, tmp_path):
    IndexWriter.create(tmp_path / "other", small_encoder(1), some_questions(5), hybrid=Hybrid("bm25", 0.3))
    server = serve(index, tmp_path / "other")
    assert [one["name"] for one in server.call("GET", "/indexes").json()["indexes"]] == ["index", "other"]
    hits = server.post("/search", {"question": "vim", "index": "other", "hybrid": True}).json()["hits"]
    expected = Index(tmp_path / "other").search(["vim"], 10, hybrid=True)[0]
    assert [(hit["id"], hit["score"]) for hit in hits] == [(hit.id, round(hit.score, 4)) for hit in expected]
    unknown = server.post("/search", {"question": "vim", "index": "third"})
    assert unknown.status_code == 404 and "there are index, other" in unknown.json()["error"]["message"]
    server.post("/questions", {"questions": [{"id": "new", "text": "vim"}], "index": "other"})
    assert len(Index(tmp_path / "other")) == 6 and len(Index(index)) == 60
    without = server.post("/search", {"question": "vim", "hybrid": True})
    assert without.status_code == 400 and "second ranker" in without.json()["error"]["message"]


BAD = [
    ("/search", b"{", 400, "JSON"),
    ("/search", b"", 400, "JSON"),
    ("/search", b"[" * 100_000, 400, "JSON"),
    ("/search", b'"quit"', 400, "body"),
    ("/search", b"{}", 400, "question: Field required"),
    ("/search", b'{"question": 5}', 400, "question"),
    ("/search", b'{"question": "vim", "k": 0}', 400, "k: "),
    ("/search", b'{"question": "vim", "k": 101}', 400, "k: "),
    ("/search", b'{"question": "vim", "k": "5"}', 400, "k: "),
    ("/search", b'{"question": "vim", "K": 5}', 400, "K: "),
    ("/search", b'{"question": "\\ud800"}', 400, ""),
    ("/search", b'{"question": "\xff"}', 400, ""),
    ("/search", json.dumps({"question": "x" * 100_001}).encode(), 400, "100000 characters"),
    ("/duplicates", b'{"questions": []}', 400, "questions: "),
    ("/duplicates", b'{"questions": ["a"], "threshold": NaN}', 400, "threshold"),
    ("/duplicates", b'{"questions": ["a"], "threshold": 2}', 400, "threshold"),
    ("/questions", b'{"questions": [{"text": "  "}]}', 400, "empty"),
    ("/questions", b'{"questions": [{"text": "a", "id": ""}]}', 400, "id"),
    ("/questions", b'{"questions": [{"text": "a", "id": "1"}, {"text": "b", "id": "1"}]}', 400, "same id"),
    ("/questions", b'{"questions": [{"text": {"title": "a"}}]}', 400, "one text only"),
    ("/v1/embeddings", b'{"input": []}', 400, "input"),
    ("/v1/embeddings", json.dumps({"input": ["a"] * 2_049}).encode(), 400, "2048"),
    ("/v1/embeddings", b'{"input": "a", "encoding_format": "hex"}', 400, "encoding_format"),
]


def test_bad_requests_are_told_what_is_wrong_and_change_nothing(serve, index):
    server = serve(index)
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and ".lock" not in path.name}
    headers = AUTHORIZED | {"content-type": "application/json"}
    for path, body, status, said in BAD:
        answer = server.call("POST", path, data=body, headers=headers)
        assert answer.status_code == status, (path, body[:80], answer.text)
        error = messages.ErrorAnswer.model_validate(answer.json()).error
        assert said in error.message and "\n" not in error.message and str(index) not in error.message, (
            body[:80],
            error,
        )
    for path, status in (
        ("/search", 400), ("/search?q=a&k=x", 400), ("/search?q=a&explain=maybe", 400), ("/search?q=a&n=1", 400),
        ("/nothing", 404), ("/questions", 405), ("/search/", 404), ("/..%2f..%2fetc/passwd", 404),
    ):  # fmt: skip
        answer = server.call("GET", path)
        assert answer.status_code == status and messages.ErrorAnswer.model_validate(answer.json()), path
    as_form = server.call("POST", "/search", data={"question": "vim"})
    assert as_form.status_code == 415 and "application/json" in as_form.json()["error"]["message"]
    assert {path: path.read_bytes() for path in before} == before


def test_writing_needs_the_token_and_reading_does_not(serve, index):
    server = serve(index)
    new = {"questions": [{"text": "vim"}]}
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "Basic %%"}):
        for answer in (
            server.post("/questions", new, headers),
            server.call("DELETE", "/questions/q0-1", headers=headers),
        ):
            assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Basic ")
    assert len(Index(index)) == 60
    assert server.post("/questions", new, {"authorization": f"Basic {basic}"}).status_code == 201
    assert server.post("/search", {"question": "vim"}, {}).status_code == 200


def test_without_a_token_nobody_writes(serve, index):
    server = serve(index, access=Access(None, False, ()), is_writable=False)
    for headers in ({}, AUTHORIZED, {"authorization": "Bearer "}):
        answer = server.post("/questions", {"questions": [{"text": "vim"}]}, headers)
        assert answer.status_code == 403 and "--token-file" in answer.json()["error"]["message"]
    assert len(Index(index)) == 60


def test_where_others_can_reach_it_everything_needs_the_token(serve, index):
    server = serve(index, access=Access(TOKEN, True, ()))
    for path in (
        "/",
        "/search?q=vim",
        "/health",
        "/metrics",
        "/docs",
        "/openapi.json",
        "/indexes",
        "/nothing",
        "/page.js",
    ):
        assert server.call("GET", path).status_code == 401, path
        assert server.call("GET", path, headers=AUTHORIZED).status_code == (404 if path == "/nothing" else 200), path
    assert server.post("/v1/embeddings", {"input": "vim"}, {}).status_code == 401


def test_a_foreign_name_is_refused_so_that_no_page_reaches_the_server_by_it(serve, index):
    server = serve(index)
    for name, status in (("127.0.0.1", 200), (f"127.0.0.1:{server.port}", 200), ("evil.example", 403), ("", 403)):
        assert server.call("GET", "/health", headers={"host": name}).status_code == status, name


def test_browsers_are_told_not_to_frame_sniff_or_share(serve, index):
    server = serve(index)
    for path in ("/", "/search?q=vim", "/nothing", "/docs", "/questions"):
        headers = server.call("GET", path, headers={"origin": "https://other.example"}).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert "access-control-allow-origin" not in headers and "server" not in headers


def test_other_sites_may_read_answers_only_where_they_are_named(serve, index):
    server = serve(index, origins=["https://forum.example"])
    headers = {"origin": "https://forum.example"}
    assert (
        server.call("GET", "/search?q=vim", headers=headers).headers["access-control-allow-origin"] == headers["origin"]
    )
    asked = headers | {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    assert server.call("OPTIONS", "/search", headers=asked).status_code == 200
    other = server.call("GET", "/search?q=vim", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


def test_the_openapi_document_has_what_the_server_answers(serve, index):
    server = serve(index)
    document = server.call("GET", "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    paths = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert {
        ("post", "/search"),
        ("delete", "/questions/{id}"),
        ("post", "/v1/embeddings"),
        ("get", "/metrics"),
    } <= paths
    used = set(json.dumps(document).split("#/components/schemas/")[1:])
    assert {name.split('"')[0] for name in used} <= set(document["components"]["schemas"])
    page = server.call("GET", "/docs")
    assert page.headers["content-type"].startswith("text/html") and "//" not in page.text.replace("</", "")
    for _, path in paths:
        assert path in page.text


def test_metrics_count_requests_questions_and_waiting(serve, index):
    server = serve(index)
    server.post("/search", {"question": "vim"})
    server.post("/search", {})
    server.post("/questions", {"questions": [{"text": "vim"}]})
    server.call("GET", "/a-path-that-a-stranger-made-up")
    samples = {}
    for family in text_string_to_metric_families(server.call("GET", "/metrics").text):
        for sample in family.samples:
            samples[sample.name, *sorted(sample.labels.values())] = sample.value
    assert samples["askagain_requests_total", "/search", "200", "POST"] == 1
    assert samples["askagain_requests_total", "/search", "400", "POST"] == 1
    assert samples["askagain_requests_total", "404", "other", "other"] == 1
    assert samples["askagain_questions", "index"] == 61 and samples["askagain_questions_added_total",] == 1
    assert samples["askagain_waiting", "search"] == 0
    assert samples["process_resident_memory_bytes",] > 1e7


def test_an_index_that_another_process_changes_or_replaces_is_taken_up(serve, index, tmp_path):
    server = serve(index)
    IndexWriter(index).add([Question("by-another", "undo merge", "undo merge")])

    def found(question, wanted):
        for _ in range(100):
            hits = server.post("/search", {"question": question, "k": 100}).json()["hits"]
            if wanted in [hit["id"] for hit in hits]:
                return True
        return False

    assert found("undo merge", "by-another")
    IndexWriter.create(index, small_encoder(5), [Question("other-encoder", "list usb", "list usb")])
    assert found("list usb", "other-encoder")
    assert server.call("GET", "/health").json() == {"status": "ok", "questions": 1}
    assert server.post("/questions", {"questions": [{"id": "later", "text": "usb"}]}).json()["questions"] == 2


def test_an_empty_index_answers(serve, encoder, tmp_path):
    IndexWriter.create(tmp_path / "empty", encoder, [])
    server = serve(tmp_path / "empty")
    assert server.post("/search", {"question": "vim", "explain": True, "words": True}).json()["hits"] == []
    assert server.post("/duplicates", {"questions": ["vim"], "threshold": 0.5}).json()["results"][0]["duplicates"] == []
    server.post("/questions", {"questions": [{"id": "first", "text": "vim"}]})
    assert [hit["id"] for hit in server.post("/search", {"question": "vim"}).json()["hits"]] == ["first"]


def test_long_bodies_are_refused_without_being_read(serve, index):
    server = serve(index, limits=replace(Limits(), body_bytes=1_000))
    headers = {"content-type": "application/json"}
    assert server.call("POST", "/search", data=b"x" * 1_001, headers=headers).status_code == 413
    chunks = (b"y" * 100 for _ in range(11))
    answer = server.call("POST", "/search", data=chunks, headers=headers)
    assert answer.status_code == 413 and "1,000 bytes" in answer.json()["error"]["message"]
