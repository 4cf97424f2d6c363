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
from mbt_cli.document.spans import spans

HEAD = r"""% Needs \usepackage{booktabs} in the preamble; to be set with \input.
\begin{table}[t]
\centering
\small
\setlength{\tabcolsep}{4pt}"""

UNWRITTEN = re.compile(
    "[^ -~\u00a0-ſΑ-ΡΣ-Ωα-ω‐‒-—‘’“”†‡•…‰′″⁰⁴-₎←-↓↔⇒∂∆∈∏∑−√∞∥∩∪≈≠≡≤≥]|[«»ÐÞðþĄąĐđĘęĮįŉŊŋŲų]"
)
"""Characters that pdflatex cannot set by its own fonts in their old encoding, OT1."""
SIGNS = {"×": r"\times", "µ": r"\mu", "°": r"^\circ", "←": r"\leftarrow", "→": r"\rightarrow"}
"""In fonts that every TeX has as outlines, and the library's own commands for them not."""
RULES = (
    (UNWRITTEN, lambda found: f"{{[}}U+{ord(found[0]):04X}]"),
    (re.compile(r"-(?=-)"), "-{}"),  # two would become a dash
    (re.compile(r"'(?=')"), "'{}"),  # and these a quotation mark
    (re.compile(r"`"), r"{\textasciigrave}"),
    (re.compile(r"\|"), r"{\textbar}"),
    (re.compile(r"[\[*]"), r"{\g<0>}"),  # at the start of a row they would belong to its break
)
"""What is set for a character, before the library's own rules."""
ENCODER = UnicodeToLatexEncoder(
    conversion_rules=[
        UnicodeToLatexConversionRule(
            RULE_DICT, {ord(sign): rf"\ensuremath{{{of}}}" for sign, of in SIGNS.items()}
        ),
        UnicodeToLatexConversionRule(RULE_REGEX, RULES),
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
        words = [*column.name.split(), *(row.texts[place] for row in table.rows)]
        lines = wrap(column.name, max(map(len, words), default=1), break_long_words=False)
        side, stack = "r" if column.number else "l", r"\\".join(map(_words, lines))
        names.append(rf"\shortstack[{side}]{{{stack}}}" if len(lines) > 1 else stack)
    return names


def _words(text: str) -> str:
    return "".join(
        rf"\texttt{{{ENCODER.unicode_to_latex(s.text)}}}" if s.code
        else ENCODER.unicode_to_latex(s.text)
        for s in spans(text)
    )  # fmt: skip
