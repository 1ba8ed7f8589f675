"""Holds what is deployed against the schemas of what reads it.

    manifests.py ROOT

Kubernetes' own schemas come with kubernetes-validate, those of Compose and GitHub with check-jsonschema; KEDA's is its
custom resource definition. Unknown fields are faults: a cluster would drop them without a word.
"""

import plistlib
import subprocess
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
from ruamel.yaml import YAML


def closed(schema: object) -> object:
    """The schema, with no properties but those it names."""
    if isinstance(schema, dict):
        inner = {key: closed(value) for key, value in schema.items()}
        if "properties" in inner and "x-kubernetes-preserve-unknown-fields" not in inner:
            inner.setdefault("additionalProperties", False)
        return inner
    return [closed(each) for each in schema] if isinstance(schema, list) else schema


def keda(root: Path) -> dict:
    definition = YAML(typ="safe").load(root / "tests/fixtures/keda/scaledobjects.yaml")
    (version,) = definition["spec"]["versions"]
    schema = closed(version["schema"]["openAPIV3Schema"])
    # What every resource has, Kubernetes knows itself.
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def kubernetes(root: Path) -> int:
    seen = 0
    for path in sorted((root / "deploy/kubernetes").glob("*.yml")):
        for resource in YAML(typ="safe").load_all(path):
            if resource["apiVersion"].startswith("keda.sh/"):
                jsonschema.validate(resource, keda(root))
            else:
                kubernetes_validate.validate(resource, desired_version="1.37", strict=True)
            seen += 1
    return seen


def builtin(root: Path, schema: str, paths: list[str]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    subprocess.run([*command, *(root / path for path in paths)], check=True)


def main(root: Path) -> None:
    assert kubernetes(root) == 4
    builtin(root, "compose-spec", ["deploy/compose.yml"])
    builtin(root, "github-workflows", ["deploy/github/explain.yml", "deploy/github/retrain.yml"])
    builtin(root, "github-actions", ["action.yml"])
    agent = plistlib.loads((root / "deploy/launchd/dev.sentinel.node.plist").read_bytes())
    assert agent["ProgramArguments"][1] == "serve", agent


if __name__ == "__main__":
    main(Path(sys.argv[1]))
