"""Tags through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from support.local_jobs import Jobs
from support.local_plane import PlaneProcess


@pytest.fixture
def jobs(plane: PlaneProcess) -> Jobs:
    jobs = Jobs(plane)
    jobs.put({})
    return jobs


def tags_of(jobs: Jobs, arn: str) -> list[dict[str, str]]:
    pages = jobs.sagemaker.get_paginator("list_tags").paginate(
        ResourceArn=arn, PaginationConfig={"PageSize": 50}
    )
    return [tag for page in pages for tag in page["Tags"]]


def pair(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


def test_tags_are_set_overwritten_and_removed(jobs: Jobs) -> None:
    arn = jobs.run("pass", Tags=[pair("team", "wine")])["TrainingJobArn"]
    answer: dict[str, Any] = jobs.sagemaker.add_tags(
        ResourceArn=arn, Tags=[pair("team", "cheese"), pair("cost", "7")]
    )
    expected = [pair("team", "cheese"), pair("cost", "7")]
    assert [expected, expected] == [answer["Tags"], tags_of(jobs, arn)]
    jobs.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team", "other"])
    assert [pair("cost", "7")] == tags_of(jobs, arn)


def test_a_thing_has_fifty_tags_at_most(jobs: Jobs) -> None:
    arn = jobs.run("pass")["TrainingJobArn"]
    jobs.sagemaker.add_tags(ResourceArn=arn, Tags=[pair(f"k{n}", "v") for n in range(50)])
    with pytest.raises(jobs.sagemaker.exceptions.ClientError, match="at most 50 tags"):
        jobs.sagemaker.add_tags(ResourceArn=arn, Tags=[pair("one-more", "v")])
    assert 50 == len(tags_of(jobs, arn))


def test_what_cannot_be_tagged_is_refused(jobs: Jobs) -> None:
    arn = jobs.run("pass")["TrainingJobArn"]
    client, errors = jobs.sagemaker, jobs.sagemaker.exceptions
    with pytest.raises(errors.ClientError, match="reserved"):
        client.add_tags(ResourceArn=arn, Tags=[pair("aws:own", "v")])
    with pytest.raises(errors.ClientError, match="Could not find the resource"):
        client.list_tags(ResourceArn=arn + "-gone")
    with pytest.raises(errors.ClientError, match="nothing that can be tagged"):
        client.list_tags(ResourceArn="arn:aws:sagemaker:us-east-1:123456789012:device/x")
