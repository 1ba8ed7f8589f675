"""`pip install ./training` into a fresh environment, and what is there afterwards."""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import unittest
import venv
from pathlib import Path

TRAINING = Path(__file__).resolve().parents[1]
PACKAGES = ["sentinel_review", "sentinel_shared", "sentinel_training"]


class Install(unittest.TestCase):
    def test_the_packages_install_into_a_fresh_environment_and_their_commands_start_there(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            # From a copy: a build leaves files beside what it builds.
            source = folder / "training"
            shutil.copytree(TRAINING, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
            python, site = fresh(folder / "environment")
            # pip and what the packages need come from the environment that runs this test: nothing is fetched.
            ran(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-build-isolation", "--no-index", source)
            for package in PACKAGES:
                wanted = sorted(path.name for path in (TRAINING / package).glob("*.py"))
                self.assertEqual(sorted(path.name for path in (site / package).glob("*.py")), wanted)
            self.assertTrue((site / "sentinel_shared/tables.json").exists())
            self.assertFalse((site / "tests").exists(), "tests are not installed")
            for package, command in (("sentinel_training", "retrain"), ("sentinel_review", "before-after")):
                self.assertIn(command, ran(python, "-m", package, "--help", cwd=folder / "environment"))

    def test_every_extra_is_made_of_named_packages_and_of_extras_that_are_there(self) -> None:
        project = tomllib.loads((TRAINING / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project["optional-dependencies"]
        self.assertLessEqual({"failure", "review", "card", "bench"}, set(extras))
        for needs in extras.values():
            own = [need for need in needs if need.startswith(f"{project['name']}[")]
            for named in (each for need in own for each in need.split("[")[1].rstrip("]").split(",")):
                self.assertIn(named, extras)


def fresh(folder: Path) -> tuple[Path, Path]:
    """Its Python and its site-packages. It sees this environment's packages, after its own."""
    venv.create(folder)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    (site / "beside.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return folder / "bin/python", site


def ran(*command: object, cwd: Path | None = None) -> str:
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    unittest.main()
