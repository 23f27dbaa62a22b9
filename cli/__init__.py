"""The `lsp-keras` command line."""
