"""Data rights: the API for requests and certificates, and the tasks of the erasure workflow."""
