"""The agent as a process, killed in the middle of a pulse: no relay stays on for good."""

from pathlib import Path

from drivers.modbus.codec import Function, Request, decode_reply, encode_request
from drivers.modbus.simulator import ModbusSimulator
from tests.stations import HEAD, Agent, centre, far_ends, wait_for

RELAYS = """
[commands]
allow = ["relays/*"]

[[link]]
name = "rs485"
kind = "serial"
port = "/dev/serial/by-id/rs485"

[[device]]
name = "relays"
link = "rs485"
driver = "modbus"
profile = "relay-waveshare-8"
address = 1
timeout = "200ms"
every = "100ms"
"""


def is_on(board: ModbusSimulator) -> bool:
    """Whether relay 3 is on, asked behind the agent's back."""
    return decode_reply(board.answer(encode_request(Request(1, Function.READ_COILS, 2, 1)))).values[0] == 1


def test_a_kill_between_the_write_and_its_answer_leaves_no_relay_on(tmp_path: Path, memory: Path) -> None:
    """The board has obeyed and the agent is gone before it could note anything: its next life switches off."""
    with centre() as broker, far_ends(tmp_path, HEAD + RELAYS, broker.thread.port, memory) as simulated:
        board: ModbusSimulator = simulated.simulators["relays"]
        answer = board.answer
        written: list[bytes] = []

        def told(request: bytes) -> bytes:
            reply = answer(request)
            if len(request) > 1 and request[1] == Function.WRITE_COIL:
                written.append(request)
                agent.kill()
            return reply

        with Agent(simulated.path, tmp_path / "log") as agent:
            wait_for(lambda: broker.last("state/relays").get("points"), "the relays are read", within=30)
            board.answer = told  # type: ignore[method-assign]
            broker.command("relays/pulse_3", "c1", seconds=60)
            wait_for(lambda: agent.process.poll() is not None, "the kill", within=30)
        assert len(written) == 1
        board.answer = answer  # type: ignore[method-assign]
        assert is_on(board)
        with Agent(simulated.path, tmp_path / "log") as agent:
            wait_for(lambda: not is_on(board), "the relay is off again", within=30)
            agent.stop()
