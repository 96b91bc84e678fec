#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Entry of the image: arguments of liquid-spike, or one of a few other programs with its own.
set -e
source /opt/ros/jazzy/setup.bash
source /opt/liquid_spike_control/bin/activate
export AMENT_PREFIX_PATH="$VIRTUAL_ENV:$AMENT_PREFIX_PATH" # launch files and nodes of this package
case "$1" in
  ros2 | python3 | bash | sh) exec "$@" ;;
  *) exec liquid-spike "$@" ;;
esac
