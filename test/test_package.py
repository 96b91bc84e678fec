# SPDX-License-Identifier: Apache-2.0
"""The package keeps the rules of CONTRIBUTING.md, and arrives whole by pip and by colcon."""

import os
import re
import sys
import venv
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
from sources import PACKAGE, ROOT, imports, is_ros, modules, run, tree

import liquid_spike_control

NODES = ("simulator", "perception", "neuromorphic", "controller", "gate", "recorder")


# ---- the files themselves ----


def test_python_files_begin_with_the_licence():
    first = "# SPDX-License-Identifier: Apache-2.0"
    bare = [
        str(path)
        for path in tree()
        if path.suffix == ".py" and (ROOT / path).read_text().split("\n")[0] != first
    ]
    assert bare == []


def test_no_machine_paths():
    somewhere = re.compile(rb"(?<![\w.~<>*/-])/(?:work|root|home|Users)/\w")
    found = []
    for path in tree():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data:
            found += [f"{path}: {match.group().decode()}" for match in somewhere.finditer(data)]
    assert found == []


def test_one_version_everywhere():
    version = liquid_spike_control.__version__
    assert ElementTree.parse(ROOT / "package.xml").findtext("version") == version
    assert re.findall(r'^    version="([^"]+)",$', (ROOT / "setup.py").read_text(), re.MULTILINE) == [version]
    # as catkin_prepare_release wants it: what is to come, or a version and its date
    changes = (ROOT / "CHANGELOG.rst").read_text()
    headings = re.findall(r"^(Forthcoming|\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\))\n-+$", changes, re.MULTILINE)
    assert headings[0] == "Forthcoming" or headings[0].split()[0] == version


def test_package_xml_is_valid_and_names_the_ros_packages_that_the_nodes_import():
    catkin_pkg = pytest.importorskip("catkin_pkg.package")
    package = catkin_pkg.parse_package(str(ROOT / "package.xml"))
    assert package.get_build_type() == "ament_python" and package.licenses == ["Apache-2.0"]
    at_the_edge = [(n, p) for n, p in modules() if p.parts[1] == "nodes"]
    at_the_edge += [(p.stem, p) for p in tree() if p.parts[0] == "launch" and p.suffix == ".py"]
    imported = {i.partition(".")[0] for name, path in at_the_edge for i in imports(name, path) if is_ros(i)}
    assert imported - {"ament_index_python"} <= {dependency.name for dependency in package.exec_depends}


# ---- what gets installed ----


def shared() -> list[str]:
    """Files that are not Python and must be installed, as the source tree has them."""
    wanted = {"launch": {".py"}, "config": {".yaml", ".xml"}, "sim": {".xml"}}
    files = [p.as_posix() for p in tree() if len(p.parts) == 2 and p.suffix in wanted.get(p.parts[0], ())]
    assert {f.split("/")[0] for f in files} == set(wanted), "a folder of shared files is empty"
    return files


def copy_of_the_tree(to: Path) -> Path:
    """A copy without build outputs, so that building leaves none in the source tree."""
    for path in tree():
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_symlink():
            (to / path).symlink_to(os.readlink(ROOT / path))
        else:
            (to / path).write_bytes((ROOT / path).read_bytes())
            (to / path).chmod((ROOT / path).stat().st_mode)
    return to


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = copy_of_the_tree(tmp_path_factory.mktemp("source"))
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    run(*pip, "-w", source / "dist", source, timeout=100)
    (built,) = (source / "dist").glob("*.whl")
    return built


