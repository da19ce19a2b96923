"""The messages of the API: what requests may hold, and what answers have. The OpenAPI document is made of them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MOST_CHARACTERS = 100_000  # of a text
MOST_TEXTS = 2_048  # of a request
MOST_HITS = 100


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("has half of a character, a lone surrogate") from error
    return text


def _in_list(value: Any) -> Any:
    """A text alone as a list of it."""
    return [value] if isinstance(value, str) else value


def _digits(value: Any) -> Any:
    """A whole number as text."""
    return str(value) if type(value) is int else value


Text = Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(_utf8)]
Id = Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_utf8)]
Count = Annotated[int, Field(ge=1, le=MOST_HITS, strict=True)]
IndexName = Annotated[str | None, Field(description="The name of an index; the first one if there are several.")]


class Message(BaseModel):
    """A message without other fields than these."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class SearchRequest(Message):
    """A question to find others for."""

    question: Text
    k: Count = 10
    index: IndexName = None
    explain: bool = Field(False, description="Also give the pairs of features that carried each match.")
    words: bool = Field(False, description="Also give what each word of a match adds to its cosine.")
    hybrid: bool = Field(False, description="Fuse with the ranker that the index was built with.")


class Because(Message):
    """A feature of the question and one of the text, and what they add to the cosine."""

    question: str
    text: str
    score: float


class FoundQuestion(Message):
    """A question of the index."""

    id: str
    text: str
    score: float = Field(description="The cosine; with hybrid, the fused score.")
    probability: float | None = Field(None, description="Of being a duplicate, where the index has learned it.")
    because: list[Because] | None = None
    words: list[tuple[str, float]] | None = Field(
        None, description="The text cut into words and what is between them, each with its share of the cosine."
    )


class SearchAnswer(Message):
    """The questions that ask the same, best first."""

    question: str
    index: str
    hits: list[FoundQuestion]


class NewQuestion(Message):
    """A question to add; without an id it gets one."""

    text: Text | dict[str, Any] = Field(description="The text, or an object of the fields that the encoder reads.")
    id: Annotated[Id | None, BeforeValidator(_digits)] = Field(None, description="A text, or a whole number.")


class AddRequest(Message):
    """Questions to add, all of them or none."""

    questions: list[NewQuestion] = Field(min_length=1, max_length=MOST_TEXTS)
    replace: bool = Field(False, description="Let them take the place of questions with the same ids.")
    index: IndexName = None


class AddAnswer(Message):
    """The ids of the added questions; they are on the disk, and are found from now on."""

    ids: list[str]
    questions: int = Field(description="In the index now.")


class RemoveAnswer(Message):
    """What was removed."""

    removed: str
    questions: int = Field(description="In the index now.")


class DuplicatesRequest(Message):
    """Questions to look for duplicates of, in the index and among each other."""

    questions: list[Text] = Field(min_length=1, max_length=MOST_TEXTS)
    threshold: float | None = Field(
        None, ge=0, le=1, description="The least cosine; null: the one that askagain threshold has learned."
    )
    k: Count = Field(10, description="The most duplicates of a question.")
    index: IndexName = None


class SameBatch(Message):
    """Another question of the request."""

    position: int = Field(description="From 0.")
    score: float


class DuplicatesOfQuestion(Message):
    """The duplicates of a question of the request, best first."""

    question: str
    duplicates: list[FoundQuestion]
    same_batch: list[SameBatch]


class DuplicatesAnswer(Message):
    """The duplicates of each question, in the order of the request."""

    threshold: float
    index: str
    results: list[DuplicatesOfQuestion]


class EmbeddingsRequest(BaseModel):
    """Texts to embed, as OpenAI's clients send them; what else they send is not read."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    input: Annotated[list[Text], Field(min_length=1, max_length=MOST_TEXTS), BeforeValidator(_in_list)] = Field(
        description="A text, or a list of texts."
    )
    model: str | None = Field(None, description="The name of an index, whose encoder is used; any other: the first.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        None, description="Keep the first numbers of each vector."
    )


class Embedding(Message):
    """The vector of a text, of length 1 unless nothing of the text is known."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="Numbers, or little-endian float32 in base64.")


class Usage(Message):
    """What was read: the features of all texts."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(Message):
    """The vectors of the texts, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class Model(Message):
    """An encoder."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "askagain"


class Models(Message):
    """The encoders that can embed."""

    object: Literal["list"] = "list"
    data: list[Model]


class IndexInfo(Message):
    """An index that is served."""

    name: str
    questions: int
    dim: int
    encoder: str
    hybrid: str
    probabilities: bool = Field(description="Whether scores are also given as probabilities.")
    threshold: float | None
    writable: bool


class Indexes(Message):
    """All indexes that are served; the first one is used where none is named."""

    indexes: list[IndexInfo]


class Health(Message):
    """Whether the server answers, and from how many questions."""

    status: Literal["ok", "ending"]
    questions: int


class ErrorDetail(Message):
    """Why a request was refused."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorAnswer(Message):
    """A request that was refused."""

    error: ErrorDetail
