"""The status page: what the station knows, on a phone, without the internet."""
