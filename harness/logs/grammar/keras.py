"""Lines of training loops, Keras' and others': losses that are no number, progress, metrics.

Where a loss is printed, its name and its value may stand apart: `Loss for final step: nan`,
`Loss nan (nan)`, `'loss': [0.5, np.float64(nan)]`. Between the two are punctuation, numbers and a
few known words; any other word is the name of something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from harness.logs.grammar.needles import Needle
from harness.logs.grammar.numbers import finite
from harness.record.facts import Metric

NAN_NEEDLES: tuple[Needle, ...] = (
    rb"(?i:(?:loss|cost|entropy|nll|xent)[^\n]*(?:\b(?:nan|inf|infinity)\b|1\.#[iq]))",
    rb"(?i:\b(?:nan|inf|infinite|infinity|non-finite|invalid|diverged) [^\n]{0,30}loss)",
    rb"(?i:loss[^\n]{0,30}(?:infinite|finite|diverge))",
)
# Tables of fastai, pandas and CSV files: the head names the columns of the lines that follow.
HEAD_NEEDLES: tuple[Needle, ...] = (rb"(?i:loss[\w ,;|\t/.%\"'\xe2\x94\x82\x83-]*$)",)
ROW_NEEDLES: tuple[Needle, ...] = (rb"(?i:\b(?:nan|inf)\b)",)
METRIC_NEEDLES: tuple[Needle, ...] = (rb"Test (?:loss|accuracy):",)
# What shows that training goes on, and what shows that a script came to its end.
PROGRESS: tuple[Needle, ...] = (
    rb"(?i:\b(?:epoch|step|iter(?:ation)?|batch|round|trial|episode)s?\b[\]:=/# ]{0,4}\[?\d)",
    rb"\d+/\d+ ?\[|\d%\||it/s|s/it|ms/step",
    rb"(?i:\w{0,30}loss\b['\")]{0,2}[ :=|\[(]{1,6}[-+]?\d)",
    rb"(?i:\b(?:\w+_)?(?:acc|accuracy|ppl|perplexity|auc|f1|bleu|mse|mae"
    rb"|reward)\b['\"]?[ :=|]{1,4}\d)",
    rb'"event": ?"metric"|"epoch": ?\d|"step": ?\d|global_step',
)
COMPLETION: tuple[Needle, ...] = (
    rb'"event": ?"done"',
    rb"(?i:^[^\w\n]{0,10}(?:\S{0,40}[\]:|] {0,2})?(?:all |script |job |run |test "
    rb"|tests )?(?:done|finished|completed|succeeded|success)[^\w\n]{0,6}$)",
    rb"(?i:\b(?:train|test|evaluat|fit|optimi[sz]|search)\w*"
    rb" (?:is |was |has |run )?(?:done|finished|completed?|ended)\b)",
    rb"(?i:\b(?:finished|completed|done) (?:train|test|evaluat|fit)\w*)",
    rb"(?i:\b(?:test|final|eval|evaluation)[ _](?:set[: ]{1,2})?(?:average |avg "
    rb"|best )?(?:top-?1 )?"
    rb"(?:loss|acc|accuracy|score|auc|f1|map|ppl|bleu)\b[^\n]{0,20}\d)",
    rb"(?i:max_steps[^\n]{0,20} reached|saved (?:final )?(?:model|weights) to)",
    # Lightning, the Trainer of transformers, tf.estimator, YOLO
    rb"`Trainer\.(?:fit|test|validate)` stopped|['\"]?train_runtime['\"]?\s*[:=]",
    rb"Loss for final step: [-+]?\d|\d epochs completed in \d",
)

_VALUE = re.compile(
    rb"(?<![\w.])[-+]?\.?(nan|inf|infinity|1\.#(?:ind|inf|qnan)\w{0,4})(?!\w)"
    rb"(?!['\"]?\s{0,4}[:=]|\s{0,4}\?)",
    re.IGNORECASE,
)
_WORD = re.compile(rb"(?<![\w.])[A-Za-z_][\w@-]*(?:[./][A-Za-z_][\w@-]*)*")
_LOSS = re.compile(rb"loss|(?:^|_|/)(?:cost|nll|xent)(?![a-z])|cross[_-]?entropy")
_FILLERS = frozenset(
    b"for final step steps at epoch epochs batch per iteration iter is was became becomes of value"
    b" values equals went to the this training train after mean avg average total goes turned into"
    b" got computed has diverged with over rank in on tensor array float float16 float32 float64"
    b" bfloat16 devicearray eagertensor shape dtype numpy e".split()
)
_LIBRARIES = re.compile(rb"(?:np|numpy|jnp|jax|torch|tf|math)\b", re.IGNORECASE)
_BEFORE = 300  # bytes before a value in which its name is looked for
_VALUES_LIMIT = 100  # values that are looked at in a line
_SAID = re.compile(
    rb"\b(?:nan|inf|infinite|non-?finite|not finite|invalid)\b[ -](?:\w{1,20} ){0,1}loss(?:es)?\b"
    rb"(?!_)(?!\s*[:=]\s*(?:0|False|None|True|\d))"
    rb"|\bloss (?:value )?(?:is|was|became|went|has) (?:a |to )?"
    rb"(?:non-?finite|not finite|infinite|not a number|diverged|invalid)\b"
    rb"|Invalid loss, terminating training|Model diverged with loss|NanLossDuringTraining"
    rb"|LossTensor is inf or nan",
    re.IGNORECASE,
)
_ANOTHER = re.compile(rb"['\"]\s*,\s*['\"]")  # names side by side
# In front: the best so far, where it starts from; a condition; a word that denies.
_NOT_A_LOSS = re.compile(
    rb"(?:\b(?:best|lowest|min|minimum|smallest|previous|prev|initial|init|former|old|threshold)\b"
    rb"[\w /.-]{0,40}|\b(?:if|when|whether|unless|until|while|no|not|without|never|zero|0|on|any"
    rb"|stop_on|terminate[ _]on|check(?:ing)?(?: for)?|detect(?:ing)?|skip(?:ping)? (?:if|on|nan)"
    rb"|assert|raise[sd]?|avoid\w*|handle\w*|ignore\w*)\s{1,3}(?:a |the )?[\w /.-]{0,12})$",
    re.IGNORECASE,
)
_NOT_A_NAME = re.compile(
    rb"best|lowest|(?:^|[_./-])(?:min|prev|previous|init|initial|threshold|limit|count|num|has|is"
    rb"|check|clip|skip|nan|inf|patience|target|weight|scale)(?:$|[_./-])",
    re.IGNORECASE,
)
_NOT_A_REST = re.compile(
    rb"^(?:_?(?:scal|weight|count|num|thresh|limit|fn|func|type|name|nan|inf|patience|target|clip|is|best|min"
    rb"|prev|init)|less|y\b)",
    re.IGNORECASE,
)
# What a bound may be, and a loss not.
_BOUND = re.compile(rb"(?:^|[_./-])(?:max|upper|bound|cap)(?:$|[_./-])")
_FROM = re.compile(rb"\bfrom\b|improved|decreased|\bwas\s*$|\bbelow\b|did not", re.IGNORECASE)
_ARROW = re.compile(rb"\s{0,3}(?:-{1,2}>|=>|\xe2\x86\x92|to\b)")
_TABLE = re.compile(rb"[\s|]*")
_ALONE = re.compile(
    rb"[\W_]*(?:wandb:\s{1,40})?(?:[A-Za-z]+[ _/])?\w*loss\W+[-+]?(?:nan|inf|infinity)\W*",
    re.IGNORECASE,
)
_SEPARATORS = (b",", b";", b"|", b"\t")
_PADDING = b" \t\"'"  # of a cell
_COLUMN = re.compile(rb"[a-z_%][\w/.% -]{0,60}")
_CELL = re.compile(rb"[-+]?[\d.:/]+(?:e[-+]?\d+)?[%KMGs]?|[-+]?(?:nan|inf)|none|-|", re.IGNORECASE)
_BAR = re.compile(rb":\s{1,10}\d{1,3}%\|.*")  # of tqdm, behind the last column
_NO_NUMBER = re.compile(rb"[-+]?(?:nan|inf)", re.IGNORECASE)
_METRIC = re.compile(rb"\s*Test (loss|accuracy):\s*([-+\w.]{1,40})\s*$")
_LOOKED_AT = 1 << 14  # bytes of a line that are looked at, from its first needle on


@dataclass(frozen=True)
class Table:
    """The head of a table with losses.

    Attributes:
        separator: between columns; None for blanks.
        columns: how many.
        losses: which of them are losses.
    """

    separator: bytes | None
    columns: int
    losses: tuple[int, ...]


def nan_loss(line: bytes) -> re.Match[bytes] | None:
    """What in a line says that a loss is not finite, whoever wrote it."""
    for match in islice(_VALUE.finditer(line), _VALUES_LIMIT):
        if _is_a_loss(line, match):
            return match
    for match in _SAID.finditer(line[:_LOOKED_AT]):
        if not _NOT_A_LOSS.search(line[max(0, match.start() - 40) : match.start()]):
            return match
    return None


def _is_a_loss(line: bytes, value: re.Match[bytes]) -> bool:
    """Whether a value that is no number is that of a loss."""
    head = line[max(0, value.start() - _BEFORE) : value.start()]
    name = _name(head)
    if name is None:
        return False
    word, gap = name[0].lower(), head[name.end() :]
    loss = _LOSS.search(word)
    assert loss  # that is how it was found
    before, after = word[: loss.start()], word[loss.end() :]
    if _NOT_A_NAME.search(before) or _NOT_A_REST.match(after):
        return False
    if _NOT_A_LOSS.search(head[: name.start()]) or _ARROW.match(line, value.end()):
        return False
    infinite = not value[1].lower().startswith(b"nan")
    if infinite and (_FROM.search(gap) or _BOUND.search(before)):
        return False
    if _ANOTHER.search(gap):
        return False
    # Words of a table's head have no number beside them.
    return (
        _TABLE.fullmatch(gap) is None
        or any(48 <= byte < 58 for byte in line)
        or _ALONE.fullmatch(line) is not None
    )


def _name(head: bytes) -> re.Match[bytes] | None:
    """The name of a loss whose value comes right behind this text."""
    for word in reversed(list(_WORD.finditer(head))):
        text = word[0].lower()
        if _LOSS.search(text):
            return word
        if text not in _FILLERS and not _LIBRARIES.match(text):
            return None
    return None


def table(line: bytes) -> Table | None:
    """The columns that the head of a table names, if the line may be one, and what separates them.

    A sentence may look like a head; what decides is whether rows follow.
    """
    line = _ruled(line)
    separator = next((mark for mark in _SEPARATORS if mark in line), None)
    names = [name.strip(_PADDING).lower() for name in line.split(separator)]
    good = len(names) > 1 and all(_COLUMN.fullmatch(name) for name in names)
    losses = tuple(
        index
        for index, name in enumerate(names)
        if b"loss" in name and not _NOT_A_NAME.search(name.rpartition(b"loss")[0])
    )
    return Table(separator, len(names), losses) if good and losses else None


def lost_in_row(line: bytes, head: Table) -> bool:
    """Whether a line is a row below the head, and says that a loss is no number."""
    cells = _BAR.sub(b"", _ruled(line)).split(head.separator)
    if len(cells) == head.columns + 1:  # pandas numbers its rows
        cells = cells[1:]
    cells = [cell.strip(_PADDING) for cell in cells]
    if len(cells) != head.columns or not all(_CELL.fullmatch(cell) for cell in cells):
        return False
    return any(_NO_NUMBER.fullmatch(cells[index]) for index in head.losses)


def _ruled(line: bytes) -> bytes:
    """A line of a table, its rules as `|`, and none at its ends."""
    line = line[:_LOOKED_AT].replace(b"\xe2\x94\x83", b"|").replace(b"\xe2\x94\x82", b"|")
    return line.strip(b" \t|")


def metric(line: bytes, number: int) -> Metric | None:
    """What the Keras examples print after `evaluate`: `Test loss: 0.05`."""
    match = _METRIC.match(line)
    if match is None:
        return None
    value = finite(match[2])
    if value is None and match[2].lower() not in (b"nan", b"inf", b"-inf"):
        return None
    return Metric(name=match[1].decode("ascii"), value=value, split="test", line=number)
