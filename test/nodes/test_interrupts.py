# SPDX-License-Identifier: Apache-2.0
import os
import signal

import pytest

from liquid_spike_control.nodes.interrupts import SIGNALS, Interrupts


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_taken_when_it_is_asked_for(number):
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        interrupts.check()
        os.kill(os.getpid(), number)  # would end the test here if it were not held back
        assert interrupts.came
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
    assert signal.getsignal(number) is before
