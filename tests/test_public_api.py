"""What users import is one short list for each package; every name of it works."""

import subprocess
import sys
from importlib import import_module

import pytest

from lsp_keras import registry

# All that a user may rely on, beside the registered units, which `lsp-keras list` shows.
API = {
    "attacks": "Attack AttackResult Cascade Ensemble LogitsFn NonFiniteError Problem Unperturbed "
    "in_cascade inference_logits",
    "augmentations": "Augmentation",
    "classifiers": "Classifier PixelRange SavedModelClassifier adapt choose_output feature_model "
    "find_file load_classifier load_keras parse_pixel_range probe read sample_rows trainable",
    "datasets": "EpochBatches Folders OpenSource ReadOptions Source SourceSplit attach "
    "count_batches encoded_files from_arrays load load_test make_batches prepare split_size",
    "evaluation": "AttackRecord Diagnosis Flag LocalStructure Profile Report SUITES Share "
    "build_attacks cascade diagnose evaluate merge model_fingerprint profile shard_record",
    "export": "Agreement ExportOptions compare_files export_model make_card",
    "losses": "",
    "methods": "AdversarialTrainer RobustTrainer SingleStepTrainer StepOptions Terms",
    "models": "",
    "neighbors": "BatchMix Contrast FeatureSource GroupedOrder MiningSettings MutualNeighbors "
    "SPACES check_belongs diagnose embeddings_source features_path find_features find_or_mine "
    "image_features knn_accuracy load_features load_table mine mutual_share nearest_among "
    "random_neighbors save_features save_table table_path",
    "pretraining": "MoCoTrainer PUBLISHED_EPOCHS PretrainSettings encoder_folder "
    "find_or_pretrain pretrain usual_epochs",
    "regularizers": "Anchor Batch FEATURES NEIGHBORS Outputs Regularizer Step",
    "reports": "Measured Request measure write_page",
    "runs": "Expected Exported FitConfig FitResult NOTES expected_accuracies export_run "
    "find_recipe fit read_config recipe_summary structure_of",
    "serving": "Client ClientError Prediction Retries",
    "training": "BestAndLast BestAverage CollapseGuard CoupledSGD Cyclic EarlyStopping HistoryCSV "
    "OneCycle OneCycleMomentum OverfittingGuard RobustValidation SCHEDULES StatefulCallback "
    "TensorBoardScalars ThroughputProgress make_deterministic run_training schedule",
}
KINDS = {
    "attacks": "attack",
    "augmentations": "augmentation",
    "losses": "loss",
    "methods": "method",
    "models": "model",
    "regularizers": "regularizer",
}


@pytest.mark.parametrize("name", API)
def test_the_public_names_are_these(name: str) -> None:
    units = set()
    if name in KINDS:
        kind = KINDS[name]
        units = {registry.unit_name(kind, stem) for stem in registry.names(kind)}
    package = import_module(f"lsp_keras.{name}")
    assert units <= set(package.__all__)
    assert set(package.__all__) - units == set(API[name].split())


@pytest.mark.parametrize("name", API)
def test_every_public_name_is_what_it_says(name: str) -> None:
    package = import_module(f"lsp_keras.{name}")
    for public in package.__all__:
        found = getattr(package, public)
        assert not isinstance(found, type(sys)), f"{name}.{public} is a module"
    assert sorted(set(package.__all__)) == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize("name", KINDS)
def test_every_registered_unit_is_a_public_name(name: str) -> None:
    package, kind = import_module(f"lsp_keras.{name}"), KINDS[name]
    for stem in registry.names(kind):
        unit = registry.unit_name(kind, stem)
        assert getattr(package, unit) is registry.get(kind, stem)


def test_a_function_keeps_its_name_when_its_file_is_imported() -> None:
    code = (
        "import lsp_keras.models.resnet18, lsp_keras.evaluation.evaluate, lsp_keras.runs.fit\n"
        "from lsp_keras import evaluation, models, runs\n"
        "print(all(callable(f) for f in (models.resnet18, evaluation.evaluate, runs.fit)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    from lsp_keras import attacks

    with pytest.raises(AttributeError, match="no attribute 'PGE'"):
        attacks.PGE  # type: ignore[attr-defined]  # noqa: B018
