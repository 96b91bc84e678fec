# SPDX-License-Identifier: Apache-2.0
"""What the tutorial shows works as it stands there, and importing the package loads next to nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from liquid_spike_control import neuromorphic

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs/neuromorphic/README.md").read_text()


@pytest.mark.parametrize("text", [TUTORIAL, (ROOT / "README.md").read_text()], ids=["tutorial", "readme"])
def test_the_python_of_the_documents(monkeypatch, capsys, text):
    monkeypatch.chdir(ROOT / "test/data/nir")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["output"].n_steps == 1000 and len(names["output"].ids) > 0
    assert "F1" in capsys.readouterr().out


def test_the_commands_of_the_tutorial(monkeypatch, capsys, tmp_path):
    from liquid_spike_control.cli import main

    (block,) = re.findall(r"```\ncd test/data/nir\n(.*?)```", TUTORIAL, re.DOTALL)
    commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert [c[2] for c in commands] == ["inspect", "compare", "compile", "run", "energy", "fuzz"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "norse_conv.nir").write_bytes((ROOT / "test/data/nir/norse_conv.nir").read_bytes())
    for command in commands[:-1]:  # fuzzing takes minutes, and another simulator
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0, capsys.readouterr().err
    written = {"agreement.png", "norse.safetensors", "raster.png", "spikes.npz", "energy.png"}
    assert written < {p.name for p in tmp_path.iterdir()}


def test_importing_the_package_is_light():
    code = "import sys, liquid_spike_control.neuromorphic; print({'numpy', 'numba', 'nir'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "set()\n"


def test_every_name_is_there():
    for name in neuromorphic.__all__:
        assert callable(getattr(neuromorphic, name))
    with pytest.raises(AttributeError, match="no attribute nothing"):
        neuromorphic.nothing  # noqa: B018
