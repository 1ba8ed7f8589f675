"""Byte-level BPE over the hunks of the training split.

The marks of a diff and the languages are entries of the vocabulary that no text can spell: they have no merge, and they
are not registered as added tokens (which would be found inside text).
"""

import argparse
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from sentinel_shared.tables import AT, LANGUAGES, SHIFT

from .records import read

SPECIAL = ["<pad>", "<unk>", "<bos>", "<eos>", "<sep>", "<mask>", "<add>", "<del>", "<ctx>"]
SPECIAL += [f"<lang:{language}>" for language in LANGUAGES]
SPECIAL += [f"<at:{power}>" for power in AT] + [f"<shift:{power}>" for power in SHIFT]
ADDED, REMOVED, CONTEXT, MASK = (SPECIAL.index(mark) for mark in ("<add>", "<del>", "<ctx>", "<mask>"))
# What is counted in each token: its characters by kind, whether it has letters, whether a comment begins with it, each of
# these marks, and whether it is one of these words.
KINDS = ["characters", "blanks", "letters", "capitals", "digits", "not_ascii", "word", "comment"]
MARKS = "()[]{}<>=+-*/%!?&|^~.,;:'\"`#@$\\_"
WORDS = """if else elif for while loop switch case match when catch except rescue try finally return throw raise async await
lock mutex null nil None undefined unsafe assert def fn fun func function class struct interface enum trait impl public
private static const var let val new delete unwrap clone print log error err Error Exception import use include require int
string bool true false self this super default break continue go defer yield lambda TODO""".split()
COUNTS = [*KINDS, *MARKS, *WORDS]
COMMENTS = ("//", "#", "/*", "*", '"""', "'''", "--")
# The first word of a line, by what it means in most languages.
_FIRST_WORDS = {
    "import": "import from use using include require package namespace mod",
    "branch": "if else elif elsif unless switch case when match default guard",
    "loop": "for foreach while loop do until",
    "define": "def fn fun func function class struct interface enum trait impl type module",
    "reach": "public private protected internal static final override virtual abstract async export pub inline extern",
    "bind": "const let var val auto int string bool float double long char void unsigned size",
    "leave": "return throw raise break continue yield goto await",
    "rescue": "try catch except finally rescue ensure defer with",
    "owner": "self this super",
    "check": "assert expect it describe test should require",
    "tell": "print println printf log logger console warn debug info error trace",
    "end": "end endif fi done pass",
}
FIRST_WORDS = {name: words.split() for name, words in _FIRST_WORDS.items()}
# Further columns for what a line begins with.
FIRST_CHARACTERS = ["comment", "closing", "annotation", "quote", "number", "capital"]
# How lines are compared: each token as a number, a line as their sum, which 32 bits hold exactly.
SPELLINGS = 1 << 15
# Words with one character before them, numbers by three digits, runs of marks, runs of blanks: indentation stays whole.
PIECES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@dataclass(frozen=True)
class Options:
    train: Path
    size: int
    out: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--train", type=Path, required=True, help="labelled hunks, .jsonl.zst")
    parser.add_argument("--size", type=int, default=32_000)
    parser.add_argument("--out", type=Path, required=True, help="tokenizer.json")


def run(options: Options) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options.size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=4,
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines(options.train), trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = []
    options.out.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def token_counts(tokenizer: Path) -> np.ndarray:
    """[vocabulary, `COUNTS`] uint8. All is 0 for marks of the diff and languages."""
    texts = token_texts(tokenizer)
    rows = np.zeros((len(texts), len(COUNTS)), dtype=np.uint8)
    for at, text in enumerate(texts):
        if text is None:
            continue
        word = text.strip()
        kinds = (sum(map(test, text)) for test in (str.isspace, str.isalpha, str.isupper, str.isdigit))
        rows[at, :5] = (len(text), *kinds)
        rows[at, 5] = sum(not letter.isascii() for letter in text)
        rows[at, 6] = any(map(str.isalpha, text))
        rows[at, 7] = word.startswith(COMMENTS)
        rows[at, len(KINDS) : len(KINDS) + len(MARKS)] = [min(text.count(mark), 255) for mark in MARKS]
        rows[at, len(KINDS) + len(MARKS) :] = [word == each for each in WORDS]
    return rows


def line_beginnings(tokenizer: Path) -> np.ndarray:
    """[vocabulary, columns] uint8, for a token that a line begins with: each of `FIRST_CHARACTERS` and of `FIRST_WORDS`."""
    texts = token_texts(tokenizer)
    rows = np.zeros((len(texts), len(FIRST_CHARACTERS) + len(FIRST_WORDS)), dtype=np.uint8)
    for at, text in enumerate(texts):
        first = (text or "").strip()
        if first:
            word = re.sub(r"^\W+", "", first)
            rows[at, : len(FIRST_CHARACTERS)] = (
                first.startswith(COMMENTS), first[0] in "})]", first[0] in "@[", first[0] in "\"'`", first[0].isdigit(), first[0].isupper(),
            )
            rows[at, len(FIRST_CHARACTERS) :] = [word in words for words in FIRST_WORDS.values()]
    return rows


def spelling_numbers(tokenizer: Path) -> np.ndarray:
    """[vocabulary] float32: a number from 1 on of what a token spells, whatever blanks are around it; 0 of blanks and of
    marks. Different tokens may have the same one: seldom, and a line has many."""
    texts = [(text or "").strip() for text in token_texts(tokenizer)]
    return np.array([1 + zlib.crc32(text.encode()) % (SPELLINGS - 1) if text else 0 for text in texts], dtype=np.float32)


def same_letters(tokenizer: Path) -> np.ndarray:
    """[vocabulary] int64: of each token the first that spells the same letters and digits, whatever stands around them
    and whatever the capitals. Tokens without a letter are themselves."""
    texts = token_texts(tokenizer)
    same = np.arange(len(texts))
    first: dict[str, int] = {}
    for at, text in enumerate(texts):
        if text is not None and any(map(str.isalpha, text)):
            same[at] = first.setdefault(re.sub(r"[\W_]", "", text).lower(), at)
    return same


def token_texts(tokenizer: Path) -> list[str | None]:
    """What each token of the vocabulary spells, in its order; None for marks of the diff and languages."""
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    bytes_of = {letter: byte for byte, letter in bytes_to_letters().items()}
    texts: list[str | None] = [None] * len(vocabulary)
    for token, at in vocabulary.items():
        if token not in SPECIAL:
            texts[at] = bytes(bytes_of[letter] for letter in token).decode("utf-8", errors="replace")
    return texts


def bytes_to_letters() -> dict[int, str]:
    """How byte-level BPE spells bytes (Radford et al. 2019): printable ones as themselves, others from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


def lines(data: Path) -> Iterator[str]:
    """Each line as the model reads it: without its mark, one at a time."""
    for record in read(data):
        yield record["path"]
        for line in record["hunk"].split("\n"):
            yield re.sub(r"^@@[^@]*@@", "", line) if line.startswith("@@") else line[1:]
