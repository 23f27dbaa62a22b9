"""What `pyproject.toml` cannot say: the README as an index page shows it.

Links into the tree lead nowhere on an index page. They become absolute there where
`pyproject.toml` names the sources (`[project.urls]`, `Source`), and plain text elsewhere: the
files that they name are in the source distribution.
"""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")


def for_index(readme: str, source: str | None, version: str = "") -> str:
    """The README with links that work from anywhere.

    Args:
        readme: Text in Markdown, with links relative to the root of the tree.
        source: URL of the repository, or `None` where there is none.
        version: Version of the package, whose tag the links lead to.
    """

    def link(match: re.Match[str]) -> str:
        mark, text, path, anchor = match[1], match[2], match[3], match[4] or ""
        if source is not None:
            kind = "raw" if mark else "blob"
            return f"{mark}[{text}]({source}/{kind}/v{version}/{path}{anchor})"
        if mark:
            return f"({text}: {path} in the source distribution)"
        return text if text == path else f"{text} ({path})"

    return LINK.sub(link, readme)


if __name__ == "__main__":
    PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    README = (ROOT / "README.md").read_text(encoding="utf-8")
    setup(
        long_description=for_index(
            README, PROJECT.get("urls", {}).get("Source"), PROJECT["version"]
        ),
        long_description_content_type="text/markdown",
    )
