import numpy as np
import pytest

from lsp_keras.shards import Shard, dealt_together
from lsp_keras.validation import InputError


def test_shards_share_all_rows_and_give_back_their_order() -> None:
    for total, count in ((10, 3), (4, 4), (7, 1)):
        parts = [Shard(index, count).rows(total) for index in range(count)]
        assert sorted(np.concatenate(parts)) == list(range(total))
        assert dealt_together(parts).tolist() == list(range(total))


@pytest.mark.parametrize("variable", ["JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID"])
def test_the_scheduler_tells_the_place(variable) -> None:
    assert Shard.parse("8", {variable: "3"}) == Shard(3, 8)
    assert Shard.parse("1/8", {variable: "3"}) == Shard(1, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4/4", "counted from 0. Received: 4/4"),
        ("0/0", "counted from 0"),
        ("8", "Which of the 8 shards is meant"),
        ("1-4", "I/N, such as 0/4"),
        ("", "I/N, such as 0/4"),
    ],
)
def test_other_texts_are_refused(text, message) -> None:
    with pytest.raises(InputError, match=message):
        Shard.parse(text, {})
