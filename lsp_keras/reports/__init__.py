"""One page to hand over: what was measured of a model, and what was not."""

from typing import TYPE_CHECKING

from lsp_keras._face import show

if TYPE_CHECKING:
    from lsp_keras.reports.measure import Measured, Request, measure
    from lsp_keras.reports.page import write_page

__all__ = ["Measured", "Request", "measure", "write_page"]

show(__name__)
