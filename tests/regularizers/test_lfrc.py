import keras
import numpy as np
import pytest
import tensorflow as tf

from lsp_keras.attacks.pgd import PGD
from lsp_keras.losses.relation import relation_loss
from lsp_keras.methods import ATTrainer, TRADESTrainer
from lsp_keras.regularizers import LFRC
from lsp_keras.validation import InputError


def build_classifier() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, 2, kernel_initializer=keras.initializers.HeNormal(seed=1)),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.HeNormal(seed=2)),
        ]
    )


def features_of(images: tf.Tensor) -> tf.Tensor:
    classifier = build_classifier()
    for layer in classifier.layers[:-1]:
        options = {"training": True} if "batch" in layer.name else {}
        images = layer(images, **options)
    return images


@pytest.mark.parametrize("kind", [ATTrainer, TRADESTrainer])
def test_compares_the_features_of_the_methods_own_images(
    kind: type[ATTrainer], labeled: dict[str, tf.Tensor]
) -> None:
    attack = PGD(epsilon=0.1, num_steps=2)
    trainer = kind(build_classifier(), attack=attack, regularizers=[LFRC()])
    trainer.compile(keras.optimizers.SGD(0.1))
    adversarial = trainer.perturb(labeled)
    prepared = trainer._prepare(labeled, adversarial)
    terms, anchor = trainer._all_terms(labeled, adversarial, prepared)
    expected = relation_loss(features_of(labeled["images"]), features_of(adversarial))
    assert float(tf.reduce_max(expected)) > 1e-4
    np.testing.assert_allclose(terms["lfrc"], expected, rtol=1e-3, atol=1e-6)
    assert anchor.features is not None
    np.testing.assert_allclose(anchor.features, features_of(adversarial), rtol=1e-5)


def test_features_of_an_odd_classifier_are_refused() -> None:
    classifier = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(InputError, match="must end with one"):
        LFRC().check(classifier)
