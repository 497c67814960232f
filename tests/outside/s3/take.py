#!/usr/bin/env python3
"""Copies what is below a prefix of a bucket into a folder, with Amazon's own client, and says how each object is served:
its name, its `Content-Type` and its `Cache-Control`, with tabs between.

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
        served = client.get_object(Bucket=bucket, Key=entry["Key"])
        file.write_bytes(served["Body"].read())
        print(entry["Key"], served["ContentType"], served.get("CacheControl"), sep="\t")


if __name__ == "__main__":
    main()
