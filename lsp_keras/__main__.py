"""`python -m lsp_keras` is the command `lsp-keras`."""

from lsp_keras.cli.main import main

if __name__ == "__main__":
    main()
