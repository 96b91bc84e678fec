# SPDX-License-Identifier: Apache-2.0
"""An ament_python package that pip installs too."""

from glob import glob

from setuptools import find_packages, setup

package_name = "liquid_spike_control"
share = f"share/{package_name}"
nodes = ("simulator", "perception", "neuromorphic", "controller", "gate", "recorder", "bringup")
robot_files = ("yaml", "xml", "nir", "safetensors", "md", "png", "obj", "stl")
gym = ["imageio>=2.31,<3"]
video = ["imageio-ffmpeg>=0.5,<1"]
docs = [
    "sphinx>=8", "furo>=2024.8", "myst-parser>=4", "sphinx-copybutton>=0.5", "latex2mathml>=3.77", "nbformat>=5.10,<6"
]
test = [
    "pytest>=8", "pytest-timeout", "pytest-benchmark", "pytest-retry", "pytest-xdist", "hypothesis", "cryptography>=42"
]

setup(
    name=package_name,
    version="0.1.0",
    description="Perceive with spikes, decide with a liquid neural network, act through a safety gate",
    maintainer="liquid_spike_control maintainers",
    maintainer_email="maintainers@liquid-spike-control.org",
    license="Apache-2.0",
    python_requires=">=3.11",
    classifiers=[
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=[package_name, f"{package_name}.*"]),
    package_data={
        package_name: [
            "py.typed", "view/page.*", "view/*.js", "tasks/*.json", "robots/template/**/*.txt",
            *(f"robots/*/*.{kind}" for kind in robot_files),
        ]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (share, ["package.xml"]),
        (f"{share}/launch", sorted(glob("launch/*.py"))),
        (f"{share}/config", sorted(glob("config/*.yaml") + glob("config/*.xml"))),
        (f"{share}/sim", sorted(glob("sim/*.xml"))),
        # No console scripts for the nodes: names such as `gate` do not belong in bin/, and colcon would give
        # them the Python that runs colcon, which is not the one of an activated virtual environment.
        (f"lib/{package_name}", [f"executables/{node}" for node in nodes]),
    ],
    entry_points={"console_scripts": [f"liquid-spike = {package_name}.__main__:main"]},
    install_requires=[
        "numpy>=1.26,<3",
        "numba>=0.61",
        "scipy>=1.14",
        # Factorises a sparse Hessian wrongly: 4.0.0 (MuJoCo's issue 3767). Never `mujoco-core` by itself: its files
        # overwrite those of the `mujoco` that other packages bring along.
        "mujoco>=3.3.3,!=4.0.0,<5",
        "pyopengl>=3.1.7",
        "gymnasium>=1.0,<2",
        "packaging>=23",
        "nir>=1.0.6,<2",
        "safetensors>=0.5",
        "msgspec>=0.19",
        "rich>=13",
        "tyro>=0.9",
        "matplotlib>=3.9",
        "pillow>=10",
        "rosbags>=0.10",
        "pyyaml>=6",
        "setproctitle>=1.3",
    ],
    extras_require={
        # ROS 2 Jazzy as wheels, for machines without a system ROS.
        "ros": ["ros-rclpy[fastrtps]>=7.1.6,<8", "ros-common-interfaces>=5.3.6,<5.4"],
        "ros-kilted": ["ros-rclpy[fastrtps]>=9.1.2,<10", "ros-common-interfaces>=5.5.1,<5.6"],
        "train": ["torch>=2.5", "ncps>=1.0.1,<2"],
        "onnx": ["onnx>=1.17", "onnxruntime>=1.20"],  # liquid-spike controller export
        "events": ["faery>=0.7,<1"],  # recordings of event cameras: .es, .raw, .dat, .aedat
        "video": video,  # liquid-spike run --video out.mp4
        "gym": gym,  # what Gymnasium's MuJoCo tasks import beside mujoco
        "ray": ["ray>=2.40,<3"],  # liquid-spike bench closed-loop --engine ray
        "security": ["cryptography>=42"],  # liquid-spike security keystore
        "test": [*gym, *video, *test],
        "docs": docs,  # make docs
        "dev": [
            *gym, *video, *docs, *test,
            "nbclient>=0.10", "ipykernel>=6.29", "ruff", "mypy", "pre-commit>=4", "check-jsonschema>=0.30",
        ],
    },
    zip_safe=True,
)
