"""`python -m sentinel_review`: the steps from labelled hunks to the model the node loads."""

import argparse
import importlib
from pathlib import Path

import torch

from . import before_after, ceiling, controls, curve, export, scores, train, tune, vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(prog="sentinel_review", description=__doc__)
    steps = parser.add_subparsers(required=True)

    words = steps.add_parser("vocabulary", help="fit tokenizer.json on the training split")
    words.add_argument("--train", type=Path, required=True, help="labelled hunks, .jsonl.zst")
    words.add_argument("--size", type=int, default=32_000)
    words.add_argument("--out", type=Path, required=True)
    words.set_defaults(step=lambda options: vocabulary.train(options.train, options.size, options.out))

    for name, step, about in [
        ("pretrain", train.pretrain, "learn to guess hidden tokens; needs no labels"),
        ("fit", train.fit, "learn what was mended, how and where"),
        ("curve", curve.draw, "what more records and pre-training bring"),
    ]:
        learn = steps.add_parser(name, help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        learn.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode`")
        learn.add_argument("--extra", type=Path, help="pieces without harmless ones to compare with")
        learn.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
        learn.add_argument("--work", type=Path, required=True, help="checkpoints and results")
        learn.add_argument("--width", type=int, default=256, help="a multiple of 64")
        learn.add_argument("--layers", type=int, default=4)
        learn.add_argument("--epochs", type=int, default=2)
        learn.add_argument("--batch-tokens", type=int, default=8192)
        learn.add_argument("--rate", type=float, default=1e-3 if name == "pretrain" else 2e-4, help="of the encoder")
        learn.add_argument("--minutes", type=float, default=25, help="a slice: then save and stop")
        learn.add_argument("--threads", type=int, default=1)
        learn.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
        learn.add_argument("--bf16", action="store_true", help="half the width of numbers where that loses nothing")
        learn.add_argument("--seed", type=int, default=42)
        if name == "pretrain":
            learn.add_argument("--length", type=int, default=256, help="longer pieces are cut")
        if name == "curve":
            learn.add_argument("--test", type=Path, required=True, help="pieces of unseen repositories")
            learn.add_argument("--out", type=Path, required=True, help="a JSON file")
            learn.add_argument("--parts", nargs="+", choices=["forest", "judges"], default=["forest", "judges"])
        if name in ("fit", "curve"):
            learn.add_argument("--heads-rate", type=float, default=1e-3)
            learn.add_argument("--length", type=int, default=512, help="longer pieces are left out")
            learn.add_argument("--init", type=Path, help="a checkpoint of pretrain to begin from")
            learn.set_defaults(share=1.0)
        if name == "fit":
            learn.add_argument("--frozen", action="store_true", help="keep the encoder as --init has it; fast")
            learn.add_argument("--looks", type=int, default=150_000, help="the most pieces that a frozen encoder reads for its judges")
            learn.add_argument("--share", type=float, default=1.0, help="of the records, for a learning curve")
            learn.add_argument("--shuffle", action="store_true", help="give each record another one's label")
        learn.set_defaults(step=step)

    compare = steps.add_parser("controls", help="fit what the model must beat")
    compare.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode --bag`")
    compare.add_argument("--more", type=Path, help="likewise; a second bag of words is fitted on both together")
    compare.add_argument("--valid", type=Path, required=True, help="likewise; chooses the strength")
    compare.add_argument("--out", type=Path, required=True, help="controls.json")
    compare.set_defaults(step=controls.fit)

    hindsight = steps.add_parser("ceiling", help="how far severity and category can be told by who knows the mended lines")
    hindsight.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode`")
    hindsight.add_argument("--extra", type=Path, help="pieces without harmless ones to compare with")
    hindsight.add_argument("--test", type=Path, required=True, help="pieces of unseen repositories")
    hindsight.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    hindsight.add_argument("--out", type=Path, required=True, help="a JSON file")
    hindsight.set_defaults(step=ceiling.measure)

    ship = steps.add_parser("export", help="write ONNX files and a manifest beside tokenizer.json and controls.json")
    ship.add_argument("--model", type=Path, required=True, help="reviewer.pt")
    ship.add_argument("--version", required=True, help="review_v<major>.<minor>")
    ship.add_argument("--out", type=Path, required=True, help="the model's folder")
    ship.set_defaults(step=export.export)

    choice = steps.add_parser("choose", help="set calibration and thresholds by the validation split")
    choice.add_argument("--predictions", type=Path, required=True, help="of `sentinel eval review --predictions`")
    choice.add_argument("--precision", type=float, default=0.6, help="what each threshold aims at")
    choice.add_argument("--out", type=Path, required=True, help="the model's folder")
    choice.set_defaults(step=export.choose)

    learn_on = steps.add_parser(
        "tune",
        help="teach a served model what a team's own history says of severity and category",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    learn_on.add_argument("--model", type=Path, required=True, help="a model's folder, such as models/review")
    learn_on.add_argument("--train", type=Path, required=True, help="pieces of `sentinel encode`")
    learn_on.add_argument("--version", required=True, help="review_v<major>.<minor>")
    learn_on.add_argument("--out", type=Path, required=True, help="the new model's folder")
    learn_on.add_argument("--threads", type=int, default=1)
    learn_on.add_argument("--bf16", action="store_true", help="half the width of numbers where that loses nothing")
    learn_on.add_argument("--seed", type=int, default=42)
    learn_on.set_defaults(step=tune.tune)

    teams = steps.add_parser("before-after", help="what tuning to a repository brings, of reports before and after it")
    teams.add_argument("folders", nargs="+", type=Path, help="of `sentinel mine`, with before.json and after.json")
    teams.add_argument("--out", type=Path, required=True, help="a JSON file")
    teams.set_defaults(step=before_after.write)

    paper = steps.add_parser("card", help="write the model card, its pictures and card.json")
    paper.add_argument("--report", type=Path, required=True, help="of `sentinel eval review --json`")
    paper.add_argument("--predictions", type=Path, required=True, help="of the same run")
    paper.add_argument("--data", type=Path, required=True, help="the labelled hunks it ran on")
    paper.add_argument("--out", type=Path, required=True, help="the model's folder")
    paper.set_defaults(step=lambda options: importlib.import_module(".card", __package__).write(options))

    beside = steps.add_parser("compare", help="models beside each other: skill, what they say otherwise, cost")
    beside.add_argument("models", nargs="+", help="NAME=FOLDER; the first is what the others are compared with")
    beside.add_argument("--out", type=Path, required=True, help="a JSON file")
    beside.set_defaults(step=lambda options: importlib.import_module(".compare", __package__).write(options))

    score = steps.add_parser("score", help="figures of a fitted model on encoded pieces")
    score.add_argument("--model", type=Path, required=True, help="reviewer.pt")
    score.add_argument("--data", type=Path, required=True)
    score.add_argument("--threads", type=int, default=1)
    score.add_argument("--bf16", action="store_true")
    score.set_defaults(step=scores.main)

    options = parser.parse_args()
    options.step(options)


if __name__ == "__main__":
    main()
