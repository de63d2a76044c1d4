"""What captured bytes of an SHT3x mean."""

from drivers.sht3x import codec
from edge_agent.driver import Capture, DeviceError, Json


def explain(capture: Capture) -> dict[str, Json]:
    """Explain a measurement of six bytes, with kind `frame3` one word and its CRC, with `field` a bare word.

    A bare word does not say what it is: it is told as both. Raises DeviceError.
    """
    if capture.kind == "field":
        if len(capture.data) != 2:
            raise DeviceError(f"length: {len(capture.data)} bytes, a word has 2")
        return _both(int.from_bytes(capture.data, "big"))
    if capture.kind == "frame3":
        return {"crc": capture.data[-1] if capture.data else 0, **_both(codec.word(capture.data))}
    temperature, humidity = codec.decode(capture.data)
    return {"temperature_c": temperature, "humidity_rh": humidity}


def _both(number: int) -> dict[str, Json]:
    return {"temperature_c": codec.celsius(number), "humidity_rh": codec.percent(number)}
