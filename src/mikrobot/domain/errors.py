"""Every error the platform raises on purpose, in one tree.

::

    MikrobotError                 exit code 1
    ├── UsageError                exit code 2: the call is wrong
    │   ├── SettingsError         a setting is missing or out of its range
    │   ├── UnknownSymbol         no instrument of that name
    │   ├── OrderError            an order that no venue takes; it moves no cash
    │   └── ScenarioError         an execution scenario makes no sense; names the event
    ├── DataError                 data that must not pass
    │   ├── BarError              a bar or a file of bars breaks the schema
    │   ├── GateError             an expectation suite stopped the flow
    │   ├── LeakageError          an input of a model knows the future
    │   └── StaleFeatures         the online row is not of the bar that was asked for
    ├── FeedError                 a market source failed or did not answer
    ├── StoreError                the database or the state folder failed
    ├── ModelError                a model is missing, foreign or corrupt
    │   ├── FeatureMismatch       the inputs are not those the model was trained on
    │   └── ScopeError            no model learned from this symbol of this source
    ├── ServingError              the prediction service failed or is not ready
    └── ServiceError              a local service did not start, or its port is taken

A message says what was expected, what was found, where, and what the person can do. Vendor
errors are translated at the adapter; nothing else is caught that cannot be handled.
"""


class MikrobotError(Exception):
    """Base of every deliberate error; the command line prints it as one line."""

    exit_code = 1


class UsageError(MikrobotError):
    """The call itself is wrong; the same call will fail again."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing, unknown or out of its range."""


class UnknownSymbol(UsageError):
    """No instrument of that name is known."""


class OrderError(UsageError):
    """An order is refused as it stands: off a grid, of an unknown symbol, on the wrong side, twice."""


class ScenarioError(UsageError):
    """An execution scenario makes no sense; the message names its event."""


class DataError(MikrobotError):
    """Data that must not pass this point."""


class BarError(DataError):
    """A bar, or a file of bars, breaks the bar schema."""


class GateError(DataError):
    """An expectation suite failed, and the flow stops here."""


class LeakageError(DataError):
    """An input of a model knows what happens after its time; a model must not be made of it."""


class StaleFeatures(DataError):
    """The online feature row is older than the bar that was asked for, or absent."""


class FeedError(MikrobotError):
    """A market source failed or did not answer in time."""


class StoreError(MikrobotError):
    """The database or the state folder failed."""


class ModelError(MikrobotError):
    """A model is missing, corrupt, or was made for something else."""


class FeatureMismatch(ModelError):
    """The inputs offered are not, by name, those the model was trained on."""


class ScopeError(ModelError):
    """No model learned from the bars of this symbol and source, so none may answer."""


class ServingError(MikrobotError):
    """The prediction service failed, refused the request or is not ready."""


class ServiceError(MikrobotError):
    """A local service did not start, died, or finds its port taken."""
