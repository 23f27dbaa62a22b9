import numpy as np

from lsp_keras.attacks.pgd import PGD
from lsp_keras.evaluation import evaluate
from lsp_keras.types import ThreatModel

THREAT = ThreatModel.parse("0.0275")


def test_attacked_images_are_kept(contrast_model, contrast_examples, tmp_path) -> None:
    images, labels = contrast_examples
    attacks = {"pgd": PGD(epsilon=0.0275)}
    for _ in range(2):
        evaluate(
            contrast_model,
            images,
            labels,
            attacks=attacks,
            threat=THREAT,
            indices=np.arange(10) + 100,
            examples_dir=tmp_path,
            batch_size=1,
        )
        with np.load(tmp_path / "pgd.npz", allow_pickle=False) as kept:
            # The clean mistake, index 109, is not attacked.
            assert kept["indices"].tolist() == list(range(100, 109))
            assert kept["success"].tolist() == [True] * 5 + [False] * 4
            np.testing.assert_array_equal(kept["clean"], images[:9])
            np.testing.assert_array_equal(kept["predictions"] != labels[:9], kept["success"])
            moved = np.abs(kept["adversarial"] - kept["clean"]).max(axis=(1, 2, 3))
            np.testing.assert_allclose(kept["distances"], moved, atol=1e-7)
            assert moved.max() <= 0.0275 + 1e-6
