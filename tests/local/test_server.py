"""The plane as boto3 sees it, and what it says to requests that are none."""

from __future__ import annotations

from support.local_plane import PlaneProcess


def test_an_object_comes_back_as_it_was_put(plane: PlaneProcess) -> None:
    s3 = plane.client("s3")
    s3.create_bucket(Bucket="cellar")
    s3.put_object(Bucket="cellar", Key="a b/ü.txt", Body=b"oak", Metadata={"year": "2014"})
    found = s3.get_object(Bucket="cellar", Key="a b/ü.txt")
    assert found["Body"].read() == b"oak"
    assert found["Metadata"] == {"year": "2014"}
