"""Check a built site: every link leads to a page and a place that exist, and no page loads anything from elsewhere.

Run as python docs/check_site.py docs/_build/html.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src")}
NOT_LOADED = {"canonical", "next", "prev", "search", "index", "author"}  # of <link rel=...>


class Page(HTMLParser):
    """The places of a page that links can lead to, its links, and what it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.places, self.links, self.loads, self.is_faulty = set(), [], [], False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.is_faulty |= "problematic" in (attrs.get("class") or "").split()  # markup that docutils did not understand
        self.places |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        for key in ("href", "src"):
            if (tag, key) in LOADING and attrs.get(key) and attrs.get("rel") not in NOT_LOADED:
                self.loads.append(attrs[key])


def is_elsewhere(link: str) -> bool:
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def complaints(site: Path) -> list[str]:
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name} loads {link}" for link in page.loads if is_elsewhere(link) and not link.startswith("data:")]
        found += [f"{name} has markup that was not understood"] * page.is_faulty
        for link in page.links + page.loads:
            if is_elsewhere(link):
                continue
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{name} links to {link}, which does not exist")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
                found.append(f"{name} links to {link}, a place that does not exist")
    return sorted(set(found))


if __name__ == "__main__":
    complained = complaints(Path(sys.argv[1]))
    print("\n".join(complained) or "Every link leads somewhere, and nothing is loaded from elsewhere")
    sys.exit(bool(complained))
