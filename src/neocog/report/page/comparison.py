"""A comparison as one page, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from neocog.comparison.words import about_text, cautions, differences_about, figures_rows, inside, pairs_rows
from neocog.report.page.frame import page_environment, write_page
from neocog.report.page.pictures import image_uri

if TYPE_CHECKING:
    from neocog.comparison import Comparison, Difference

_MOST = 60
_SMALL = 64  # pixels

_GRID = """<table>
<thead><tr>{% for head in heads %}<th scope="col"{{ number if loop.index0 in right }}>{{ head }}</th>{% endfor %}</tr>
</thead>
<tbody>
{% for row in rows %}
<tr>{% for cell in row %}{% if loop.first %}<th scope="row">{{ cell }}</th>{% else %}\
<td{{ number if loop.index0 in right }}>{{ cell }}</td>{% endif %}{% endfor %}</tr>
{% endfor %}
</tbody>
</table>"""


def write_comparison(path: Path | str, found: Comparison) -> Path:
    """Write the page about a comparison to `path`, whole or not at all; gives `path`.

    The file holds everything that it shows: it asks no network for anything and runs no script. Raises `NeocogError`
    where it cannot be written; what stood there then stays.
    """
    environment = page_environment()
    grid = environment.from_string(_GRID)

    def as_table(given: tuple[Sequence[str], Sequence[Sequence[str]], Sequence[str]]) -> Markup:
        heads, rows, right = given
        places = [place for place, head in enumerate(heads) if head in right]
        return Markup(grid.render(heads=heads, rows=rows, right=places, number=Markup(' class="number"')))

    shown = found.differences[:_MOST]
    height, width = found.images.sets[0].images.shape[2:]
    return write_page(
        path,
        "comparison.html",
        environment,
        found=found,
        title=" · ".join(item.name for item in found.compared),
        about=about_text(found),
        figures=figures_rows(found),
        pairs=pairs_rows(found),
        cautions=list(cautions(found)),
        told=differences_about(found, len(shown)),
        shown=[_item(found, item) for item in shown],
        small=max(height, width) <= _SMALL,
        height=height,
        width=width,
        grid=as_table,
    )


def _item(found: Comparison, item: Difference) -> dict[str, Any]:
    return {
        "image": image_uri(found.images.sets[0].images[item.place].numpy()),
        "label": item.label,
        "name": inside(item.name, found.images.source),
        "answers": [
            {
                "name": one.name,
                "label": said,
                "confidence": f"{100 * sure:.0f}\N{NO-BREAK SPACE}%",
                "right": said == item.label,
            }
            for one, (said, sure) in zip(found.compared, item.answers, strict=True)
        ],
    }
