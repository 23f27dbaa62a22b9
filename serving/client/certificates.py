"""Files of certificates, as anybody may have written them."""

import ssl
from pathlib import Path

from lsp_keras.validation import InputError, check_file

_LONGEST_FILE = 2**24


def read_certificates(path: Path | str) -> bytes:
    """The contents of a PEM file with the authorities to trust.

    Args:
        path: The file.

    Raises:
        InputError: It is missing, no regular file or too long, or holds no certificate.
    """
    path = Path(path)
    check_file(path, _LONGEST_FILE)
    try:
        contents = path.read_bytes()
        # gRPC would not say what is wrong with them: its connections fail.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise InputError(f"{path} is no PEM file of certificates.") from error
    except OSError as error:
        raise InputError(f"Cannot read the certificates {path}: {error.strerror}.") from error
    return contents
