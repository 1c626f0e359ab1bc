"""Wrappers around the environments: small actions, an operator's input, a window, and the function that stacks them."""
