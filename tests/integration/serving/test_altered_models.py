"""A hundred altered versions in a real MLflow server: each is refused, and the last good version serves on.

Whoever alters them may write every file and every tag of the registry, and has no key of the state folder.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import set_external_data

from mikrobot.domain.errors import ModelError
from mikrobot.models import artefacts, graph
from mikrobot.models.conformal import GRID, Window
from mikrobot.models.model import Model
from mikrobot.models.registry import WINDOW, Registry
from mikrobot.models.scope import CHAMPION, Scope
from mikrobot.models.signatures import SEAL, SIGNED, Signer
from mikrobot.runtime import SystemClock, wait_until
from mikrobot.serving.predictor import Predictor
from mikrobot.settings import Settings
from mikrobot.store.model_registry import open_registry
from tests.integration.serving.conftest import make_model

SYMBOL = "USDJPY"
SCOPE = Scope("simulated", SYMBOL)
READ = (*artefacts.FILES, SIGNED)
Rows = Callable[[int], list[dict[str, float]]]


@dataclass
class Altered:
    """Two good versions, of which the newer is the champion and is altered, and the older one is served."""

    registry: Registry
    predictor: Predictor
    good: Model
    newer: Model
    folder: Path
    older: Path
    backup: Path
    rng: Random

    @property
    def version(self) -> str:
        return self.newer.spec.version

    def tag(self, key: str, version: str | None = None) -> str:
        return self.registry.version("bos", version or self.version).tags.get(key, "")

    def set_tag(self, key: str, value: str) -> None:
        self.registry.note("bos", self.version, key, value)

    def file(self) -> Path:
        return self.folder / self.rng.choice(READ)

    def restore(self, tags: dict[str, str]) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.backup, self.folder)
        for key, value in tags.items():
            self.set_tag(key, value)


def flip_bits(case: Altered) -> None:
    path = case.file()
    content = bytearray(path.read_bytes())
    for _ in range(case.rng.randrange(1, 4)):
        content[case.rng.randrange(len(content))] ^= case.rng.randrange(1, 256)
    path.write_bytes(content)


def cut(case: Altered) -> None:
    path = case.file()
    content = path.read_bytes()
    start = case.rng.randrange(len(content))
    path.write_bytes(content[:start] + content[case.rng.randrange(start + 1, len(content) + 1) :])


def insert(case: Altered) -> None:
    path = case.file()
    content = path.read_bytes()
    at = case.rng.randrange(len(content) + 1)
    path.write_bytes(content[:at] + case.rng.choice([b" ", b"\n", case.rng.randbytes(9)]) + content[at:])


def empty(case: Altered) -> None:
    case.file().write_bytes(b"")


def take_a_file_of_another_version(case: Altered) -> None:
    name = case.rng.choice(["model.onnx", "extra_files/curves.json", SIGNED])
    shutil.copy(case.older / name, case.folder / name)


def take_newer_files_with_an_older_signature(case: Altered) -> None:
    shutil.copy(case.older / SIGNED, case.folder / SIGNED)
    case.set_tag(SEAL, case.tag(SEAL, case.good.spec.version))


def take_all_files_of_another_version(case: Altered) -> None:
    shutil.rmtree(case.folder)
    shutil.copytree(case.older, case.folder)
    if case.rng.random() < 0.5:
        case.set_tag(SEAL, case.tag(SEAL, case.good.spec.version))


def sign_with_another_key(case: Altered) -> None:
    if case.rng.random() < 0.7:
        constant = graph.constant(case.rng.random(), len(case.newer.inputs.names))
        (case.folder / "model.onnx").write_bytes(constant)
    other = Signer(str(case.rng.random()))
    files = {name: (case.folder / name).read_bytes() for name in READ if name != SIGNED}
    signed = other.sign(files)
    (case.folder / SIGNED).write_bytes(signed)
    case.set_tag(SEAL, other.seal("bos", case.version, signed))


def list_other_hashes(case: Altered) -> None:
    constant = graph.constant(0.9999999, len(case.newer.inputs.names))
    (case.folder / "model.onnx").write_bytes(constant)
    listed = json.loads((case.folder / SIGNED).read_text())
    listed["files"] |= json.loads(Signer("x").sign({"model.onnx": constant}))["files"]
    (case.folder / SIGNED).write_text(json.dumps(listed))


def write_the_list_otherwise(case: Altered) -> None:
    listed = json.loads((case.folder / SIGNED).read_text())
    (case.folder / SIGNED).write_text(json.dumps(listed, indent=case.rng.randrange(2, 9)))


def rename(case: Altered) -> None:
    path = case.file()
    path.rename(path.with_name(f"{path.name}{case.rng.choice(['.bak', '~', ' ', '.ONNX'])}"))


def remove_the_folder_of_files(case: Altered) -> None:
    shutil.rmtree(case.folder / "extra_files")


def replace_a_file_with_a_folder(case: Altered) -> None:
    path = case.file()
    path.unlink()
    path.mkdir()


def link_to_another_file(case: Altered) -> None:
    path = case.file()
    path.unlink()
    secret = case.registry._verifier._path  # the key's own folder
    path.symlink_to(case.rng.choice([secret, Path("/etc/hosts"), case.folder / "nothing", case.older / "MLmodel"]))


def refer_to_another_file(case: Altered) -> None:
    model = onnx.load_model_from_string(graph.constant(0.5, len(case.newer.inputs.names)))
    tensor = model.graph.initializer[1]
    tensor.ClearField("float_data")
    tensor.raw_data = bytes(4)
    location = case.rng.choice(["secrets/postgres", "../../secrets/models", "/etc/hosts", "weights.bin"])
    set_external_data(tensor, location=location, offset=0, length=4)
    (case.folder / "weights.bin").write_bytes(b"\0\0\0\0")
    (case.folder / "model.onnx").write_bytes(model.SerializeToString())


def change_the_seal(case: Altered) -> None:
    seal = case.tag(SEAL)
    older = case.tag(SEAL, case.good.spec.version)
    case.set_tag(SEAL, case.rng.choice(["", older, seal[::-1], seal[:-4], f"{seal} ", "nonsense"]))


def store_another_window(case: Altered) -> None:
    """Store a window without a signature, of another key, of another version, or with other counts."""
    counts = [case.rng.randrange(9) for _ in range(GRID)]
    window = Window(case.good.spec.trained_until, tuple(counts), tuple(reversed(counts))).to_json()
    signer = case.registry._require_signer()
    forged = [
        window,
        Signer("x").sign_window("bos", case.version, window),
        signer.sign_window("bos", case.good.spec.version, window),
        signer.sign_window("bos", case.version, window).replace("1", "2", 1),
        signer.sign_window("bos", case.version, window)[:-1],
    ]
    case.set_tag(WINDOW, case.rng.choice(forged))


ALTERATIONS = (
    flip_bits, flip_bits, cut, insert, empty, take_a_file_of_another_version, take_newer_files_with_an_older_signature,
    take_all_files_of_another_version, sign_with_another_key, list_other_hashes, write_the_list_otherwise, rename,
    remove_the_folder_of_files, replace_a_file_with_a_folder, link_to_another_file, refer_to_another_file,
    change_the_seal, change_the_seal, store_another_window, store_another_window,
)  # fmt: skip


def registered(registry: Registry, artifacts: Path, seed: int) -> tuple[Model, Path]:
    """Register a model; return it with its version, and the folder of its files."""
    before = set(artifacts.rglob("model.onnx"))
    model = make_model(seed)
    model = replace(model, spec=replace(model.spec, symbols=(SYMBOL,)))
    version = registry.log(model, parameters={}, metrics={}, tags={}, data_name="made up", data_sha256="0" * 64)
    (path,) = set(artifacts.rglob("model.onnx")) - before
    return replace(model, spec=replace(model.spec, version=version)), path.parent


@pytest.fixture(scope="module")
def altered(stage: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Altered]:
    home = stage.service.log.parent
    registry = open_registry(Settings(home=home, mlflow_port=stage.mlflow.port), signing=True)
    good, older = registered(registry, stage.artifacts, 101)
    registry.promote("bos", good.spec.version, "for the test")
    predictor = Predictor(registry)
    with pytest.MonkeyPatch.context() as alone:  # other tests promote versions of other symbols
        aliases = registry.aliases
        alone.setattr(registry, "aliases", lambda name: {a: v for a, v in aliases(name).items() if SYMBOL in a})
        assert predictor.refresh()
        newer, folder = registered(registry, stage.artifacts, 102)
        registry.promote("bos", newer.spec.version, "for the test")
        backup = shutil.copytree(folder, tmp_path_factory.mktemp("backup") / "version")
        yield Altered(registry, predictor, good, newer, folder, older, backup, Random(0))
    registry.withdraw("bos", SCOPE, "after the test")


@pytest.mark.parametrize("seed", range(100))
def test_an_altered_version_is_refused_and_the_last_good_one_serves_on(
    altered: Altered, feature_rows: Rows, seed: int
) -> None:
    altered.rng = Random(seed)
    tags = {key: altered.tag(key) for key in (SEAL, WINDOW)}
    try:
        ALTERATIONS[seed % len(ALTERATIONS)](altered)
        with pytest.raises(ModelError, match=rf"version {altered.version} (cannot be used|is not in|has no)"):
            altered.predictor.refresh()
    finally:
        altered.restore(tags)
    row = feature_rows(1)[0]
    answer = altered.predictor.predict(SYMBOL, row)
    assert answer.version == altered.good.spec.version
    expected = altered.good.predict(np.array([[row[name] for name in altered.good.spec.columns]]))
    assert [answer.probability_up, answer.probability_down] == expected[0].tolist()


def test_a_file_that_nothing_refers_to_changes_no_answer(altered: Altered) -> None:
    (altered.folder / "extra_files" / "weights.bin").write_bytes(b"\0" * 100)
    (altered.folder / "model.onnx.data").write_bytes(b"\0" * 100)
    (altered.folder / "python_model.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    try:
        loaded = altered.registry.load("bos", altered.version)
    finally:
        altered.restore({})
    values = np.ones((5, len(loaded.spec.columns)))
    assert (loaded.predict(values) == altered.newer.predict(values)).all()


def test_the_service_refuses_an_altered_champion_and_answers_with_a_good_version(
    altered: Altered, stage: Any, feature_rows: Rows
) -> None:
    models = {model.spec.version: model for model in (altered.good, altered.newer)}
    champion, folder = registered(altered.registry, stage.artifacts, 103)
    path = folder / artefacts.FILES[0]
    path.write_bytes(path.read_bytes() + b"altered")
    altered.registry.promote("bos", champion.spec.version, "for the test")
    refusal = f"version {champion.spec.version} cannot be used"
    try:
        wait_until(
            lambda: refusal in stage.service.log.read_text(),
            "the service did not refuse it",
            SystemClock(),
            timeout_s=60,
        )
        row = feature_rows(1)[0]
        answer = stage.client.predict(SYMBOL, row)
    finally:
        altered.registry.promote("bos", altered.version, "for the test")
    model = models[answer.version]
    expected = model.predict(np.array([[row[name] for name in model.spec.columns]]))
    assert [answer.probability_up, answer.probability_down] == expected[0].tolist()


def test_without_an_alteration_the_same_version_is_served(altered: Altered) -> None:
    """Shows that each refusal above was due to its alteration."""
    assert altered.registry.holders("bos", CHAMPION)[SCOPE] == altered.version
    assert altered.predictor.refresh()
    assert altered.predictor.spec(SYMBOL).version == altered.version
