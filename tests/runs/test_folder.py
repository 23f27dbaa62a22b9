"""Which folder a run gets."""

from pathlib import Path

import pytest

from lsp_keras.runs.config import FitConfig, write_config
from lsp_keras.runs.folder import existing_run, new_run
from lsp_keras.validation import InputError

CONFIG = FitConfig.of(dataset="digits", adv=True)


def start(runs: Path, name: str | None, config: FitConfig) -> Path:
    folder = new_run(runs, name, config)
    write_config(folder.config, config)
    return folder.path


def test_the_same_command_twice_makes_two_runs(tmp_path: Path) -> None:
    names = [start(tmp_path, None, CONFIG).name for _ in range(3)]
    assert names == ["digits-at+lsp", "digits-at+lsp-2", "digits-at+lsp-3"]


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    start(tmp_path, "mine", CONFIG)
    with pytest.raises(InputError, match="Go on with it by --resume, or choose another --name"):
        new_run(tmp_path, "mine", CONFIG)


def test_resume_finds_the_newest_run_with_the_same_settings(tmp_path: Path) -> None:
    start(tmp_path, None, CONFIG)
    second = start(tmp_path, None, CONFIG)
    start(tmp_path, None, CONFIG.changed(epochs=3))
    assert existing_run(tmp_path, None, CONFIG).path == second
    moved = CONFIG.changed(data_dir="elsewhere", num_test=5)
    assert existing_run(tmp_path, None, moved).path == second


def test_resume_says_what_differs(tmp_path: Path) -> None:
    start(tmp_path, "mine", CONFIG)
    with pytest.raises(InputError, match=r"width \(64, not 16\), epochs \(30, not 3\)"):
        existing_run(tmp_path, "mine", CONFIG.changed(width=16, epochs=3))


def test_an_image_folder_may_have_been_moved(tmp_path: Path) -> None:
    started = CONFIG.changed(dataset="folder:photos")
    start(tmp_path, "mine", started)
    moved = started.changed(dataset="folder:/elsewhere/photos")
    assert existing_run(tmp_path, "mine", moved).path == tmp_path / "mine"
    with pytest.raises(InputError, match="dataset"):
        existing_run(tmp_path, "mine", started.changed(dataset="svhn"))


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run .*digits-at\+lsp to resume"):
        existing_run(tmp_path, None, CONFIG)


def test_a_run_from_before_a_setting_existed_is_found(tmp_path: Path) -> None:
    run = tmp_path / "digits-at+lsp"
    run.mkdir()
    (run / "config.toml").write_text('adv = true\nmethod = "at"\nselect_by = "robust"\n')
    config = FitConfig.of(adv=True, method="at", select_by="robust", tensorboard=True)
    assert existing_run(tmp_path, None, config).path == run
    with pytest.raises(InputError, match=r"awp \(0.0, not 0.01\)"):
        existing_run(tmp_path, None, config.changed(awp=0.01))
