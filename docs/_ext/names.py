"""Names of the package in code spans become links to their page of the API, which a plain view of the file lacks."""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

KINDS = {"class", "function"}


class LinkNames(SphinxPostTransform):
    default_priority = 400
    formats = ("html",)

    def run(self, **kwargs):
        pages = self.targets()
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext().split("(")[0].removesuffix(".from_estimator")
            page = pages.get(name)
            if page is None or self.env.docname in ("index", page.docname) or inside_link(literal):
                continue
            link = make_refnode(self.app.builder, self.env.docname, page.docname, page.node_id, [literal.deepcopy()])
            literal.replace_self(link)

    def targets(self):
        """Return the pages by full name and by last part, where that is of one page alone."""
        objects = {name: page for name, page in self.env.domains["py"].objects.items() if page.objtype in KINDS}
        last = [name.rsplit(".", 1)[1] for name in objects]
        short = {name.rsplit(".", 1)[1]: page for name, page in objects.items()}
        return objects | {name: page for name, page in short.items() if last.count(name) == 1}


def inside_link(node):
    while node is not None:
        if isinstance(node, nodes.reference | nodes.title):
            return True
        node = node.parent
    return False


def setup(app):
    app.add_post_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
