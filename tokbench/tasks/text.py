"""Text: whether a recogniser still reads words and pages after a round trip through the tokens."""

from __future__ import annotations

from tokbench.metrics.page_scores import page_metrics
from tokbench.metrics.word_scores import word_metrics
from tokbench.protocol import get_protocol
from tokbench.tasks.base import Task


def _words(name: str, title: str, recogniser: str, setting: int, suffix: str = "") -> Task:
    # Names with a suffix are long: the three bins then have no room in a terminal.
    shown = ("t_acc",) if suffix else ("t_acc", "t_acc_small", "t_acc_medium", "t_acc_large")
    return Task(
        name=name,
        version=1,
        title=title,
        protocol=get_protocol(f"tokbench-{setting}"),
        metrics=word_metrics(recogniser, setting, suffix),
        headline=tuple(f"{metric}{suffix}" for metric in (*shown, "t_ned", "t_acc_readable")),
        primary=f"t_acc{suffix}",
    )


TEXT_WORDS = _words("text-words", "annotated words read by RapidOCR, tokenizers at 256×256", "rapidocr", 256)
TEXT_WORDS_512 = _words(
    "text-words-512", "annotated words read by RapidOCR, tokenizers at 512×512", "rapidocr", 512, "_512"
)
TEXT_WORDS_1024 = _words(
    "text-words-1024", "annotated words read by RapidOCR, tokenizers at 1024×1024", "rapidocr", 1024, "_1024"
)
TEXT_WORDS_EASYOCR = _words(
    "text-words-easyocr",
    "annotated words read by EasyOCR, tokenizers at 256×256",
    "easyocr",
    256,
    "_easyocr",
)
TEXT_TOKBENCH2025 = _words(
    "text-tokbench2025",
    "annotated words read by docTR's PARSeq at 256×256: TokBench's published protocol",
    "doctr-parseq",
    256,
    "_parseq",
)

TEXT_PAGES = Task(
    name="text-pages",
    version=1,
    title="character and word error rates of whole pages per script, read by RapidOCR at 256×256",
    protocol=get_protocol("adm-256"),
    metrics=page_metrics("rapidocr"),
    headline=("cer", "cer_kept", "cer_latin", "cer_chinese", "wer", "wer_latin"),
    primary="cer",
)
