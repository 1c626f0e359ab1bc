"""The scripted operator: a device that plays the human."""
