"""Whether a server should get traffic."""

from lsp_keras.serving.models.manager import ModelManager


class Readiness:
    """Ready while all models have an available version and the server is not stopping.

    Args:
        manager: Manager that holds the models.
    """

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager
        self.stopping = False

    def reason(self) -> str | None:
        """Why not, or `None`."""
        if self.stopping:
            return "stopping"
        waiting = [name for name, versions in self._manager.models().items() if not versions]
        return f"not available: {', '.join(sorted(waiting))}" if waiting else None
