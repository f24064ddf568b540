"""From a checked configuration to the messages that bring a guest kernel up."""
