"""A polled Modbus RTU device, described by a profile."""

from collections.abc import Iterable
from typing import ClassVar

from drivers.modbus.codec import Refused, Reply, Request, decode_reply, encode_request, reply_shape
from drivers.modbus.options import ModbusOptions
from drivers.modbus.profile import Block, blocks, load_profile
from drivers.modbus.simulator import ModbusSimulator
from edge_agent.driver import Command, DeviceError, Link, LinkError, Quality, Reading, Record, Site, Wire


class ModbusDriver:
    """Reads every point of the profile; tells the device the profile's commands.

    The point `commanded` is what was last ordered through this driver. It stays apart from what is observed: an
    infrared controller confirms that it sent a code, never that the unit obeyed.
    """

    Options: ClassVar[type[ModbusOptions]] = ModbusOptions
    Simulator: ClassVar[type[ModbusSimulator]] = ModbusSimulator
    wire: ClassVar[Wire] = Wire.SERIAL
    sensitive: ClassVar[bool] = False

    def __init__(self, options: ModbusOptions, site: Site) -> None:
        del site
        self._options = options
        self._commanded: Reading | None = None

    def poll(self, link: Link) -> Iterable[Record]:
        """Read all points, block by block; the points of a block come together or not at all."""
        for block in blocks(load_profile(self._options.profile)):
            yield from block.readings(self._read(link, block).values)
        if self._commanded is not None:
            yield self._commanded

    def act(self, link: Link, command: Command) -> Iterable[Record]:
        """Carry out a command of the profile, never twice.

        Raises DeviceError if the command is unknown or the device refuses, LinkError if there is no answer.
        """
        profile = load_profile(self._options.profile)
        verb = profile.command.get(command.name)
        if verb is None or command.args:
            known = ", ".join(profile.command) or "no commands"
            what = "takes no arguments" if verb else "is not a command of this device"
            raise DeviceError(f"{command.name!r} {what}", hint=f"{profile.title} knows {known}")
        # A question first: it proves that the device listens, and it shows the link whether this wire echoes, which
        # the answer to a write, equal to its request byte for byte, cannot show.
        self._read(link, blocks(profile)[0])
        try:
            self._ask(link, verb.request(self._options.address))
        except Refused:
            raise
        except (DeviceError, LinkError):
            why = f"{command.name} was sent but not confirmed: it may or may not have happened"
            self._commanded = Reading("commanded", None, prompt=True, quality=Quality.BAD, why=why)
            raise
        self._commanded = Reading("commanded", verb.commanded, prompt=True)
        yield self._commanded

    def _read(self, link: Link, block: Block) -> Reply:
        request = block.request(self._options.address)
        for _ in range(self._options.retries):
            try:
                return self._ask(link, request)
            except Refused:
                raise
            except DeviceError:
                continue
        return self._ask(link, request)

    def _ask(self, link: Link, request: Request) -> Reply:
        shape = reply_shape(request, load_profile(self._options.profile).reply_unit)
        try:
            frame = link.ask(encode_request(request), reply=shape, within=self._options.timeout)
        except DeviceError as error:
            hint = "look at termination, polarity and a second device with the same address"
            raise DeviceError(error.what, op=str(request), raw=error.raw, hint=hint) from error
        reply = decode_reply(frame)
        if reply.exception:
            raise Refused(reply.exception, op=str(request))
        return reply
