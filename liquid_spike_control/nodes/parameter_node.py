# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node whose parameters are described and bounded, and refused by name."""

from __future__ import annotations

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException, ParameterException
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter

from ..errors import GraphError
from .parameter_file import unknown


class ParameterNode(LifecycleNode):
    """See above; :meth:`parameter` declares every parameter."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._choices: dict[str, tuple[str, ...]] = {}
        self.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            choices = self._choices.get(parameter.name, ())
            if choices and parameter.value not in choices:
                reason = f"{parameter.name}: {parameter.value!r}; give one of {', '.join(choices)}"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def parameter(
        self,
        name: str,
        default,
        description: str,
        least=None,
        most=None,
        choices: tuple[str, ...] = (),
        fixed: bool = True,
    ):
        """Declare a parameter and return its value; it is set at the start and read-only after, unless it is not
        ``fixed``: then what is set later acts at the next configure.

        Args:
            name, description: of the parameter.
            default: its value if not set; a :class:`Parameter.Type` instead means no default, the value is then None
                and :meth:`demand` refuses it.
            least, most: range of a number.
            choices: the texts that it may be.
            fixed: see above.

        Raises:
            GraphError: the value is of the wrong type, out of range or not among the choices.
        """
        if not fixed:
            description += "; read at configure"
        descriptor = ParameterDescriptor(name=name, description=description, read_only=fixed)
        if choices:
            descriptor.additional_constraints = f"one of {', '.join(choices)}"
        if isinstance(default, float) or default == Parameter.Type.DOUBLE:
            descriptor.floating_point_range = [FloatingPointRange(from_value=least, to_value=most)]
        elif default == Parameter.Type.INTEGER or isinstance(default, int) and not isinstance(default, bool):
            descriptor.integer_range = [IntegerRange(from_value=least, to_value=most)]
        try:
            value = self.declare_parameter(name, default, descriptor).value
        except (InvalidParameterValueException, InvalidParameterTypeException, ParameterException) as error:
            text = " ".join(str(error).split())
            raise GraphError(f"parameter {name}: {text}; {description}") from None
        if choices:
            self._choices[name] = choices
        if choices and value not in choices:
            raise GraphError(f"parameter {name}: {value!r}; give {descriptor.additional_constraints}")
        return value

    def get_parameter(self, name: str) -> Parameter:
        """Return a parameter; one that is not set has no value, where rclpy raises: one missing value would make
        `ros2 param dump` show none.

        Raises:
            ParameterNotDeclaredException: the node has none of that name.
        """
        return self.get_parameter_or(name) if self.has_parameter(name) else super().get_parameter(name)

    def refuse_unknown(self) -> None:
        """Refuse parameters of this node that no node of the graph has: a typing error would leave a default.

        Raises:
            GraphError: names the parameter.
        """
        if complaint := unknown(sorted(self._parameter_overrides.keys() - self._parameters.keys())):
            raise GraphError(f"parameter {complaint}")

    def demand(self, *names: str) -> None:
        """Refuse to continue without these parameters.

        Raises:
            GraphError: one of them has no value; names it.
        """
        for name in names:
            if self.get_parameter_or(name).value is None:
                description = self.describe_parameter(name).description
                raise GraphError(f"parameter {name} is not set and has no default; give it: {description}")
