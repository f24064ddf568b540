"""What Lodger asks of the host, and the only place with ctypes."""
