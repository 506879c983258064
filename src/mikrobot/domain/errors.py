"""All errors that the platform raises on purpose, in one tree.

::

    MikrobotError                 exit code 1
    ├── UsageError                exit code 2: the call is wrong
    │   ├── SettingsError         a setting is missing or out of its range
    │   ├── UnknownSymbol         no instrument of that name
    │   ├── OrderError            no venue would accept the order; cash does not change
    │   ├── ScenarioError         an event of an execution scenario is invalid
    │   └── StrategyError         a strategy cannot be loaded, or has no such parameter
    ├── DataError                 data that must not be used
    │   ├── BarError              a bar or a file of bars breaks the schema
    │   ├── GateError             an expectation suite stopped the flow
    │   ├── LeakageError          a model input uses future data
    │   ├── StaleFeatures         the online row does not belong to the requested bar
    │   └── BookNotLive           an order book is not in step with its venue
    ├── FeedError                 a market source failed or did not answer
    │   └── FeedRefused           a venue allows no request for a time
    ├── StoreError                the database or the state folder failed
    ├── StatesChanged             a minute was decided under trading states that have changed since
    ├── ModelError                a model is missing, incompatible or corrupt
    │   ├── FeatureMismatch       the inputs differ from those the model was trained on
    │   ├── ScopeError            no model was trained on this symbol and source
    │   └── UnchangedData         a version was trained on the same data with the same settings
    ├── ServingError              the prediction service failed or is not ready
    └── ServiceError              a local service did not start, or its port is taken

A message states what was expected, what was found, where, and what the user can do. Adapters
translate vendor errors; code catches other errors only if it can handle them.
"""


class MikrobotError(Exception):
    """Base class of all deliberate errors; the command line prints one as a single line."""

    exit_code = 1


class UsageError(MikrobotError):
    """The call itself is wrong; repeating it fails again."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing, unknown or out of its range."""


class UnknownSymbol(UsageError):
    """No instrument with that name exists."""


class OrderError(UsageError):
    """An order is invalid: price or size off the grid, unknown symbol, wrong side, or submitted twice."""


class ScenarioError(UsageError):
    """An execution scenario is invalid; the message names its event."""


class StrategyError(UsageError):
    """A strategy cannot be loaded, or a parameter is unknown or out of its range."""


class DataError(MikrobotError):
    """Data that must not be used."""


class BarError(DataError):
    """A bar, or a file of bars, breaks the bar schema."""


class GateError(DataError):
    """An expectation suite failed and stopped the flow."""


class LeakageError(DataError):
    """A model input uses data from after its time; no model may be trained on it."""


class StaleFeatures(DataError):
    """The online feature row is older than the requested bar, or missing."""


class BookNotLive(DataError):
    """An order book cannot be read, since it is not in step with its venue."""


class FeedError(MikrobotError):
    """A market source failed or did not answer in time."""


class FeedRefused(FeedError):
    """A venue allows no request of this address for a time; another one before that may extend it.

    Attributes
    ----------
    seconds : float
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class StoreError(MikrobotError):
    """The database or the state folder failed."""


class StatesChanged(MikrobotError):
    """Trading states have changed since a minute was decided; decide it again."""


class ModelError(MikrobotError):
    """A model is missing, corrupt or incompatible."""


class FeatureMismatch(ModelError):
    """The input names differ from those the model was trained on."""


class ScopeError(ModelError):
    """No model was trained on bars of this symbol and source, so none may predict it."""


class UnchangedData(ModelError):
    """A training would repeat that of a version that answers: its data and its settings are the same."""


class ServingError(MikrobotError):
    """The prediction service failed, refused the request or is not ready."""


class ServiceError(MikrobotError):
    """A local service did not start, died, or found its port taken."""
