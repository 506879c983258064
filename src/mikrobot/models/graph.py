"""Conversion of fitted learners to one ONNX graph, and the session that runs it.

A graph is data: loading one runs no code from the training environment, and one that reads other files, or has an
operator that no conversion here makes, is refused. It maps the model inputs to one score per row, the mean of its
members' probabilities. This module does not depend on features, labels
or training, and imports the libraries of the learners only to convert them.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper
from onnx.external_data_helper import uses_external_data

from mikrobot.domain.errors import ModelError

if TYPE_CHECKING:
    import xgboost as xgb

Inputs = NDArray[np.float32]

OPSET, TREES_OPSET = 15, 3
"""Operator set versions that every converter here supports: of ONNX itself, and of its machine learning domain."""

OPERATORS = {
    "": {
        "Add", "ArgMax", "Cast", "Concat", "Expand", "Gather", "Identity", "MatMul", "Mean", "Mul", "Relu", "Reshape",
        "Shape", "Sigmoid", "Sub",
    },
    "ai.onnx.ml": {"ArrayFeatureExtractor", "Imputer", "SVMClassifier", "Scaler", "TreeEnsembleClassifier"},
}  # fmt: skip
"""Operators that the conversions here make, by domain."""

ATTRIBUTES = {"name", "doc_string", "type", "f", "i", "s", "t", "floats", "ints", "strings"}
"""Fields that an attribute of an operator may have; others contain graphs, functions or more tensors."""

_INPUTS, _SCORE, _PROBABILITIES = "inputs", "score", "probabilities"


@dataclass(frozen=True, slots=True)
class Member:
    """One fitted learner of a graph.

    Attributes
    ----------
    name : str
    graph : onnx.ModelProto
        Outputs ``probabilities``, shape (rows, 2).
    platt : tuple of float, optional
        (slope, intercept) that convert a decision value to log odds (Platt scaling), for a learner that
        outputs (value, -value) instead of probabilities.
    """

    name: str
    graph: Any
    platt: tuple[float, float] | None = None


def of_booster(name: str, booster: "xgb.Booster") -> Member:
    """Convert boosted trees; missing values follow the default branches of the trees."""
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    plain = booster.copy()
    plain.feature_names = None  # the converter requires the names f0, f1, ...
    graph = convert_xgboost(
        plain, name, initial_types=[(_INPUTS, FloatTensorType([None, booster.num_features()]))], target_opset=OPSET
    )
    return Member(name, graph)


def of_classifier(name: str, fitted: Any, width: int, platt: tuple[float, float] | None = None) -> Member:
    """Convert a fitted scikit-learn classifier or pipeline with two classes.

    Parameters
    ----------
    fitted : sklearn.base.ClassifierMixin
    width : int
        Number of inputs.
    platt : tuple of float, optional
        See `Member`.
    """
    from skl2onnx import to_onnx

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attribute `prob[AB]_`", FutureWarning)  # the converter reads them
        graph = to_onnx(
            fitted,
            np.zeros((1, width), np.float32),
            name=name,
            options={id(fitted): {"zipmap": False}},  # by name, it would read every attribute of every tree
            target_opset={"": OPSET, "ai.onnx.ml": TREES_OPSET},
        )
    return Member(name, graph, platt)


def joined(members: Sequence[Member], width: int) -> bytes:
    """Join members into one serialised graph that outputs the mean of their probabilities.

    Parameters
    ----------
    members : sequence of Member
        At least one.
    width : int
        Number of inputs.
    """
    nodes, initializers, probabilities = [], [], []
    for member in members:
        member_nodes, member_initializers, probability = _inlined(member)
        nodes += member_nodes
        initializers += member_initializers
        probabilities.append(probability)
    nodes.append(helper.make_node("Mean", probabilities, [_SCORE]))
    return _serialised(nodes, initializers, width)


def constant(score: float, width: int) -> bytes:
    """Return a serialised graph that outputs the same score for every row.

    >>> Scorer(constant(0.5, 3), 3)(np.zeros((2, 3), np.float32)).tolist()
    [0.5, 0.5]
    """
    initializers = [
        helper.make_tensor("column", TensorProto.INT64, [1], [0]),
        helper.make_tensor("value", TensorProto.FLOAT, [1], [score]),
    ]
    nodes = [
        helper.make_node("Gather", [_INPUTS, "column"], ["first"], axis=1),
        helper.make_node("Shape", ["first"], ["shape"]),
        helper.make_node("Expand", ["value", "shape"], [_SCORE]),
    ]
    return _serialised(nodes, initializers, width)


def _serialised(nodes: Sequence[Any], initializers: Sequence[Any], width: int) -> bytes:
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info(_INPUTS, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(_SCORE, TensorProto.FLOAT, [None, 1])],
        initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="mikrobot", ir_version=8)
    onnx.checker.check_model(model)
    return cast(bytes, model.SerializeToString(deterministic=True))


def _inlined(member: Member) -> tuple[list[Any], list[Any], str]:
    """Return a member's nodes and initializers, prefixed with its name, and the name of its probability output."""
    prefix = f"{member.name}/"
    graph = compose.add_prefix(member.graph, prefix).graph
    column, chance = f"{prefix}column", f"{prefix}chance"
    nodes = [helper.make_node("Identity", [_INPUTS], [graph.input[0].name]), *graph.node]
    initializers = [*graph.initializer]
    picked = 1 if member.platt is None else 0
    initializers.append(helper.make_tensor(column, TensorProto.INT64, [1], [picked]))
    value = chance if member.platt is None else f"{prefix}value"
    nodes.append(helper.make_node("Gather", [f"{prefix}{_PROBABILITIES}", column], [value], axis=1))
    if member.platt is not None:
        nodes += _platt(prefix, member.platt, value, chance, initializers=initializers)
    return nodes, initializers, chance


