"""How scores become probabilities, and from which confidence on an answer is given."""

from dataclasses import asdict, dataclass

import numpy as np

# How often an answer that is given should be right, over all classes and for any one of them.
SELECTIVE_ACCURACY = 0.95
CLASS_PRECISION = 0.85
# Fewer answers than this say nothing about a class.
CLASS_ANSWERS_MIN = 8
THRESHOLDS = np.round(np.arange(0.20, 0.96, 0.01), 2)


@dataclass(frozen=True)
class Calibration:
    temperature: float
    abstain_below: float
    # In the order of the classes.
    class_abstain_below: list[float]

    @classmethod
    def fit(cls, raw: np.ndarray, target: np.ndarray, second: np.ndarray) -> "Calibration":
        """From raw scores of records that the model has not seen. `second` is the other label that could be defended: an answer
        of either is right enough to be given, but the confidence is that of the first."""
        temperature = best_temperature(raw, target)
        probabilities = softmax(raw, temperature)
        answer = probabilities.argmax(axis=1)
        right = (answer == target) | (answer == second)
        abstain_below = threshold(probabilities, right)
        return cls(temperature, abstain_below, class_thresholds(probabilities, right, abstain_below))

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        return softmax(raw, self.temperature)

    def is_answered(self, probabilities: np.ndarray) -> np.ndarray:
        """Whether the likeliest class of each row is shown."""
        return probabilities.max(axis=1) >= np.array(self.class_abstain_below)[probabilities.argmax(axis=1)]

    def as_json(self) -> dict:
        return asdict(self)


def softmax(raw: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities of raw scores (Guo et al. 2017)."""
    scaled = raw / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def best_temperature(raw: np.ndarray, target: np.ndarray) -> float:
    """The temperature of least log loss, on a grid fine enough that the loss is flat around it."""
    grid = np.round(np.geomspace(0.4, 4.0, 200), 4)
    losses = [-np.log(softmax(raw, t)[np.arange(len(target)), target] + 1e-12).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def threshold(probabilities: np.ndarray, right: np.ndarray) -> float:
    """The lowest confidence from which answers are right often enough."""
    confidence = probabilities.max(axis=1)
    for candidate in THRESHOLDS:
        answered = confidence >= candidate
        if answered.any() and right[answered].mean() >= SELECTIVE_ACCURACY:
            return float(candidate)
    return float(THRESHOLDS[-1])


def class_thresholds(probabilities: np.ndarray, right: np.ndarray, floor: float) -> list[float]:
    """Per class, the lowest confidence, not under `floor`, from which its answers are right often enough."""
    confidence, answer = probabilities.max(axis=1), probabilities.argmax(axis=1)
    chosen = []
    for label in range(probabilities.shape[1]):
        at = floor
        for candidate in THRESHOLDS[THRESHOLDS >= floor]:
            answered = (answer == label) & (confidence >= candidate)
            if answered.sum() < CLASS_ANSWERS_MIN or right[answered].mean() >= CLASS_PRECISION:
                break
            at = float(candidate)
        chosen.append(at)
    return chosen


def reliability_bins(probabilities: np.ndarray, target: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """Of each bin that is not empty: the mean confidence, the share that is right, and how many there are."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return [(confidence[at == b].mean(), right[at == b].mean(), int((at == b).sum())) for b in range(bins) if (at == b).any()]


def calibration_error(probabilities: np.ndarray, target: np.ndarray, bins: int = 10) -> float:
    """The expected calibration error."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == target
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(sum(abs((confidence[at == b] - right[at == b]).sum()) for b in range(bins)) / len(target))
