# SPDX-License-Identifier: Apache-2.0
# Ubuntu 24.04 with ROS 2 Jazzy from apt, and this package beside it in a virtual environment.
#
#   docker build -t liquid_spike_control .
#   docker run --rm liquid_spike_control run pencil
#   docker run --rm liquid_spike_control ros2 launch liquid_spike_control robot.launch.py robot:=hover sim:=true
FROM ros:jazzy-ros-base

RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      g++ libegl1 libgl1-mesa-dri libopengl0 python3-dev python3-venv ros-jazzy-event-camera-msgs \
 && rm -rf /var/lib/apt/lists/*

# The messages of apt are built against NumPy 1.26. The environment is outside of the prefix of ROS, but sees its packages.
WORKDIR /src
COPY . .
RUN python3 -m venv --system-site-packages /opt/liquid_spike_control \
 && /opt/liquid_spike_control/bin/pip install --no-cache-dir . "numpy>=1.26,<2" \
 && rm -rf /src/*

ENV MUJOCO_GL=egl
COPY --chmod=755 release/container_entry.sh /entry.sh
RUN ["/entry.sh", "--version"]
ENTRYPOINT ["/entry.sh"]
CMD []
