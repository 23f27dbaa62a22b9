"""The token, as clients may send it."""

import pytest

from lsp_keras.serving.authentication import Token
from lsp_keras.serving.errors import UnauthenticatedError


@pytest.mark.parametrize(
    "header", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret", b"Bearer s3cret"]
)
def test_the_scheme_may_be_written_in_any_case(header) -> None:
    Token("s3cret").check(header)


@pytest.mark.parametrize(
    "header",
    [None, "", "s3cret", "Bearer", "Bearer ", "Bearer S3CRET", "Basic s3cret", "Bearer s3cret x"],
)
def test_anything_else_is_refused(header) -> None:
    with pytest.raises(UnauthenticatedError, match="Send the header"):
        Token("s3cret").check(header)


def test_without_a_token_everybody_is_let_in() -> None:
    Token(None).check(None)
