"""The steps from labelled hunks to the review model that the node loads."""

from sentinel_shared import commands
from sentinel_shared.commands import Command

COMMANDS = {
    "vocabulary": Command("vocabulary", "fit tokenizer.json on the training split"),
    "controls": Command("controls", "fit what the model must beat"),
    "pretrain": Command("pretrain", "learn to guess masked tokens; needs no labels"),
    "fit": Command("fit", "learn what was mended, how and where"),
    "score": Command("scores", "figures of a fitted model on encoded pieces"),
    "export": Command("export", "write ONNX files and a manifest beside tokenizer.json and controls.json"),
    "choose": Command("choose", "set calibration and thresholds by the validation split"),
    "tune": Command("tune", "teach a served model what a team's own history says of severity and category"),
    "curve": Command("curve", "what more records and pre-training bring"),
    "ceiling": Command("ceiling", "how well severity and category can be told from words if the mended lines are known"),
    "compare": Command("compare", "models beside each other: skill, different answers, cost"),
    "before-after": Command("before_after", "what tuning to a repository brings, of reports before and after it"),
    "card": Command("card", "write the model card, its pictures and card.json"),
}


def main() -> None:
    commands.run("sentinel_review", str(__doc__), COMMANDS)


if __name__ == "__main__":
    main()
