"""Byte-level BPE over the hunks of the training split.

The marks of a diff and the languages are entries of the vocabulary that no text can spell: they have no merge, and they
are not registered as added tokens (which would be found inside text).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers import Regex

from .data import read

LANGUAGES = ["C", "C++", "C#", "Go", "Java", "JavaScript", "Kotlin", "PHP", "Python", "Ruby", "Rust", "TypeScript"]
SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>", "<sep>", "<mask>", "<add>", "<del>", "<ctx>"]
SPECIAL += [f"<lang:{language}>" for language in LANGUAGES]
# Words with one character before them, numbers by three digits, runs of marks, runs of blanks: indentation stays whole.
PIECES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def train(data: Path, size: int, out: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=4,
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines(data), trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = []
    out.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def lines(data: Path) -> Iterator[str]:
    """Each line as the model reads it: without its mark, one at a time."""
    for record in read(data):
        yield record["path"]
        for line in record["hunk"].split("\n"):
            yield re.sub(r"^@@[^@]*@@", "", line) if line.startswith("@@") else line[1:]
