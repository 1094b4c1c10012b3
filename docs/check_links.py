"""Check that every internal link of the built documentation has a target.

python docs/check_links.py docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and anchors of an HTML page.

    Parameters
    ----------
    path : Path
        File of the page.

    Attributes
    ----------
    links : set of str
        Values of all ``href`` and ``src`` attributes.
    anchors : set of str
        Values of all ``id`` and ``name`` attributes, the possible targets of fragments.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def find_dead_links(root: Path) -> list[str]:
    """Find the internal links that have no target.

    Parameters
    ----------
    root : Path
        Folder of the built documentation.

    Returns
    -------
    list of str
        Sorted lines of the form "page: link".
    """
    root = root.resolve()
    # The HTML files in _static are templates of the theme.
    paths = [path for path in root.rglob("*.html") if "_static" not in path.parts]
    pages = {path: Page(path) for path in paths}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchor = unquote(parts.fragment)
            if not target.exists():
                dead.append(f"{path.relative_to(root)}: {link}")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                dead.append(f"{path.relative_to(root)}: {link}, no such anchor")
    return sorted(dead)


if __name__ == "__main__":
    found = find_dead_links(Path(sys.argv[1]))
    print("\n".join(found), file=sys.stderr)
    sys.exit(f"{len(found)} dead links" if found else 0)
