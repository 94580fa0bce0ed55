"""One request per verb with many parameters: a frozen dataclass that every edge reads.

From a request come the arguments of `probe.NAME`, the options of `probe NAME` with their help, the
tables of `docs/commands.md`, the words of a form, the command line that asks for the same, the
document that a run or study keeps, and its JSON Schema.
"""

from probe.requests.base import (
    Field,
    Option,
    Request,
    RequestError,
    fields_of,
    help_of,
    options_of,
    takes,
)
from probe.requests.comparison import ClustersRequest, CompareRequest, MapRequest, ReportRequest
from probe.requests.evaluation import EvaluateRequest, GenerateRequest, PredictRequest
from probe.requests.insides import (
    AblateRequest,
    KnockOutRequest,
    LensRequest,
    PruneRequest,
    TransferRequest,
)
from probe.requests.library import AddToLibraryRequest, ConvertRequest, PullRequest, PushRequest
from probe.requests.readings import (
    CramRequest,
    DecodeRequest,
    DistillRequest,
    FindRequest,
    InspectRequest,
    ReadRequest,
)
from probe.requests.studies import (
    GAMMAS,
    TARGET_SETS,
    BenchReadingsRequest,
    SweepRequest,
    WaywardRequest,
)
from probe.requests.train_config import TrainConfig
from probe.requests.training import TrainRequest
from probe.requests.written import command_of, from_document, schema_of, to_document
