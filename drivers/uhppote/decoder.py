"""What captured messages of a door controller mean; only for captures that somebody hands over on purpose."""

from drivers.uhppote import codec
from edge_agent.driver import Capture, DeviceError, Json


def explain(capture: Capture) -> dict[str, Json]:
    """Explain one message; raises DeviceError with the reason for refusing."""
    if capture.direction == "request":
        return codec.decode(capture.data, "request")
    values = codec.decode(capture.data)
    if capture.request is not None and not codec.answers(capture.data, *_asked(capture.request)):
        raise DeviceError("it does not answer the request")
    if values["function"] == codec.GET_STATUS:
        date, time = values.pop("system_date"), values.pop("system_time")
        values["system_datetime"] = f"{date}T{time}" if date and time else None
        if values["event_index"] == 0:
            # No event yet: the other fields of it mean nothing.
            return values | dict.fromkeys(_EVENT_ONLY)
    return values


_EVENT_ONLY = [field.name for field in codec.STORED if field.name != "event_index"]


def _asked(request: bytes) -> tuple[int, int, int | None]:
    asked = codec.decode(request, "request")
    index = asked.get("event_index") if asked["function"] == codec.GET_EVENT else None
    return int(str(asked["function"])), int(str(asked["controller"])), None if index is None else int(str(index))
