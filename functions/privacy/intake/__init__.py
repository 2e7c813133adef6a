"""Requests that arrive without a key: mail to the data protection officer."""
