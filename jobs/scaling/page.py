"""One HTML page that needs nothing else: figures and table are inside it.

All that is put into a page goes through markup(): what is not Html is text, and escaped there, so that nothing of
a table, of machine.json or of a file's name can be more than text."""
import base64
import html

STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 Helvetica, Arial, sans-serif; color: #222; background: #fff; margin: 0 auto;
       max-width: 1240px; padding: 24px }
h1 { font-size: 28px; margin: 0 0 4px } h2 { font-size: 20px; margin: 36px 0 4px }
p { margin: 6px 0; max-width: 90ch } .small { color: #666; font-size: 13px } p.small { max-width: none }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin: 20px 0 }
.card { border: 1px solid #ddd; border-radius: 8px; padding: 12px 16px }
.card b { display: block; font-size: 34px; line-height: 1.15; color: #0072B2 }
.card.bad b { color: #D55E00 } .card span { font-size: 14px; color: #444 }
.caveats { background: #FFF6E5; border-left: 4px solid #E69F00; padding: 8px 16px; margin: 16px 0 }
.caveats ul { margin: 4px 0; padding-left: 20px } .caveats li { margin: 3px 0; font-size: 14px }
.row { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px }
img { width: 100%; height: auto } .wide img { max-width: 1100px } .half img { max-width: 760px }
table { border-collapse: collapse; font-size: 13px; margin: 8px 0; width: 100% }
th { text-align: right; border-bottom: 2px solid #999; padding: 3px 7px; font-weight: 600 }
td { text-align: right; border-bottom: 1px solid #eee; padding: 2px 7px; white-space: nowrap }
td:last-child { white-space: normal }
td.text, th.text { text-align: left } tr.over td { color: #999 }
pre { background: #f5f5f5; padding: 8px 12px; overflow-x: auto; font-size: 13px }
@media (max-width: 900px) { .row, .cards { grid-template-columns: 1fr } }
"""


class Html(str):
    """Text that is HTML already."""


def markup(template, *values):
    """A template of our own, with a {} for each value; values that are not Html are escaped."""
    return Html(template.format(*(value if isinstance(value, Html) else html.escape(str(value))
                                  for value in values)))


def joined(parts, between=""):
    return Html(between.join(markup("{}", part) for part in parts))


def picture(path, alt):
    with open(path, "rb") as file:
        data = base64.b64encode(file.read()).decode()
    kind = "svg+xml" if path.endswith(".svg") else "png"
    return markup('<img alt="{}" src="data:image/{};base64,{}">', alt, kind, data)


def cards(items):
    """(figure, words, good) each: what is to be understood in five seconds."""
    inside = joined(markup('<div class="card{}"><b>{}</b><span>{}</span></div>',
                           "" if good else " bad", number, words)
                    for number, words, good in items)
    return markup('<div class="cards">{}</div>', inside)


def caveats(items):
    if not items:
        return ""
    inside = joined(markup("<li>{}</li>", item) for item in items)
    return markup('<div class="caveats"><b>Do not be misled</b><ul>{}</ul></div>', inside)


def spread(band, digits=3):
    low, high = f"{band.low:.{digits}g}", f"{band.high:.{digits}g}"
    return markup("{} <span class=small>[{}, {}]</span>", f"{band.median:.{digits}g}", low, high)


def tags(tag, cells, texts):
    return joined(markup("<{}{}>{}</{}>", tag, " class=text" if i in texts else "", cell, tag)
                  for i, cell in enumerate(cells))


def table(curves):
    heads = ("scaling", "curve", "ranks", "tokens", "move", "seconds", "speed-up", "efficiency",
             "MB moved", "promised", "measured", "flags")
    texts = {0, 1, 4, 11}  # columns to the left
    rows = [tags("th", heads, texts)]
    for curve in curves:
        for p in curve.points:
            moved = (p.value("network_bytes") or 0) + (p.value("node_bytes") or 0)
            error = p.largest("max_error")
            cells = (curve.scaling, curve.label, p.ranks,
                     f"{int(p.first['tokens']):,}", p.first["move"], spread(p.seconds),
                     spread(p.speedup), spread(p.efficiency), f"{moved / 1e6:.3g}",
                     f"{p.largest('promise_error') or 0:.2g}",
                     "" if error is None else f"{error:.2g}", " ".join(p.flags))
            rows.append(markup("<tr{}>{}", Html(" class=over" if p.oversubscribed else ""),
                               tags("td", cells, texts)))
    return markup("<table>{}</table>", joined(rows))


def document(title, parts):
    return markup("<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>"
                  '<meta name=viewport content="width=device-width">'
                  "<title>{}</title><style>{}</style></head>\n<body>\n{}\n</body></html>\n",
                  title, Html(STYLE), joined(parts, "\n"))


def attachment(name, path):
    with open(path, "rb") as file:
        data = base64.b64encode(file.read()).decode()
    return markup('<a download="{}" href="data:text/csv;base64,{}">{}</a>', name, data, name)