def test_wheel_is_whole(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = f"{PACKAGE}-{liquid_spike_control.__version__}.data/data"
    expected = {f"{data}/share/{PACKAGE}/{file}" for file in [*shared(), "package.xml"]}
    expected |= {f"{data}/lib/{PACKAGE}/{node}" for node in NODES}
    expected |= {f"{data}/share/ament_index/resource_index/packages/{PACKAGE}"}
    expected |= {path.as_posix() for _, path in modules()}
    expected |= {p.as_posix() for p in tree() if p.parts[0] == PACKAGE and p.name != ".gitignore"}
    assert {f"{PACKAGE}/{file}" for file in ("py.typed", "robots/pencil/robot.yaml", "robots/pencil/perception.nir",
                                             "robots/pencil/controller.safetensors")} <= expected  # fmt: skip
    assert expected <= names
    assert not any(name.startswith(("test/", "launch/")) for name in names)


def test_installed_wheel_finds_its_files_and_nodes(wheel, tmp_path):
    builder = venv.EnvBuilder(system_site_packages=False, with_pip=False, symlinks=True)
    builder.create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AMENT_PREFIX_PATH")}
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index"]
    run(*pip, wheel, timeout=60)
    # The heavy libraries come from this environment; ours must not, nor its sources.
    site = next(p for p in sys.path if p.endswith("site-packages"))
    program = f"""
import sys; sys.path.append({site!r})
from pathlib import Path
import {PACKAGE}
from {PACKAGE}.resources import share, shipped_model
models = map(shipped_model, ("pencil/perception.nir", "hover/ncp.safetensors"))
for found in [Path({PACKAGE}.__file__), *map(share, {shared()!r}), *models]:
    assert found.is_relative_to(sys.prefix) and found.exists(), found
    print(found.name)
"""
    environment["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    printed = run(python, "-c", program, cwd=tmp_path, env=environment, timeout=60).split()
    assert {Path(f).name for f in shared()} <= set(printed)
    for node in NODES:
        assert os.access(tmp_path / f"venv/lib/{PACKAGE}/{node}", os.X_OK)
    assert os.access(tmp_path / "venv/bin/liquid-spike", os.X_OK)


@pytest.mark.colcon
@pytest.mark.timeout(600)
@pytest.mark.parametrize("options", [[], ["--symlink-install"]], ids=["copy", "symlink"])
def test_colcon_builds_both_packages(tmp_path, options):
    source = copy_of_the_tree(tmp_path / "ws/src/liquid_spike_control")
    # colcon in an environment of its own that sees this one's ROS wheels.
    venv.EnvBuilder(with_pip=False, symlinks=True).create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    run(*pip, "setuptools<80", "colcon-common-extensions", timeout=300)
    wheels = next(p for p in sys.path if p.endswith("site-packages"))
    own = tmp_path / f"venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    (own / "wheels.pth").write_text(f"{wheels}\n")

    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"AMENT_PREFIX_PATH": sys.prefix, "CMAKE_PREFIX_PATH": sys.prefix}
    environment["PATH"] = f"{tmp_path}/venv/bin:{sys.prefix}/bin:{os.environ['PATH']}"
    fixup = source / "interfaces/event_camera_msgs/cmake/wheel_fixup.cmake"
    messages = source / "interfaces/event_camera_msgs"
    run(tmp_path / "venv/bin/colcon", "build", "--base-paths", source, messages, *options,
        "--cmake-args", f"-DCMAKE_PROJECT_INCLUDE={fixup}", "-DBUILD_TESTING=OFF",
        cwd=tmp_path / "ws", env=environment, timeout=400)  # fmt: skip

    prefix = tmp_path / "ws/install" / PACKAGE
    for name in (*NODES, "liquid-spike"):
        assert os.access(prefix / "lib" / PACKAGE / name, os.X_OK), name
    for file in shared():
        assert (prefix / "share" / PACKAGE / file).read_bytes() == (ROOT / file).read_bytes()
    where = f"import {PACKAGE}, event_camera_msgs; print({PACKAGE}.__file__, event_camera_msgs.__file__)"
    sourced = f'. "{tmp_path}/ws/install/setup.sh" && exec "{python}" -c "{where}"'
    for found in run("sh", "-c", sourced, cwd=tmp_path, env=environment, timeout=60).split():
        assert found.startswith(f"{tmp_path}/ws/"), found
    if not options:
        run(tmp_path / "venv/bin/colcon", "test", "--base-paths", source, "--packages-select", PACKAGE,
            "--pytest-args", "-k", "(test_gate and not node) or test_robot_description",
            "--return-code-on-test-failure", cwd=tmp_path / "ws", env=environment, timeout=300)  # fmt: skip
        (results,) = (tmp_path / "ws/build" / PACKAGE).glob("*.xml")
        suite = ElementTree.parse(results).getroot().find("testsuite")
        assert int(suite.get("tests")) > 20 and suite.get("failures") == suite.get("errors") == "0"


def test_python_in_the_readme_runs(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for block in blocks:
        assert run(sys.executable, "-c", block, cwd=tmp_path, env=environment, timeout=110)
