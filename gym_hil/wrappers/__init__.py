"""Wrappers around the environments: small actions, a person's input, a window, and the function that stacks them."""
