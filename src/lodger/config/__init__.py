"""What a machine is to be: frozen values and their checks. No I/O beyond looking at paths."""
