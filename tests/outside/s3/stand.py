#!/usr/bin/env python3
"""Stands in for S3 on this machine: moto's server, on a free port, with one empty bucket.

    python3 stand.py BUCKET

Writes the address in one line when it answers, and ends when its standard input does.
"""

import sys

import boto3
from moto.server import ThreadedMotoServer


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=sys.argv[1])
    print(address, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
