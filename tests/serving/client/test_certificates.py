"""What is no file of certificates is refused before anything is sent."""

from pathlib import Path

import pytest

from lsp_keras.serving import Client
from lsp_keras.serving.client.certificates import read_certificates
from lsp_keras.validation import InputError

KEY = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
DAMAGED = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("scheme", ["http", "https", "grpc", "grpcs"])
@pytest.mark.parametrize("contents", [b"", b"\0\xff" * 50, b"not PEM", KEY, DAMAGED])
def test_what_holds_no_certificate_is_refused(contents: bytes, scheme: str, tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    file.write_bytes(contents)
    # Nothing listens there, which would be another error.
    with pytest.raises(InputError, match=r"authorities\.pem is no PEM file of certificates\."):
        Client(f"{scheme}://127.0.0.1:9", model="affine", certificates=file)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Cannot read the certificates .* No such file"):
        read_certificates(tmp_path / "missing.pem")
    with pytest.raises(InputError, match=r"Cannot read the certificates .* Is a directory"):
        read_certificates(tmp_path)
    with (tmp_path / "long.pem").open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(InputError, match="over 16,777,216 bytes long"):
        read_certificates(tmp_path / "long.pem")
