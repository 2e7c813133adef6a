"""A lean signed client for the few AWS calls on the path of every request; everywhere else boto3 is the better choice.

Standard library only, and cheap to import: ``http.client`` and ``ssl`` are loaded by the first client that is made,
``typing`` and ``dataclasses`` not at all. A function that SnapStart freezes may import ``http.client`` at init.
"""

from chatapi.aws.client import AwsClient
from chatapi.aws.credentials import Credentials
from chatapi.aws.errors import AwsError, AwsUnavailable

__all__ = ["AwsClient", "AwsError", "AwsUnavailable", "Credentials"]
