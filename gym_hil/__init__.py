"""Gymnasium environments in which a policy and a person share one robot."""
