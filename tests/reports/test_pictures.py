import base64
import io

import numpy as np
from PIL import Image

from lsp_keras.reports.pictures import Attacked, data_uri, load_attacked, picture_rows


def attacked(success, labels):
    count = len(labels)
    clean = np.full((count, 4, 4, 1), 0.5, np.float32)
    return Attacked(
        attack="pgd",
        indices=np.arange(count),
        labels=np.array(labels),
        predictions=np.array(labels),
        success=np.array(success, bool),
        clean=clean,
        adversarial=clean + 0.25,
    )


def predict(images):
    """Sure of class 1 where an image is bright, of class 0 else."""
    bright = images.mean(axis=(1, 2, 3)) > 0.6
    return np.where(bright[:, None], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0]).astype(np.float32)


def test_pictures_are_of_different_classes_both_fooled_and_not() -> None:
    found = attacked([1] * 12 + [0] * 6, [0, 1, 2] * 6)
    rows = picture_rows(found, predict, ("a", "b", "c"))
    assert [row["fooled"] for row in rows] == [True] * 3 + [False] * 3
    for half in (rows[:3], rows[3:]):
        assert [row["truth"] for row in half] == ["a", "b", "c"]
    assert rows[0]["before"] == "a, 100 % sure"
    assert rows[0]["after"] == "b, 100 % sure"


def test_where_all_are_fooled_all_pictures_are_of_those() -> None:
    rows = picture_rows(attacked([1] * 6, [0, 1, 2] * 2), predict, ("a", "b", "c"))
    assert [row["fooled"] for row in rows] == [True] * 3


def test_an_image_is_the_page_s_own() -> None:
    pixels = np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 2, 3)
    head, _, text = data_uri(pixels).partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        np.testing.assert_array_equal(np.asarray(image), np.rint(255 * pixels))


def test_the_attack_that_broke_the_most_is_shown(tmp_path) -> None:
    for name, success in (("fgsm", [1, 0]), ("cascade+pgd", [1, 1])):
        kept = attacked(success, [0, 1])
        arrays = {key: getattr(kept, key) for key in Attacked.__dataclass_fields__}
        arrays.pop("attack")
        np.savez_compressed(tmp_path / f"{name}.npz", **arrays, distances=np.zeros(2))
    assert load_attacked(tmp_path).attack == "cascade/pgd"
    assert load_attacked(tmp_path / "nowhere") is None
    # A damaged one is no reason to do without the others.
    whole = (tmp_path / "cascade+pgd.npz").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "cascade+pgd.npz").write_bytes(content)
        assert load_attacked(tmp_path).attack == "fgsm"
    np.savez(tmp_path / "cascade+pgd.npz", labels=np.array(["a"]))
    assert load_attacked(tmp_path).attack == "fgsm"
