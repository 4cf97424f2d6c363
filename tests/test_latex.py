"""A table for a paper says every label as it stands, and pdflatex sets it."""

import re
import shutil
import subprocess

import pytest
from labels import HOSTILE, SHOUT, noise
from pylatexenc.latex2text import LatexNodes2Text

from mbt_cli.document import Column, Row, Table, latex
from mbt_cli.document.spans import plain

SIGNS = [chr(code) for code in range(0x20, 0x3000) if not latex.UNWRITTEN.match(chr(code))]
UNREAD = {r"{\textasciicircum}": "{}^{}", r"{\textbar}": "{}|{}", r"\texttt": ""}
"""What the library that reads LaTeX does not know."""


def test_latex_sets_a_table_that_names_what_it_needs():
    assert latex.table(SHOUT, "Of `two`, 50% & more.", "tab:a_b {c}").splitlines() == [
        r"% Needs \usepackage{booktabs} in the preamble; to be set with \input.",
        r"\begin{table}[t]", r"\centering", r"\footnotesize", r"\setlength{\tabcolsep}{4pt}",
        r"\caption{Of \texttt{two}, 50\% \& more.}", r"\label{tab:a_b--c-}",
        r"\begin{tabular}{@{}lrr@{}}", r"\toprule",
        r"strategy & test mAP & seconds \\", r"\midrule",
        r"late & 0.840 \ensuremath{\pm} 0.002 & 5.7 \\",
        r"\textbf{bottleneck} & \textbf{0.963} & \textbf{7.1} \\",
        r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip


def test_latex_stacks_a_name_that_is_wider_than_its_column():
    slim = Table((Column("GMACs per clip and view", True), Column("a b")), (Row(("0.0013", "c")),))
    head = r"\shortstack[r]{GMACs\\per\\clip\\and\\view} & \shortstack[l]{a\\b} \\"
    assert head in latex.table(slim, "", "").splitlines()
    assert "\n \\\\\n" in latex.table(Table((Column(""),), ()), "", "")


@pytest.mark.parametrize("text", [*HOSTILE, *map(noise, range(97))])
def test_latex_says_any_text_and_runs_none(text):
    page = latex.table(Table((Column("a"), Column("b")), (Row((text, text)),) * 2), text, text)
    row = page.splitlines()[-4].removesuffix(r" \\")
    bare = re.sub(r"\\[\\{}%$&#_]", "", page)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[$#_`|]|--|,,", row + page.splitlines()[5])
    assert not re.search(r"(\\\\|rule)\s*[\[*]", page)
    assert row.isascii()
    told = re.sub(r"[^ -~¡-ž–−±×≥μ]|[¸ąĄęĘ]", lambda c: f"[U+{ord(c[0]):04X}]", plain(text))
    for command, sign in UNREAD.items():
        row = row.replace(command, sign)
    back = [LatexNodes2Text(strict_latex_spaces=True).latex_to_text(c) for c in row.split(" & ")]
    assert back == [told.replace('"', "”").replace("−", "-")] * 2


def test_latex_has_a_way_to_set_every_character():
    assert len(SIGNS) > 400
    assert latex.table(SHOUT, " ".join(SIGNS), "").isascii()


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_pdflatex_sets_any_text(tmp_path):
    texts = [*HOSTILE, *map(noise, range(97)), *SIGNS]
    rows = tuple(Row((text, text[::-1]), strong=place % 3 == 0) for place, text in enumerate(texts))
    columns = (Column("`code` ["), Column("* a much longer name, in lines", number=True))
    tables = [Table(columns, rows[i : i + 40]) for i in range(0, len(rows), 40)]
    for place, table in enumerate(tables):
        (tmp_path / f"{place}.tex").write_text(latex.table(table, texts[place], texts[place]))
    inputs = "\n".join(rf"\input{{{place}}}\clearpage" for place in range(len(tables)))
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "paper.tex").write_text(rf"{head}{inputs}\end{{document}}")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert b"Missing character" not in (tmp_path / "paper.log").read_bytes()
