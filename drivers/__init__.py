"""One folder a driver; the folder's name is the name used in the station file."""
