"""The demonstration: a simulated station, and an MQTT broker that can be told to misbehave."""
