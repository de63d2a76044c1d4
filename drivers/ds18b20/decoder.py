"""What a captured scratchpad or `w1_slave` file of a DS18B20 means."""

from drivers.ds18b20 import codec
from edge_agent.driver import Capture, DeviceError, Json

OPTIONS = {"w1_slave": ()}


def explain(capture: Capture) -> dict[str, Json]:
    """Explain nine bytes, or with kind `field` the temperature word alone; raises DeviceError.

    Option `w1_slave`, the whole text of the file, lets its two lines be compared as well.
    """
    if capture.kind == "field":
        if len(capture.data) != 2:
            raise DeviceError(f"length: {len(capture.data)} bytes, the temperature has 2")
        return {"temperature_c": codec.celsius(capture.data)}
    text = capture.options.get("w1_slave")
    found = codec.check(capture.data) if text is None else codec.parse(text)
    return {"status": "suspect_power_on" if found.suspect else "ok", "temperature_c": found.temperature_c}
