"""A page as tests read it, and numbers as pages write them."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr", "line", "rect", "circle", "polyline", "polygon"}


class Page(HTMLParser):
    """Tables by section, balance of tags, and addresses that a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.open, self.fetched, self.ids, self.links = [], [], [], []
        self.tables, self.section, self.cell = {}, None, None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [
            attributes[name] for name in ("src", "srcset", "data", "poster") if attributes.get(name)
        ]
        if "href" in attributes:
            (self.links if tag == "a" else self.fetched).append(attributes["href"])
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "section":
            self.section = attributes.get("id")
        elif tag == "table":
            self.tables.setdefault(self.section, []).append([])
        elif tag == "tr":
            self.tables[self.section][-1].append([])
        elif tag in ("td", "th"):
            self.cell = ""

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag in ("td", "th"):
            self.tables[self.section][-1][-1].append(" ".join(self.cell.split()))
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


def rounded(value, digits=1):
    """Written as the page writes numbers, from Python's own rounding."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\u2212")


def with_sign(value):
    text = rounded(100 * value)
    return text if text.startswith("\u2212") or float(text) == 0 else f"+{text}"


def interval(estimate):
    return f"{rounded(100 * estimate['low'])}\u2013{rounded(100 * estimate['high'])}"


def signed_interval(estimate):
    return f"{with_sign(estimate['low'])} to {with_sign(estimate['high'])}"
