"""AWS KMS: the API as moto's server speaks it, with users and policies, asked by the AWS CLI."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import boto3

from support.cluster import Cluster
from support.kms import Kms, command_of_page, setting_words
from support.kms.service import Gate, Service

REGION = "eu-central-1"
# Debian's CLI does not look at AWS_ENDPOINT_URL by itself.
AT_ENDPOINT = 'aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n'
# After so many requests moto wants to know who asks, and whether that one may: those that make the first user.
WITHOUT_LOGIN = 3


class AwsKms(Kms):
    command = "aws-kms"
    tools: ClassVar = {"aws"}
    needs: ClassVar = {"/usr/bin/aws": "awscli"}
    strangers_complaint = "is not authorized to perform: kms:Decrypt"

    def __init__(self) -> None:
        super().__init__()
        words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port := Cluster.free_port()]
        environment = {"INITIAL_NO_AUTH_ACTION_COUNT": str(WITHOUT_LOGIN), "HOME": str(self.home)}
        self.service = Service(words, port, self.home / "moto.log", environment)
        # What moto holds is in its memory only: to be down and up again, it is the way there that ends.
        self.gate = Gate(port)
        self.services = [self.gate, self.service]
        self.complaint = (
            f'ended with exit status 255: Could not connect to the endpoint URL: "http://127.0.0.1:{self.gate.port}/".'
        )
        self._administrator = ("nobody", "yet")

    def start(self) -> None:
        self.service.start()
        self._administrator = self.make_user("administrator", "*")
        client = self.client("kms")
        for purpose in "sign", "verify":
            kms_key = client.create_key()["KeyMetadata"]["KeyId"]
            client.create_alias(AliasName=f"alias/pgseal-{purpose}", TargetKeyId=kms_key)
        for user, action in ("postgres", "kms:Decrypt"), ("stranger", "kms:Encrypt"):
            key_id, secret = self.make_user(user, action)
            self.write(f"{user}.aws", f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")

    def client(self, service: str) -> Any:
        """The account's administrator."""
        key_id, secret = self._administrator
        return boto3.client(
            service, aws_access_key_id=key_id, aws_secret_access_key=secret, region_name=REGION,
            endpoint_url=f"http://127.0.0.1:{self.service.port}",
        )  # fmt: skip

    def make_user(self, name: str, action: str) -> tuple[str, str]:
        """A user who may do this; id and secret of an access key. (moto judges actions, not what they are done to.)"""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        client = self.client("iam")
        client.create_user(UserName=name)
        client.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
        made = client.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def environment(self) -> dict[str, str]:
        key_id, secret = self._administrator
        return {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, **self._where()}

    def _where(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.gate.port}", "AWS_DEFAULT_REGION": REGION}

    def make_key(self, key_id: str, purpose: str = "sign") -> None:
        self.recipe(AT_ENDPOINT, key_id, purpose)

    def at_endpoint(self, user: str, command: str) -> str:
        """A line that runs a command as a user of the account."""
        return setting_words(AWS_SHARED_CREDENTIALS_FILE=self.home / f"{user}.aws", **self._where()) + command

    def named_command(self, name: str) -> str:
        """A command of the page, with the endpoint that Debian's CLI needs to be told."""
        return command_of_page(name).replace("aws ", f"aws --endpoint-url http://127.0.0.1:{self.gate.port} ", 1)

    @property
    def line(self) -> str:
        return self.at_endpoint("postgres", f"{self.script} alias/pgseal-%p {self.keys} %k %p")

    @property
    def strangers_line(self) -> str:
        return self.at_endpoint("stranger", f"{self.script} alias/pgseal-%p {self.keys} %k %p")

    def down(self) -> AbstractContextManager[None]:
        return self.gate.closed()
