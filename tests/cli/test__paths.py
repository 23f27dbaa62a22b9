"""Names of files that are made from what users named."""

from lsp_keras.cli._paths import as_file_name


def test_a_name_of_a_dataset_is_one_part_of_a_path() -> None:
    assert as_file_name("folder:../photos") == "folder_photos"
    assert as_file_name("tfds:mnist/3d") == "tfds_mnist_3d"
    assert as_file_name("tiny_imagenet@32") == "tiny_imagenet_32"


def test_long_names_are_cut_and_stay_different() -> None:
    names = {as_file_name(f"folder:/{letter * 300}/photos") for letter in "abc"}
    assert len(names) == 3
    assert max(map(len, names)) < 100
