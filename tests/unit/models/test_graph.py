import numpy as np
import onnx
import pytest
import xgboost as xgb
from onnx import helper
from onnx.external_data_helper import set_external_data
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from mikrobot.domain.errors import ModelError
from mikrobot.models import graph

WIDTH = 6


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    """Inputs, a tenth of them missing, and outcomes that depend on the first one."""
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(800, WIDTH)).astype(np.float32)
    outcome = inputs[:, 0] + rng.normal(size=800) > 0
    inputs[rng.random(inputs.shape) < 0.1] = np.nan
    return inputs, outcome


@pytest.fixture(scope="module")
def booster(samples) -> xgb.Booster:
    data = xgb.QuantileDMatrix(*samples, feature_names=[f"input {i}" for i in range(WIDTH)])
    return xgb.train({"objective": "binary:logistic", "max_depth": 3, "base_score": 0.5}, data, 20)


def imputed(learner, samples):
    return make_pipeline(SimpleImputer(), learner).fit(*samples)


def score(members, inputs):
    return graph.Scorer(graph.joined(members, WIDTH), WIDTH)(inputs)


def test_trees_answer_as_the_booster_does_missing_values_included(samples, booster):
    assert np.allclose(
        score([graph.of_booster("trees", booster)], samples[0]), booster.inplace_predict(samples[0]), atol=1e-6
    )


def test_the_score_is_the_mean_of_the_members(samples, booster):
    forest = imputed(RandomForestClassifier(20, max_depth=4, random_state=1), samples)
    network = imputed(MLPClassifier((8,), max_iter=30, random_state=1), samples)
    members = [
        graph.of_booster("trees", booster),
        graph.of_classifier("forest", forest, WIDTH),
        graph.of_classifier("network", network, WIDTH),
    ]
    expected = np.mean(
        [booster.inplace_predict(samples[0]), *(m.predict_proba(samples[0])[:, 1] for m in (forest, network))], axis=0
    )
    assert np.allclose(score(members, samples[0]), expected, atol=1e-6)


def test_decision_values_become_probabilities_by_their_slope_and_intercept(samples):
    machine = imputed(SVC(C=0.5), samples)
    scored = score([graph.of_classifier("support", machine, WIDTH, (1.7, -0.1))], samples[0])
    expected = 1 / (1 + np.exp(-(1.7 * machine.decision_function(samples[0]) - 0.1)))
    assert np.allclose(scored, expected, atol=1e-5)


def test_the_same_members_give_the_same_bytes(samples, booster):
    first, second = (graph.joined([graph.of_booster("trees", booster)], WIDTH) for _ in range(2))
    assert first == second


def test_one_row_and_many_rows_agree(samples, booster):
    members = [graph.of_booster("trees", booster)]
    alone = np.concatenate([score(members, row[None]) for row in samples[0][:20]])
    assert (alone == score(members, samples[0])[:20]).all()


@pytest.mark.parametrize("broken", [b"", b"not a graph", slice(0, -50)])
def test_bytes_that_are_no_graph_are_refused(samples, booster, broken):
    whole = graph.joined([graph.of_booster("trees", booster)], WIDTH)
    with pytest.raises(ModelError, match="train again"):
        graph.Scorer(whole[broken] if isinstance(broken, slice) else broken, WIDTH)


def test_a_graph_of_other_inputs_is_refused(samples, booster):
    with pytest.raises(ModelError, match="expected a graph from 7 inputs"):
        graph.Scorer(graph.joined([graph.of_booster("trees", booster)], WIDTH), 7)


def altered(change) -> bytes:
    model = onnx.load_model_from_string(graph.constant(0.5, WIDTH))
    change(model)
    return model.SerializeToString()


def with_external_data(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[1]
    tensor.ClearField("float_data")
    tensor.raw_data = bytes(4)
    set_external_data(tensor, location="secrets/postgres", offset=0, length=4)


def with_another_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "StringSplit"


def with_a_function(model: onnx.ModelProto) -> None:
    model.functions.append(
        helper.make_function("", "Mean", ["a"], ["b"], [helper.make_node("Sin", ["a"], ["b"])], model.opset_import)
    )


def with_a_sparse_tensor(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add()


def with_external_data_above(model: onnx.ModelProto) -> None:
    with_external_data(model)
    set_external_data(model.graph.initializer[1], location="../../secrets/postgres", offset=0, length=4)


def with_external_data_in_an_attribute(model: onnx.ModelProto) -> None:
    tensor = helper.make_tensor("hidden", onnx.TensorProto.FLOAT, [1], bytes(4), raw=True)
    set_external_data(tensor, location="secrets/postgres", offset=0, length=4)
    model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)


def with_a_graph_inside(model: onnx.ModelProto) -> None:
    inner = onnx.GraphProto(name="inner")
    with_external_data(model)
    inner.initializer.add().CopyFrom(model.graph.initializer.pop(1))
    model.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.CopyFrom(inner)


def with_a_list_of_tensors(model: onnx.ModelProto) -> None:
    with_external_data_in_an_attribute(model)
    attribute = model.graph.node[0].attribute[-1]
    attribute.tensors.add().CopyFrom(attribute.t)
    attribute.ClearField("t")


def with_a_training(model: onnx.ModelProto) -> None:
    model.training_info.add()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_external_data, "the graph reads other files"),
        (with_a_sparse_tensor, "the graph reads other files"),
        (with_external_data_above, "the graph reads other files"),
        (with_external_data_in_an_attribute, "the graph reads other files"),
        (with_a_graph_inside, r"the graph has parts of its own \(g\)"),
        (with_a_list_of_tensors, r"the graph has parts of its own \(tensors\)"),
        (with_a_training, r"the graph has parts of its own \(training\)"),
        (with_another_operator, "the graph has the operators StringSplit"),
        (with_a_function, "the graph has the operators of functions"),
    ],
)
def test_a_graph_that_is_more_than_data_is_refused(change, reason):
    with pytest.raises(ModelError, match=reason):
        graph.Scorer(altered(change), WIDTH)
