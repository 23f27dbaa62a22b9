"""The life of versions: loaded, swapped, retried, unloaded."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lsp_keras.serving.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from lsp_keras.serving.models.manager import ModelManager, ModelSpec
from lsp_keras.serving.models.served_model import LoadPolicy, State
from lsp_keras.serving.models.versions import ModelConfig, VersionPolicy


class FakeServable:
    """Stands for a loaded folder; a folder with the file `broken` does not load."""

    def __init__(self, path: Path) -> None:
        if (path / "broken").exists():
            raise InvalidArgumentError("it is broken")
        if (path / "unforeseen").exists():
            raise TypeError("nobody thought of this")
        self.path = path
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def base(tmp_path) -> Path:
    (tmp_path / "m/1").mkdir(parents=True)
    return tmp_path / "m"


def make_manager(**policy: object) -> ModelManager:
    return ModelManager(LoadPolicy(FakeServable, **policy))  # type: ignore[arg-type]


def states(manager: ModelManager, name: str = "m") -> dict[int, State]:
    return {version.number: version.state for version in manager.status(ModelSpec(name))}


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within five seconds")


def reload(manager: ModelManager, *configs: ModelConfig) -> None:
    manager.configure(configs)


def test_the_newest_version_replaces_the_older_one(base) -> None:
    manager = make_manager()
    reload(manager, ModelConfig("m", base))
    with manager.handle(ModelSpec("m")) as first:
        assert first.number == 1
        (base / "2").mkdir()
        reload(manager, ModelConfig("m", base))
        with manager.handle(ModelSpec("m")) as second:
            assert second.number == 2
        # The first one is still in use.
        assert states(manager) == {2: State.AVAILABLE, 1: State.UNLOADING}
        assert not first.servable.closed  # type: ignore[attr-defined]
        with pytest.raises(NotFoundError, match=r"Specific\(m, 1\)"):
            manager.handle(ModelSpec("m", 1))
    wait_until(lambda: first.servable.closed)  # type: ignore[attr-defined]
    wait_until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})
    manager.stop()
    assert states(manager) == {2: State.END, 1: State.END}


def test_going_back_to_an_older_version(base) -> None:
    manager = make_manager()
    (base / "2").mkdir()
    reload(manager, ModelConfig("m", base))
    shutil.rmtree(base / "2")
    reload(manager, ModelConfig("m", base))

    def only_the_first_is_known() -> bool:
        reload(manager, ModelConfig("m", base))
        return states(manager) == {1: State.AVAILABLE}

    wait_until(only_the_first_is_known)
    (base / "2").mkdir()
    reload(manager, ModelConfig("m", base))
    wait_until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})


def test_a_version_that_will_not_load_leaves_the_older_one_in_place(base) -> None:
    manager = make_manager(max_retries=1, retry_seconds=0.0)
    reload(manager, ModelConfig("m", base))
    (base / "2").mkdir()
    (base / "2/broken").touch()
    loads = []
    for _ in range(4):
        reload(manager, ModelConfig("m", base))
        loads.append(states(manager))
    assert loads == [{2: State.END, 1: State.AVAILABLE}] * 4
    (status, _) = manager.status(ModelSpec("m"))
    assert (status.error.code, status.error.message) == ("INVALID_ARGUMENT", "it is broken")
    # Both tries are used up, but a folder that was mended is another one.
    (base / "2/broken").unlink()
    reload(manager, ModelConfig("m", base))
    assert states(manager)[2] is State.AVAILABLE


@pytest.mark.parametrize("error", ["broken", "unforeseen"])
def test_any_failure_ends_the_load_and_a_mended_folder_is_loaded(base, error) -> None:
    manager = make_manager(max_retries=0, retry_seconds=3600.0)
    reload(manager, ModelConfig("m", base))
    (base / "2").mkdir()
    (base / "2" / error).touch()
    manager.start_polling(0.01)
    wait_until(lambda: states(manager) == {2: State.END, 1: State.AVAILABLE})
    (status, _) = manager.status(ModelSpec("m"))
    assert status.error is not None
    assert ("TypeError: nobody" in status.error.message) == (error == "unforeseen")
    (base / "2" / error).unlink()
    wait_until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})
    manager.stop()


def test_an_unforeseen_failure_at_the_start_is_an_error(base) -> None:
    (base / "1/unforeseen").touch()
    manager = make_manager()
    with pytest.raises(UnavailableError, match="TypeError: nobody thought of this"):
        reload(manager, ModelConfig("m", base))


@pytest.mark.parametrize("kind", ["gone", "a file", "a broken link"])
def test_a_base_path_that_vanishes_for_a_moment_unloads_nothing(base, kind, caplog) -> None:
    manager = make_manager()
    reload(manager, ModelConfig("m", base))
    manager.start_polling(0.01)
    away = base.rename(base.parent / "away")
    if kind == "a file":
        base.touch()
    elif kind == "a broken link":
        base.symlink_to(base.parent / "nowhere")
    wait_until(lambda: bool(caplog.records))
    time.sleep(0.1)
    assert states(manager) == {1: State.AVAILABLE}
    (record,) = caplog.records
    assert "its loaded versions stay" in record.getMessage()
    if kind != "gone":
        base.unlink()
    away.rename(base)
    (base / "2").mkdir()
    wait_until(lambda: states(manager) == {2: State.AVAILABLE, 1: State.END})
    manager.stop()


def test_the_name_is_looked_at_before_the_version(base) -> None:
    manager = make_manager()
    reload(manager, ModelConfig("m", base, labels={"stable": 1}))
    with pytest.raises(InvalidArgumentError, match="ModelSpec has no name specified"):
        manager.handle(ModelSpec(""))
    with pytest.raises(InvalidArgumentError, match="Unrecognized servable version label: stable"):
        manager.handle(ModelSpec("other", label="stable"))
    assert [v.number for v in manager.status(ModelSpec("m", label="no such label"))] == [1]


def test_a_failed_load_is_retried(base) -> None:
    manager = make_manager(max_retries=1, retry_seconds=0.0)
    reload(manager, ModelConfig("m", base))
    (base / "2").mkdir()
    (base / "2/broken").touch()
    reload(manager, ModelConfig("m", base))
    (base / "2/broken").unlink()
    reload(manager, ModelConfig("m", base))
    assert states(manager)[2] is State.AVAILABLE


def test_polling_finds_new_and_vanished_versions(base) -> None:
    manager = make_manager()
    reload(manager, ModelConfig("m", base, VersionPolicy(latest=None)))
    manager.start_polling(0.01)
    (base / "2").mkdir()
    wait_until(lambda: states(manager) == {1: State.AVAILABLE, 2: State.AVAILABLE})
    shutil.rmtree(base / "1")
    wait_until(lambda: states(manager) == {2: State.AVAILABLE})
    manager.stop()


def test_a_new_configuration_replaces_the_whole_old_one(base) -> None:
    manager = make_manager()
    shutil.copytree(base, base.parent / "n")
    reload(manager, ModelConfig("m", base))
    reload(manager, ModelConfig("n", base.parent / "n"))
    assert manager.models() == {"n": [1]}
    with pytest.raises(NotFoundError, match=r"Latest\(m\)"):
        manager.handle(ModelSpec("m"))


def test_labels_name_available_versions_only(base) -> None:
    manager = make_manager()
    (base / "2").mkdir()
    both = VersionPolicy(latest=2)
    reload(manager, ModelConfig("m", base, both, {"stable": 1, "canary": 2}))
    with manager.handle(ModelSpec("m", label="stable")) as stable:
        assert stable.number == 1
    with pytest.raises(InvalidArgumentError, match="Unrecognized servable version label: no"):
        manager.handle(ModelSpec("m", label="no"))
    with pytest.raises(FailedPreconditionError, match="label stable to version 3 of model m"):
        reload(manager, ModelConfig("m", base, both, {"stable": 3}))
    with manager.handle(ModelSpec("m", label="canary")) as canary:
        assert canary.number == 2
    tolerant = ModelManager(LoadPolicy(FakeServable), allow_labels_for_unavailable=True)  # type: ignore[arg-type]
    reload(tolerant, ModelConfig("m", base, both, {"later": 3}))
    with pytest.raises(NotFoundError, match=r"Specific\(m, 3\)"):
        tolerant.handle(ModelSpec("m", label="later"))


def test_a_failed_configuration_changes_nothing(base) -> None:
    manager = make_manager()
    reload(manager, ModelConfig("m", base))
    (base.parent / "bad/1").mkdir(parents=True)
    (base.parent / "bad/1/broken").touch()
    with pytest.raises(UnavailableError, match="Model bad did not become available: it is br"):
        reload(manager, ModelConfig("bad", base.parent / "bad"))
    with pytest.raises(UnavailableError, match="no version to serve"):
        reload(
            manager,
            ModelConfig("m", base, VersionPolicy(specific=frozenset({5}))),
        )
    with pytest.raises(InvalidArgumentError, match="Could not find base path"):
        reload(manager, ModelConfig("m", base / "missing"))
    with pytest.raises(InvalidArgumentError, match="Model m is configured twice"):
        reload(manager, ModelConfig("m", base), ModelConfig("m", base))
    assert manager.models() == {"m": [1]}


@pytest.mark.parametrize("path", ["/a\0b", "/" + "a" * 300, "/" + "a/" * 3000, "/dev/null", "\0"])
def test_a_base_path_that_no_folder_has_is_refused(base, path: str) -> None:
    manager = make_manager()
    reload(manager, ModelConfig("m", base))
    with pytest.raises(InvalidArgumentError, match="Could not find base path"):
        reload(manager, ModelConfig("m", Path(path)))
    assert manager.models() == {"m": [1]}


def test_a_version_that_cannot_be_closed_has_ended_all_the_same(base) -> None:
    class Stuck(FakeServable):
        def close(self) -> None:
            raise OSError("it is stuck")

    manager = ModelManager(LoadPolicy(Stuck))  # type: ignore[arg-type]
    reload(manager, ModelConfig("m", base))
    manager.stop()
    assert states(manager) == {1: State.END}


def test_handles_held_by_many_threads_are_all_released(base) -> None:
    manager = make_manager()
    reload(manager, ModelConfig("m", base))

    def use() -> None:
        for _ in range(200):
            with manager.handle(ModelSpec("m")) as handle:
                handle.retain()
                assert not handle.servable.closed  # type: ignore[attr-defined]
                handle.release()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(2, 12):
        (base / str(number)).mkdir()
        reload(manager, ModelConfig("m", base))
    for thread in threads:
        thread.join()
    manager.stop()
    assert set(states(manager).values()) == {State.END}
