"""``python -m sklearn_ae`` prints what a bug report needs."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import sklearn_ae
from sklearn_ae import __main__ as main

ROOT = Path(sklearn_ae.__file__).parents[1]


def test_versions_devices_and_threads_are_printed():
    command = [sys.executable, "-W", "error", "-m", "sklearn_ae"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == f"sklearn-ae: {sklearn_ae.__version__}"
    for name, known_as in (("torch", "torch"), ("skorch", "skorch"), ("scikit-learn", "sklearn"), ("numpy", "numpy")):
        assert f"{known_as}: {version(name)}" in lines
    assert any(line.startswith("cpu: 1 threads of torch") for line in lines)
    assert done.stderr == ""


def test_gpus_and_missing_packages_are_printed(monkeypatch, capsys):
    monkeypatch.setattr(main, "OTHERS", ("no-such-package",))
    monkeypatch.setattr(main.torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(main.torch.cuda, "get_device_name", lambda i: f"GPU of number {i}")
    main.main()
    printed = capsys.readouterr().out
    assert "no-such-package: None" in printed
    assert "cuda:0: GPU of number 0" in printed
