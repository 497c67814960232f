#!/usr/bin/env python3
"""Copies what is below a prefix of a bucket into a folder, with Amazon's own client.

    python3 take.py ADDRESS BUCKET PREFIX FOLDER
"""

import sys
from pathlib import Path

import boto3


def main():
    address, bucket, prefix, folder = sys.argv[1:]
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        file = Path(folder) / entry["Key"].removeprefix(prefix)
        file.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(bucket, entry["Key"], str(file))


if __name__ == "__main__":
    main()