def _platt(prefix: str, platt: tuple[float, float], value: str, chance: str, *, initializers: list[Any]) -> list[Any]:
    names = [f"{prefix}slope", f"{prefix}intercept"]
    initializers += [helper.make_tensor(n, TensorProto.FLOAT, [1], [v]) for n, v in zip(names, platt, strict=True)]
    return [
        helper.make_node("Mul", [value, names[0]], [f"{prefix}scaled"]),
        helper.make_node("Add", [f"{prefix}scaled", names[1]], [f"{prefix}odds"]),
        helper.make_node("Sigmoid", [f"{prefix}odds"], [chance]),
    ]


class Scorer:
    """Runs a graph on one thread.

    Parameters
    ----------
    graph : bytes
        Output of `joined`.
    width : int
        Expected number of inputs.

    Raises
    ------
    ModelError
        If it is not such a graph, has another operator, or refers to another file.
    """

    def __init__(self, graph: bytes, width: int) -> None:
        _require_plain(graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = (
            1  # waking a thread pool takes longer than scoring a row
        )
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has one exception class for each error, and no common base
            raise _no_graph(graph, error) from error
        inputs = [(i.name, i.shape[-1]) for i in self._session.get_inputs()]
        if inputs != [(_INPUTS, width)] or [o.name for o in self._session.get_outputs()] != [_SCORE]:
            raise ModelError(f"expected a graph from {width} inputs to a score, found {inputs}; train again")

    def __call__(self, inputs: Inputs) -> NDArray[np.float64]:
        """Score rows.

        Parameters
        ----------
        inputs : ndarray of float32, shape (rows, width)
            NaN where missing.

        Returns
        -------
        ndarray of float64, shape (rows,)
            In [0, 1].
        """
        (score,) = self._session.run([_SCORE], {_INPUTS: inputs})
        return np.asarray(score[:, 0], dtype=np.float64)


def _require_plain(graph: bytes) -> None:
    """Check that a graph has only `OPERATORS`, no functions of its own, and all its tensors inside."""
    try:
        model = onnx.load_model_from_string(graph)
    except Exception as error:  # the class depends on the implementation of protobuf
        raise _no_graph(graph, error) from error
    foreign = sorted(
        {f"{node.domain}.{node.op_type}".lstrip(".") for node in model.graph.node}
        - {f"{domain}.{name}".lstrip(".") for domain, names in OPERATORS.items() for name in names}
    )
    if foreign or model.functions:
        raise ModelError(f"the graph has the operators {', '.join(foreign) or 'of functions'}; train again")
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    nested = {field.name for attribute in attributes for field, _ in attribute.ListFields()} - ATTRIBUTES
    if nested or model.training_info:
        raise ModelError(f"the graph has parts of its own ({', '.join(sorted(nested)) or 'training'}); train again")
    tensors = [*model.graph.initializer, *(attribute.t for attribute in attributes)]
    if model.graph.sparse_initializer or any(map(uses_external_data, tensors)):
        raise ModelError("the graph reads other files; train again")


def _no_graph(graph: bytes, error: Exception) -> ModelError:
    return ModelError(f"{len(graph)} bytes are no ONNX graph ({str(error)[:120]}); train again")
