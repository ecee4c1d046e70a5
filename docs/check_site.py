"""Check a built site: links lead to existing pages and anchors, and no page loads anything from another site.

Run as python docs/check_site.py docs/_build/html.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src")}
NOT_LOADED = {"canonical", "next", "prev", "search", "index", "author"}  # of <link rel=...>


class Page(HTMLParser):
    """The anchors of a page, its links, and the files it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors, self.links, self.loads, self.is_faulty = set(), [], [], False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.is_faulty |= "problematic" in (attrs.get("class") or "").split()  # docutils could not parse some markup
        self.anchors |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        for key in ("href", "src"):
            if (tag, key) in LOADING and attrs.get(key) and attrs.get("rel") not in NOT_LOADED:
                self.loads.append(attrs[key])


def is_external(link: str) -> bool:
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


def complaints(site: Path) -> list[str]:
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        found += [f"{name} loads {link}" for link in page.loads if is_external(link) and not link.startswith("data:")]
        found += [f"{name} has markup that docutils could not parse"] * page.is_faulty
        for link in page.links + page.loads:
            if is_external(link):
                continue
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{name} links to {link}, which does not exist")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{name} links to {link}, an anchor that does not exist")
    return sorted(set(found))


if __name__ == "__main__":
    faults = complaints(Path(sys.argv[1]))
    print("\n".join(faults) or "All links lead to existing pages, and nothing is loaded from other sites")
    sys.exit(bool(faults))
