"""Names of classes and settings as matplotlib shows them: literally."""

from sklenet._utils.printable import make_printable


def as_label(name) -> str:
    """Return a name as text that matplotlib shows as it is.

    matplotlib takes what is between two dollar signs for a formula, and fails on one that
    is none; a control character makes an SVG file that is not XML.

    Parameters
    ----------
    name : object
        Usually a str, or a label of numpy's.
    """
    return make_printable(str(name)).replace("$", r"\$")


def add_legend(place, lines, **options):
    """Add a legend of `lines` under the labels that they have.

    matplotlib itself leaves out labels that begin with an underscore.

    Parameters
    ----------
    place : matplotlib Axes or Figure
    lines : list of matplotlib Artist
    **options
        Of matplotlib's ``legend``.

    Returns
    -------
    matplotlib Legend
    """
    legend = place.legend(lines, [str(k) for k in range(len(lines))], **options)
    for text, line in zip(legend.get_texts(), lines, strict=True):
        text.set_text(line.get_label())
    return legend


def update_legend(ax, lines):
    """Add a legend of the axes' labelled artists, `lines` among them whatever their label.

    Parameters
    ----------
    ax : matplotlib Axes
    lines : list of matplotlib Artist

    Returns
    -------
    matplotlib Legend
    """
    others, _ = ax.get_legend_handles_labels()
    return add_legend(ax, [*(line for line in others if line not in lines), *lines])
