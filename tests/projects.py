"""Small pipelines: three products in a folder, whose stages run in process or, in a repository, under real DVC."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from moleflow.cli.main import main

ROOT = Path(__file__).parents[1]
PRODUCTS = ("bolt", "nut", "washer")
SMALL = {
    "img_size": 64, "layers": [2, 3], "embed_dim": 152, "grid": 4, "flow_layers": 1, "memory_size": 20,
    "router_rank": 4, "couplings": 2, "lora_rank": 4,
    "lora_alpha": 4.0, "epochs": 2, "warmup_epochs": 1.0, "batch_size": 8, "precision": "fp32", "alarm_rate": 0.2,
    "eval_size": 32, "map_sigma": 1.0, "top_k": 1, "tail_weight": 0.7, "baselines": ["pca"], "coreset_size": 50,
    "probe_images": 2, "reject_rate": 0.1, "calibration": "split", "calibration_folds": 2, "gaussian_rank": 4,
}  # fmt: skip


class Project:
    """A folder with params.yaml and images; its stages run in process, as `dvc repro` would call them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def of_small_products(cls, root):
        """Three small products, and nothing run."""
        root.mkdir(exist_ok=True)
        shutil.copy(ROOT / "params.yaml", root / "params.yaml")
        project = cls(root)
        project.write_small_products()
        return project

    def write_small_products(self):
        self.edit(classes={}, first_task="t0", later_tasks=[], **SMALL)
        for number, name in enumerate(PRODUCTS):
            write_product(self.root / "data/raw/small" / name, number)
            self.add(name, f"t{number}")

    def run(self, *kinds):
        """Runs the stages of some kinds, or all but demo, in the order of dvc.yaml's dependencies."""
        with contextlib.chdir(self.root):
            for stage, arguments in self.calls():
                if not kinds or stage in kinds:
                    import_module(f"stages.{stage}").main(*arguments)

    def calls(self):
        """Every stage with the arguments of its command."""
        params = self.params()
        lines = params["classes"]
        yield "check", ()
        for stage in ("index", "extract", "probe", "prototype"):
            for name, line in lines.items():
                more = {"prototype": (line["task"],)}.get(stage, ())
                yield stage, (name, *more)
        yield "base", (params["first_task"],)
        yield from (("train", (task,)) for task in params["later_tasks"])
        yield from (("statistics", (name, line["task"])) for name, line in lines.items())
        yield "route", ()
        yield "misrouted", ()
        yield from (("score", (name,)) for name in lines)
        yield from (("recalibrate", (name,)) for name in params["recalibrations"])
        yield from (("baseline", (name,)) for name in params["baselines"])
        yield "evaluate", ()
        yield "report", ()

    def moleflow(self, *arguments):
        """Runs a command of moleflow in process, which raises its errors."""
        with contextlib.chdir(self.root), mock.patch.object(sys, "argv", ["moleflow", *map(str, arguments)]):
            main.__wrapped__()

    def copy(self, root):
        """The same elsewhere."""
        subprocess.run(["cp", "-a", f"{self.root}/.", root], check=True)
        return type(self)(root)

    def files(self):
        """Inode, size and time of change of every file."""
        stats = {path: path.stat() for path in self.root.rglob("*") if path.is_file()}
        return {str(path): (stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}

    def edit(self, **changes):
        yaml = YAML()
        params = yaml.load(self.root / "params.yaml")
        params.update(changes)
        yaml.dump(params, self.root / "params.yaml")

    def params(self):
        return YAML(typ="safe").load(self.root / "params.yaml")

    def add(self, name, task):
        params = self.params()
        params["classes"][name] = {"task": task, "layout": "mvtec", "path": f"data/raw/small/{name}"}
        later = params["later_tasks"]
        later += [task] * (task not in (params["first_task"], *later))
        self.edit(classes=params["classes"], later_tasks=later)

    def metrics(self, name):
        return json.loads((self.root / f"metrics/{name}.json").read_text())

    def summary(self):
        return self.metrics("summary")

    def costs(self):
        return self.metrics("costs")["products"]


class Clone(Project):
    """A repository whose pipeline runs under DVC."""

    @classmethod
    def of_working_tree(cls, root):
        """The working tree as it stands, committed or not; what git ignores stays behind."""
        for name in git(ROOT, "ls-files", "-zco", "--exclude-standard").split("\0"):
            if (ROOT / name).is_file():  # neither a file that is gone, nor the empty name after the last zero
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        git(root, "init", "-q")
        clone = cls(root)
        clone.commit()
        return clone

    @classmethod
    def of_small_products(cls, root):
        """The working tree with three small products in place of its own, and nothing run."""
        clone = cls.of_working_tree(root)
        (root / "dvc.lock").unlink(missing_ok=True)
        shutil.rmtree(root / "metrics", ignore_errors=True)
        clone.write_small_products()
        clone.commit()
        return clone

    def commit(self):
        git(self.root, "add", "-A")
        git(self.root, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "state")

    def environment(self):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        hashes = self.root / ".dvc/tmp/site_cache"  # outside they would stay for good
        return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "DVC_SITE_CACHE_DIR": str(hashes)}

    def command(self, module, *arguments, check=True):
        """Runs `python -m module` with the repository's own code; returns the finished process."""
        return self.python("-m", module, *arguments, check=check)

    def python(self, *arguments, check=True):
        """Runs Python in the repository; returns the finished process."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.root, env=self.environment(), capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def dvc(self, *arguments, check=True):
        done = self.command("dvc", *arguments, check=check)
        return done.stdout + done.stderr

    def repro(self, target="report"):
        """Runs `dvc repro`; returns the stages that ran."""
        return stages_run(self.dvc("repro", target))

    def lock(self):
        return YAML(typ="safe").load(self.root / "dvc.lock")

    def hashes(self):
        """Hash of every output in dvc.lock but the report, which names the commit."""
        outs = [out for entry in self.lock()["stages"].values() for out in entry["outs"]]
        return {out["path"]: out["md5"] for out in outs if out["path"] != "metrics/report"}


def git(root, *arguments):
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def stages_run(output):
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def write_product(root, number):
    """Stripes of a product's own direction and color; defects are dark squares with masks."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[:48, :48]
    for part, count in (("train/good", 20), ("test/good", 4), ("test/hole", 4)):
        for index in range(count):
            wave = np.sin((rows * np.cos(number) + columns * np.sin(number)) / 2 + rng.uniform(0, 6))
            pixels = np.full((48, 48, 3), 100.0) + 50 * wave[..., None] + rng.normal(0, 4, (48, 48, 3))
            pixels[..., number % 3] += 60
            mask = np.zeros((48, 48), np.uint8)
            if part == "test/hole":
                row, column = rng.integers(4, 30, 2)
                mask[row : row + 14, column : column + 14] = 255
                pixels[mask > 0] = 0
                save(root / f"ground_truth/hole/{index}_mask.png", mask)
            save(root / f"{part}/{index}.png", np.clip(pixels, 0, 255).astype(np.uint8))


def darker(project, folder, factor, count, product="bolt"):
    """Normal pictures of a product on another day."""
    good = project.root / f"data/raw/small/{product}/train/good"
    for number, path in enumerate(sorted(good.glob("*.png"))[:count]):
        with Image.open(path) as image:
            save(folder / f"{number}.png", (np.asarray(image) * factor).astype(np.uint8))
    return folder


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
