"""Few records for a quick fit: those that may be redistributed, and made-up ones of the classes these lack.

Each stands in several repositories, so that every fold has every class. What is fitted on them knows them by heart: it
shows that the steps fit together, and nothing about skill.
"""

import json
from pathlib import Path

FIXTURE = Path(__file__).resolve().parents[2] / "tests/fixtures/ci_logs/validation.jsonl"
# As many as there are folds.
REPOSITORIES = 5
MADE_UP = {
    "Configuration Error": [
        ("Run actions/checkout", "Invalid workflow file: .github/workflows/ci.yml\nYou have an error in your yaml syntax on line 14"),
        ("Run make", "make: *** No rule to make target 'check'.  Stop.\nProcess completed with exit code 2."),
        ("Set up Node", "Error: Input required and not supplied: node-version"),
        ("Build", "/home/runner/work/_temp/step.sh: line 3: protoc: command not found\nProcess completed with exit code 127."),
    ],
    "Deployment Failure": [
        ("Deploy", "error: deployment \"web\" exceeded its progress deadline\nWaiting for rollout to finish: 1 old replicas are pending termination"),
        ("Upgrade", "Error: UPGRADE FAILED: timed out waiting for the condition\nhelm rollback web 3"),
        ("Publish", "npm ERR! code E409\nnpm ERR! 409 Conflict - PUT - Failed to save packument. A conflict occurred"),
        ("Release", "Error: failed to create release: tag v1.2.0 already exists\nThe deployment was cancelled"),
    ],
    "Security Scan Failure": [
        ("Run trivy", "Total: 3 (HIGH: 2, CRITICAL: 1)\nopenssl  CVE-2023-0286  HIGH  1.1.1n-0  1.1.1n-0+deb11u4\nvulnerabilities found"),
        ("Audit", "found 4 high severity vulnerabilities\nrun `npm audit fix` to fix them"),
        ("Secrets", "gitleaks: leaks found: 2\nFinding: aws_access_key RuleID: aws-access-token"),
        ("cargo deny", "error[vulnerability]: Potential segfault in the time crate\nadvisories FAILED\nID: RUSTSEC-2020-0071"),
    ],
}


def write(folder: Path) -> None:
    """`train.jsonl` and `train_more.jsonl`, as `sentinel retrain --data` wants them."""
    rows = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
    for label, logs in MADE_UP.items():
        for number, (step, excerpt) in enumerate(logs):
            rows.append({
                "id": f"made-up-{label}-{number}", "label": label, "alt_label": None, "excerpt": excerpt, "step_name": step,
                "job_name": None, "repo": f"made-up/{number}", "origin": "gha-committed-log", "license": "MIT",
            })
    copies = [row | {"id": f"{row['id']}-{copy}", "repo": f"{row['repo']}-{copy}"} for copy in range(REPOSITORIES) for row in rows]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in copies), encoding="utf-8")
    more = [row | {"id": f"{row['id']}-more", "repo": f"{row['repo']}-more"} for row in rows[:8]]
    (folder / "train_more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more), encoding="utf-8")
