r"""A table as LaTeX, for a paper's own text: `\input{table}` sets it. In it nothing is a command.

Compiles with pdflatex without packages other than booktabs.
"""

import re
from textwrap import wrap

from pylatexenc.latexencode import (
    RULE_DICT,
    RULE_REGEX,
    UnicodeToLatexConversionRule,
    UnicodeToLatexEncoder,
)

from mbt_cli.document import Row, Table
from mbt_cli.document.spans import plain, spans

HEAD = r"""% Needs \usepackage{booktabs} in the preamble; to be set with \input.
\begin{table}[t]
\centering
\footnotesize
\setlength{\tabcolsep}{4pt}"""

UNWRITTEN = re.compile(
    "[^ -~¡-žΑ-ΡΣ-Ωα-ω‐‒-—‘’“”†‡•…‰′″⁰⁴-₎←-↓↔⇒∂∆∈∏∑−√∞∥∩∪≈≠≡≤≥]|[¸«»ÐÞðþĄąĐđĘęĮįŉŊŋŲų]"
)
"""Characters that pdflatex cannot set by its own fonts in their old encoding, OT1."""
SIGNS = {
    "×": r"\ensuremath{\times}", "µ": r"\ensuremath{\mu}", "°": r"\ensuremath{^\circ}",
    "←": r"\ensuremath{\leftarrow}", "→": r"\ensuremath{\rightarrow}",
    "`": r"{\textasciigrave}", "|": r"{\textbar}", "[": "{[}", "*": "{*}", '"': "{''}",
}  # fmt: skip
"""Set otherwise than by the library: its arrows are bitmaps in a plain TeX; at the start of a row,
a bracket or a star would belong to the command before it."""
LIGATURES = re.compile("-(?=-)|'(?=')|,(?=,)")
"""Two of these in a row would become another sign."""
ENCODER = UnicodeToLatexEncoder(
    conversion_rules=[
        UnicodeToLatexConversionRule(RULE_DICT, {ord(sign): tex for sign, tex in SIGNS.items()}),
        UnicodeToLatexConversionRule(
            RULE_REGEX,
            [
                (UNWRITTEN, lambda found: f"{{[}}U+{ord(found[0]):04X}]"),
                (LIGATURES, lambda found: f"{found[0]}{{}}"),
            ],
        ),
        "defaults",
    ],
    unknown_char_policy="fail",
)


def table(table: Table, caption: str, label: str) -> str:
    r"""A floating `table` with a caption above it, to be named by `\ref{label}`."""
    aligned = "".join("r" if column.number else "l" for column in table.columns)
    rows = [r"\toprule", _row(_names(table)), r"\midrule"]
    rows += [_row(_texts(row)) for row in table.rows]
    return "\n".join([
        HEAD,
        rf"\caption{{{_words(caption)}}}",
        rf"\label{{{re.sub(r'[^A-Za-z0-9:._-]', '-', label)}}}",
        rf"\begin{{tabular}}{{@{{}}{aligned}@{{}}}}",
        *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


def _row(texts: list[str]) -> str:
    return rf"{' & '.join(texts)} \\"


def _texts(row: Row) -> list[str]:
    texts = map(_words, row.texts)
    return [rf"\textbf{{{text}}}" if row.strong and text else text for text in texts]


def _names(table: Table) -> list[str]:
    """Names of columns, in several lines where they would be wider than what stands below."""
    names = []
    for place, column in enumerate(table.columns):
        name = plain(column.name)
        widths = map(len, [*name.split(), *(row.texts[place] for row in table.rows)])
        lines = wrap(name, max([1, *widths]), break_long_words=False)
        side, stack = "r" if column.number else "l", r"\\".join(map(_encoded, lines))
        names.append(rf"\shortstack[{side}]{{{stack}}}" if len(lines) > 1 else stack)
    return names


def _words(text: str) -> str:
    """A text within a line."""
    sets = {True: r"\texttt{%s}", False: "%s"}
    return "".join(sets[span.code] % _encoded(span.text) for span in spans(text))


def _encoded(text: str) -> str:
    return ENCODER.unicode_to_latex(text)
