# SPDX-License-Identifier: Apache-2.0
"""Event files: byte for byte as TensorBoard's own writer makes them."""

import struct

import pytest

from liquid_spike_control.errors import TaskError
from liquid_spike_control.training.logs import EventLog, crc32c, record, scalar_event

#: Event(wall_time=1.5e9, step=300, summary of loss=0.25, success=1.0), and its record, by tensorboard 2.21.0
EVENT = "09000000c00b5ad64110ac022a1d0a0b0a046c6f7373150000803e0a0e0a0773756363657373150000803f"
RECORD = f"2b00000000000000861bc34b{EVENT}130746d9"


def test_checksum_is_crc32c():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C's definition
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_scalars_are_tensorboards_bytes():
    event = scalar_event(1.5e9, 300, {"loss": 0.25, "success": 1.0})
    assert event.hex() == EVENT
    assert record(event).hex() == RECORD


def test_a_log_is_a_row_of_records_that_can_be_read_at_once(tmp_path):
    log = EventLog(tmp_path / "run", clock=lambda: 1.5e9)
    log.write(300, {"loss": 0.25, "success": 1.0})
    (path,) = (tmp_path / "run").iterdir()
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    assert b"brain.Event:2" in data[12 : 12 + length]
    assert data[16 + length :].hex() == RECORD
    log.close()
    EventLog(tmp_path / "run", clock=lambda: 1.5e9).close()
    assert len(list((tmp_path / "run").iterdir())) == 2  # the first is not overwritten


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskError, match="--logs .*file/logs: cannot be written .*another folder"):
        EventLog(tmp_path / "file" / "logs")
