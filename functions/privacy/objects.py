"""The adapter of the port `Objects` on S3, and the shipped fake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_BATCH = 1000


class S3Objects:
    """A bucket through boto3, which is loaded at the first use: most erasures find nothing there, but all must look."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            import boto3

            self._made = boto3.client("s3")
        return self._made

    def list(self, prefix: str) -> list[str]:
        """See Objects."""
        found = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return [entry["Key"] for page in found for entry in page.get("Contents", ())]

    def delete(self, keys: Iterable[str]) -> None:
        """See Objects. An object that S3 could not delete is an error."""
        todo = list(keys)
        for start in range(0, len(todo), _BATCH):
            batch = {"Objects": [{"Key": key} for key in todo[start : start + _BATCH]], "Quiet": True}
            if self._client.delete_objects(Bucket=self._bucket, Delete=batch).get("Errors"):
                raise NotDeleted

    def read(self, key: str, most: int) -> bytes | None:
        """See Objects."""
        from botocore.exceptions import ClientError

        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return bytes(answer["Body"].read(most + 1))


class NotDeleted(Exception):
    """S3 could not delete an object."""

    def __init__(self) -> None:
        super().__init__("an object was not deleted")


class MemoryObjects:
    """A bucket in memory. `bodies`: what is in the objects, where that matters."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.bodies: dict[str, bytes] = {}

    def read(self, key: str, most: int) -> bytes | None:
        """See Objects."""
        return self.bodies.get(key, b"")[: most + 1] if key in self.keys else None

    def list(self, prefix: str) -> list[str]:
        """See Objects."""
        return sorted(key for key in self.keys if key.startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """See Objects."""
        self.keys -= set(keys)


_PART = 8 * 1024 * 1024


class S3Uploads:
    """The adapter of the port `Uploads` (privacy.exports.ports): a multipart upload per object, encrypted by the key of
    the bucket. One part is in memory at a time."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def begin(self, key: str) -> S3Sink:
        """See Uploads."""
        import boto3

        return S3Sink(boto3.client("s3"), self._bucket, key)


class S3Sink:
    """One upload. What is aborted, or forgotten for a day (the bucket's lifecycle), leaves nothing behind."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        made = client.create_multipart_upload(
            **self._place, ContentType="application/zip", ContentDisposition="attachment"
        )
        self._upload: str | None = made["UploadId"]
        self._parts: list[dict[str, Any]] = []
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        """See Sink."""
        self._buffer += data
        while len(self._buffer) >= _PART:
            self._send(bytes(self._buffer[:_PART]))
            del self._buffer[:_PART]

    def commit(self) -> None:
        """See Sink."""
        self._send(bytes(self._buffer))
        parts = {"Parts": self._parts}
        self._client.complete_multipart_upload(**self._place, UploadId=self._upload, MultipartUpload=parts)
        self._upload = None

    def abort(self) -> None:
        """See Sink."""
        if self._upload is not None:
            self._client.abort_multipart_upload(**self._place, UploadId=self._upload)
            self._upload = None

    def _send(self, part: bytes) -> None:
        number = len(self._parts) + 1
        sent = self._client.upload_part(**self._place, UploadId=self._upload, PartNumber=number, Body=part)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


class S3Downloads:
    """The adapter of the port `Downloads` (privacy.downloads): links of a minute to one object each."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def link(self, key: str, seconds: int) -> str | None:
        """See Downloads."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError

        client = boto3.client("s3", config=Config(signature_version="s3v4"))
        try:
            client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        params = {"Bucket": self._bucket, "Key": key}
        return str(client.generate_presigned_url("get_object", Params=params, ExpiresIn=seconds))


class S3Places:
    """The adapter of the port `Places` (privacy.imports): where one object of a given size may be put, for a while."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def place(self, key: str, size: int, seconds: int) -> str:
        """See Places. The length is signed: S3 refuses any other."""
        import boto3
        from botocore.config import Config

        client = boto3.client("s3", config=Config(signature_version="s3v4"))
        params = {"Bucket": self._bucket, "Key": key, "ContentLength": size, "ContentType": "application/zip"}
        return str(client.generate_presigned_url("put_object", Params=params, ExpiresIn=seconds))

    def form(self, key: str, most: int, seconds: int, back: str) -> tuple[str, dict[str, str]]:
        """See Places (Amazon S3, "Browser-based uploads using POST"). Key, type, length and way back are signed."""
        import boto3
        from botocore.config import Config

        client = boto3.client("s3", config=Config(signature_version="s3v4"))
        fields = {"Content-Type": "application/zip", "success_action_redirect": back}
        made = client.generate_presigned_post(
            self._bucket,
            key,
            Fields=dict(fields),
            Conditions=[["content-length-range", 1, most], *({name: value} for name, value in fields.items())],
            ExpiresIn=seconds,
        )
        return str(made["url"]), {str(name): str(value) for name, value in made["fields"].items()}


class MemoryUploads:
    """The port `Uploads` in memory. `high` is the most that was written at once."""

    def __init__(self) -> None:
        self.done: dict[str, bytes] = {}
        self.high = 0
        self.aborted = 0

    def begin(self, key: str) -> MemorySink:
        """See Uploads."""
        return MemorySink(self, key)


class MemorySink:
    """One upload."""

    def __init__(self, uploads: MemoryUploads, key: str) -> None:
        self._uploads, self._key, self._data, self._open = uploads, key, bytearray(), True

    def write(self, data: bytes) -> None:
        """See Sink."""
        self._uploads.high = max(self._uploads.high, len(data))
        self._data += data

    def commit(self) -> None:
        """See Sink."""
        self._uploads.done[self._key] = bytes(self._data)
        self._open = False

    def abort(self) -> None:
        """See Sink."""
        self._uploads.aborted += self._open
        self._open = False
